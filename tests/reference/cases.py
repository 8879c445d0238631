"""The cases that are compared with PyTorch: small versions of every network, with every objective that it may be trained with."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FIXTURES = Path(__file__).parent / 'fixtures'
LATENT_DIM = 7
PLAYERS = ('generator', 'critic')
SAMPLE = 64  # values of each player in the fixture, for each round
PASSES = 3  # of the critic in one of its updates: real images, fakes and the points of the penalty
# Of each round, from its last critic update and from its generator update.
NUMBERS = ('critic_loss', 'wasserstein_estimate', 'gradient_penalty', 'critic_norm', 'generator_loss', 'generator_norm')


# The objectives of the papers on WGAN, for critics of plain layers.
PAPERS = ('gan_minimax', 'gan_non_saturating', 'wgan_rmsprop', 'wgan_amsgrad', 'wgan_gp', 'wgan_lp')


class Networks(NamedTuple):
    """Two players."""

    image_shape: tuple[int, int, int]  # not square where the network allows it, so that an exchange of height and width is noticed
    generator: dict[str, Any]  # as in a config
    critic: dict[str, Any]
    batch_size: int = 6
    rounds: int = 5
    n_critics: tuple[int, int] = (1, 3)
    objectives: tuple[str, ...] = PAPERS  # none with a penalty if the critic has batch norm
    dropout: bool = False  # in the critic, with given masks; otherwise its rates are 0


class Objective(NamedTuple):
    """A loss, an optimizer and a bound on the slopes, as in a config."""

    loss: str
    optimizer: dict[str, Any]
    clip_value: float | None = None
    gp_weight: float = 0.0
    gp_one_sided: bool = False


_UPSAMPLE_CNN = {'network': 'upsample_cnn', 'num_features': 4}
_DCGAN = {'network': 'dcgan', 'num_features': 4}
_PLAIN_DCGAN = {**_DCGAN, 'norm': 'none', 'constant_width': True}
_WIDE_DCGAN = {'network': 'dcgan', 'num_features': 10, 'num_extra_layers': 1}
_TUTORIAL = {'num_extra_layers': 1, 'norm_after_activation': True}
_KERAS_CNN = {'network': 'keras_cnn', 'num_features': 4}
_MLP = {'network': 'mlp', 'num_features': 16, 'num_layers': 2}
_WGANS = ('wgan_rmsprop', 'wgan_gp')
# All objectives with two networks; with the others one of each kind, since an optimizer does not know what it optimizes.
NETWORKS = {
    'upsample_cnn': Networks((8, 12, 2), _UPSAMPLE_CNN, _UPSAMPLE_CNN, objectives=('gan_non_saturating', 'wgan_rmsprop')),
    'upsample_cnn_layer_norm': Networks(
        (8, 12, 2), *2 * ({**_UPSAMPLE_CNN, 'norm': 'layer'},), objectives=('gan_minimax', *_WGANS)
    ),
    'keras_cnn': Networks((13, 18, 2), _KERAS_CNN, _KERAS_CNN, objectives=('gan_non_saturating', *_WGANS)),
    'keras_cnn_dropout': Networks((13, 18, 2), _KERAS_CNN, _KERAS_CNN, objectives=_WGANS, dropout=True),
    'dcgan': Networks((16, 16, 3), _DCGAN, _DCGAN, objectives=('gan_minimax', 'wgan_amsgrad')),
    'dcgan_no_norm': Networks((16, 16, 3), _PLAIN_DCGAN, _PLAIN_DCGAN),
    'dcgan_extra_layers': Networks(
        (16, 16, 1),
        {**_DCGAN, 'num_extra_layers': 1},
        {**_DCGAN, 'num_extra_layers': 1, 'norm': 'layer'},
        objectives=('gan_minimax', 'wgan_amsgrad', 'wgan_lp'),
    ),
    'dcgan_tutorial': Networks(  # the order of layers in configs/tutorial_celeba_wgan.py
        (16, 16, 3),
        {**_DCGAN, **_TUTORIAL, 'transposed_extra_layers': True},
        {**_DCGAN, **_TUTORIAL},
        objectives=('wgan_rmsprop',),
    ),
    # Wide enough, with enough images, for the tiles of wgan_jax/convolutions/winograd.py.
    'dcgan_wide': Networks(
        (16, 16, 1), _WIDE_DCGAN, {**_WIDE_DCGAN, 'norm': 'layer'}, batch_size=64, rounds=3, n_critics=(1, 2), objectives=_WGANS
    ),
    'mlp': Networks((4, 3, 2), {'network': 'mlp', 'num_features': 16, 'norm': 'batch'}, _MLP),
    'mlp_spectral': Networks(
        (4, 3, 2),
        _MLP,
        {**_MLP, 'weights': 'spectral', 'power_iterations': 2, 'activation': 'leaky_relu'},
        objectives=('gan_hinge',),
    ),
    'mlp_orthogonal': Networks(
        (4, 3, 2), _MLP, {**_MLP, 'weights': 'orthogonal', 'activation': 'max_min'}, objectives=('gan_hinge', 'wgan_layers')
    ),
    'dcgan_spectral': Networks(
        (16, 16, 3), _PLAIN_DCGAN, {**_PLAIN_DCGAN, 'weights': 'spectral'}, objectives=('gan_hinge', 'wgan_layers')
    ),
    'dcgan_orthogonal': Networks(
        (16, 16, 3),
        _PLAIN_DCGAN,
        {**_DCGAN, 'norm': 'none', 'num_extra_layers': 1, 'weights': 'orthogonal', 'activation': 'max_min'},
        objectives=('wgan_layers',),
    ),
    'resnet': Networks((16, 16, 3), *2 * ({'network': 'resnet', 'num_features': 2},), objectives=('gan_non_saturating', *_WGANS)),
}

OBJECTIVES = {
    'gan_minimax': Objective('minimax', {'name': 'amsgrad', 'learning_rate': 1e-3, 'b1': 0.9, 'b2': 0.999}),
    'gan_non_saturating': Objective('non_saturating', {'name': 'adam', 'learning_rate': 2e-4, 'b1': 0.5, 'b2': 0.999}),
    'gan_hinge': Objective('hinge', {'name': 'adam', 'learning_rate': 2e-4, 'b1': 0.5, 'b2': 0.999}),
    'wgan_layers': Objective('wasserstein', {'name': 'adam', 'learning_rate': 1e-4, 'b1': 0.0, 'b2': 0.9}),  # bounded by its layers
    'wgan_rmsprop': Objective('wasserstein', {'name': 'rmsprop', 'learning_rate': 5e-5, 'b1': 0.0, 'b2': 0.9}, clip_value=0.01),
    'wgan_amsgrad': Objective('wasserstein', {'name': 'amsgrad', 'learning_rate': 5e-5, 'b1': 0.9, 'b2': 0.999}, clip_value=0.01),
    'wgan_gp': Objective('wasserstein', {'name': 'adam', 'learning_rate': 1e-4, 'b1': 0.0, 'b2': 0.9}, gp_weight=10.0),
    'wgan_lp': Objective(
        'wasserstein', {'name': 'adam', 'learning_rate': 1e-4, 'b1': 0.5, 'b2': 0.9}, gp_weight=10.0, gp_one_sided=True
    ),
}


def pairs() -> Iterator[tuple[str, str]]:
    """The names of networks and objectives that are compared."""
    for name, networks in NETWORKS.items():
        for objective in networks.objectives:
            yield name, objective


def real_images(inputs: dict[str, np.ndarray]) -> np.ndarray:
    """The real images of the inputs in a fixture: float32 in [-1, 1], [rounds, n_critic, B, H, W, C]."""
    return (inputs['pixels'] / 127.5 - 1).astype(np.float32)


def uniforms(noise: np.ndarray) -> np.ndarray:
    """Numbers in (0, 1) from the bytes in a fixture. A value of the network survives dropout if its number is below 1 - rate."""
    return (noise + 0.5) / 256


def below(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names start with `prefix`/, by the rest of their names."""
    return {name.removeprefix(f'{prefix}/'): values for name, values in arrays.items() if name.startswith(f'{prefix}/')}


def summary(variables: dict[str, np.ndarray]) -> np.ndarray:
    """Three checksums of all values, in the order of their names, and a sample of the values."""
    values = np.concatenate([variables[name].astype(np.float64).reshape(-1) for name in sorted(variables)])
    weights = np.cos(np.arange(values.size))
    sample = values[np.linspace(0, values.size - 1, SAMPLE).astype(int)]
    return np.concatenate([[values.sum(), np.square(values).sum(), weights @ values], sample])
