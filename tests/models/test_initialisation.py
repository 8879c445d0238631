"""The distributions that parameters start from, held against the rules of the sources."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.test_models import initialise
from wgan_jax.models import make_network


def torch(fan_in, fan_out):
    """PyTorch's default for linear and convolution layers: half the width of the interval."""
    return 1 / np.sqrt(fan_in)


def glorot(fan_in, fan_out):
    """Keras's default, and the WGAN-GP authors'."""
    return np.sqrt(6 / (fan_in + fan_out))


def he(fan_in, fan_out):
    """The WGAN-GP authors' He initialisation, which uses both fans."""
    return np.sqrt(12 / (fan_in + fan_out))


def of_resnet(kernel):
    """He initialisation in 3x3 convolutions, except that of the image in the critic."""
    return he if kernel.ndim == 4 and kernel.shape[:2] == (3, 3) and kernel.shape[2] != 3 else glorot


# (network, player): the rule of its kernels, that of its biases (None for zero), and how many layers have biases in the source.
RULES = {
    ('mlp', 'critic'): (lambda kernel: torch, torch, 4),
    ('mlp', 'generator'): (lambda kernel: torch, torch, 4),
    ('upsample_cnn', 'critic'): (lambda kernel: torch, torch, 4),
    ('upsample_cnn', 'generator'): (lambda kernel: torch, torch, 2),
    ('keras_cnn', 'critic'): (lambda kernel: glorot, None, 5),
    ('keras_cnn', 'generator'): (lambda kernel: glorot, None, 0),
    ('resnet', 'critic'): (of_resnet, None, 6),
    ('resnet', 'generator'): (of_resnet, None, 6),
}


def layers_of(player, network, **options):
    """{name: parameters} of every layer and norm."""
    inputs = {'generator': jnp.zeros((1, 50)), 'critic': jnp.zeros((1, 16, 16, 3))}[player]
    params = initialise(make_network(player, (16, 16, 3), network, num_features=32, **options), inputs)['params']
    return {name: {part: np.asarray(leaf) for part, leaf in layer.items()} for name, layer in params.items()}


@pytest.mark.parametrize(('network', 'player'), RULES)
def test_uniform_distributions(network, player):
    of_kernel, of_bias, with_bias = RULES[network, player]
    layers = layers_of(player, network, **({'norm': 'none'} if (network, player) == ('upsample_cnn', 'critic') else {}))
    assert sum('kernel' in layer and 'bias' in layer for layer in layers.values()) == with_bias
    for name, layer in layers.items():
        if 'kernel' not in layer:
            assert (layer['scale'] == 1).all(), name
            assert not layer['bias'].any(), name
            continue
        kernel = layer['kernel']
        area = int(np.prod(kernel.shape[:-2]))
        fans = area * kernel.shape[-2], area * kernel.shape[-1]
        bound = of_kernel(kernel)(*fans)
        np.testing.assert_allclose([kernel.min(), kernel.max()], [-bound, bound], rtol=0.1, err_msg=name)
        if kernel.size > 1000:
            np.testing.assert_allclose(kernel.std(), bound / np.sqrt(3), rtol=0.05, err_msg=name)
        if 'bias' in layer:
            if of_bias is None:
                assert not layer['bias'].any(), name
            else:
                bound = of_bias(*fans)
                assert 0 < np.abs(layer['bias']).max() <= bound, name
                if layer['bias'].size > 20:
                    np.testing.assert_allclose(layer['bias'].std(), bound / np.sqrt(3), rtol=0.25, err_msg=name)


@pytest.mark.parametrize(('player', 'norm'), [('generator', 'batch'), ('critic', 'batch'), ('critic', 'none')])
def test_dcgan_starts_from_normal_distributions(player, norm):
    """Kernels from N(0, 0.02), scales of norms from N(1, 0.02) (Radford et al. 2016), biases at 0."""
    layers = layers_of(player, 'dcgan', num_extra_layers=1, norm=norm)
    for name, layer in layers.items():
        if 'kernel' in layer:
            np.testing.assert_allclose(layer['kernel'].std(), 0.02, rtol=0.06, err_msg=name)
            np.testing.assert_allclose(layer['kernel'].mean(), 0.0, atol=2e-3, err_msg=name)
        assert not layer.get('bias', np.zeros(1)).any(), name
    if norm != 'none':
        scales = np.concatenate([layer['scale'] for layer in layers.values() if 'scale' in layer])
        np.testing.assert_allclose(scales.mean(), 1.0, atol=0.005)
        np.testing.assert_allclose(scales.std(), 0.02, rtol=0.2)
