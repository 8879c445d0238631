"""A generator's gradients while a discriminator is trained (Arjovsky and Bottou 2017, figures 2 and 3).

The generator is fixed, far from the data, and a new discriminator learns to separate the two. The better it gets, the smaller is
the gradient of mean(log(1 - D)), the generator's loss in the minimax game (Theorem 2.4). The gradient of -mean(log D), which is
used in its place, grows, and so does its variance (Theorem 2.6).

The paper has DCGANs after 1, 10 and 25 epochs. Here the data are eight Gaussians on a circle, and the generator is an untrained
MLP, whose points are a small cloud in the middle; the two do not overlap, as in the paper. This is one case instead of three.
Unlike in the paper, the gradient of -log D stops growing: with a gap between data and generated points, a discriminator need not
become steeper and steeper.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from papers.shared.critics import generator_gradient, train_critic
from papers.shared.output import Options, write_csv
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.optimizers import make_optimizer
from wgan_jax.algorithm.state import GANState, create_state
from wgan_jax.data.source import POINT_SHAPE
from wgan_jax.data.toys import TOYS
from wgan_jax.devices import compiling
from wgan_jax.models import make_network
from wgan_jax.runs.files import save_figure
from wgan_jax.sample.colours import BLUE, ORANGE

_SHOWN = {'minimax': (r'$\log(1 - D)$', BLUE), 'non_saturating': (r'$-\log\,D$', ORANGE)}  # loss: (label, colour)
_LATENT_DIM = 16
_POINTS = 65_536  # of the data
_BATCHES = 16  # of latents, whose gradients are compared


class Size(NamedTuple):
    """How much is trained."""

    num_features: int
    num_updates: int
    num_measurements: int  # of the gradients, at equal distances
    num_seeds: int
    batch_size: int


QUICK = Size(num_features=64, num_updates=2_000, num_measurements=100, num_seeds=3, batch_size=64)
FULL = Size(num_features=512, num_updates=4_000, num_measurements=200, num_seeds=10, batch_size=64)


class Gradient(NamedTuple):
    """The generator's gradient over batches of latents."""

    norm: jax.Array  # mean over batches
    variance: jax.Array  # over batches, summed over parameters


def draw(options: Options, size: Size | None = None) -> None:
    """Writes generator_gradients.png and generator_gradients.csv, a line for each measurement of each seed."""
    size = size or (QUICK if options.quick else FULL)
    measure = compiling.compiled(functools.partial(_measured, size=size))
    data = jnp.asarray(TOYS['gaussians_8'](_POINTS, 0).reshape(-1, *POINT_SHAPE))
    found = [jax.device_get(measure(data, jax.random.key(seed))) for seed in range(size.num_seeds)]
    gradients = {name: Gradient(*np.stack([one[name] for one in found], axis=1)) for name in _SHOWN}  # [seeds, measurements + 1]
    updates = np.arange(size.num_measurements + 1) * (size.num_updates // size.num_measurements)
    seeds, column = np.indices(gradients['minimax'].norm.shape)
    columns = {'seed': seeds.ravel(), 'update': updates[column.ravel()]}
    for name, gradient in gradients.items():
        columns |= {f'{name}_norm': gradient.norm.ravel(), f'{name}_variance': gradient.variance.ravel()}
    write_csv(options.out / 'generator_gradients.csv', columns)
    _picture(updates, gradients, options)
    (norm, _), (other_norm, variance) = ([values.mean(axis=0)[[0, -1]] for values in gradients[name]] for name in _SHOWN)
    print(
        f'In {updates[-1]} updates of the discriminator, the norm of the gradient of log(1 - D) falls from {norm[0]:.2g} to '
        f'{norm[1]:.2g}, by a factor of {norm[0] / norm[1]:,.0f}. The norm of the gradient of -log D grows from '
        f'{other_norm[0]:.2g} to {other_norm[1]:.2g}, and its variance between batches from {variance[0]:.2g} to '
        f'{variance[1]:.2g}. All are means of {size.num_seeds} seeds.'
    )


def _measured(data: jax.Array, key: jax.Array, *, size: Size) -> dict[str, Gradient]:
    """The gradients of both losses before training and after each part of it, [num_measurements + 1]."""
    init_key, train_key, latent_key = jax.random.split(key, 3)
    generator = make_network('generator', POINT_SHAPE, 'mlp', num_features=size.num_features)
    critic = make_network('critic', POINT_SHAPE, 'mlp', num_features=size.num_features)
    optimizers = [make_optimizer('adam', 1e-3, 0.5, 0.999) for _ in range(2)]
    state = create_state(init_key, generator, critic, *optimizers, latent_dim=_LATENT_DIM)

    def sample(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        real_key, fake_key = jax.random.split(key)
        places = jax.random.randint(real_key, (size.batch_size,), 0, len(data))
        return data[places], jax.random.normal(fake_key, (size.batch_size, _LATENT_DIM))

    latents = jax.random.normal(latent_key, (_BATCHES, size.batch_size, _LATENT_DIM))

    def body(state: GANState, _: None) -> tuple[GANState, dict[str, Gradient]]:
        num_updates = size.num_updates // size.num_measurements
        trained, _ = train_critic(state, sample, train_key, num_updates=num_updates, loss=LOSSES['minimax'])
        return trained, {name: _gradient(state, latents, name) for name in _SHOWN}

    return jax.lax.scan(body, state, length=size.num_measurements + 1)[1]


def _gradient(state: GANState, latents: jax.Array, name: str) -> Gradient:
    gradients = jax.vmap(lambda batch: generator_gradient(state, batch, LOSSES[name]))(latents)
    vectors = jnp.concatenate([leaf.reshape(len(latents), -1) for leaf in jax.tree.leaves(gradients)], axis=1)
    return Gradient(jnp.mean(jnp.linalg.norm(vectors, axis=1)), jnp.sum(jnp.var(vectors, axis=0)))


def _picture(updates: np.ndarray, gradients: dict[str, Gradient], options: Options) -> None:
    """Norms on the left and variances on the right: thin lines for the seeds, thick ones for their geometric mean."""
    figure = Figure(figsize=(9, 3.8), layout='constrained')
    panels = figure.subplots(1, 2)
    for name, (label, colour) in _SHOWN.items():
        for axes, values in zip(panels, gradients[name], strict=True):
            axes.plot(updates, values.T, color=colour, linewidth=0.6, alpha=0.6)
            axes.plot(updates, np.exp(np.log(values).mean(axis=0)), color=colour, linewidth=2, label=label)
    for axes, title in zip(panels, ('Norm of the gradient', 'Variance of the gradient between batches'), strict=True):
        axes.set(yscale='log', xlabel='updates of the discriminator', title=title)
    panels[0].legend(title="the generator's loss", loc='center right')
    save_figure(figure, options.out / 'generator_gradients.png')
