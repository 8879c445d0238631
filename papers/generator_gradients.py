"""Gradients of a generator far from the data while its discriminator is trained (Arjovsky and Bottou 2017, figures 2 and 3).

A generator stands still and a fresh discriminator learns to tell its images from the data. The better it gets, the smaller is the
gradient of mean(log(1 - D)), which the minimax game would have the generator follow (Theorem 2.4); that of -mean(log D), which is
followed in its place, does not fall but grows, and so does its variance (Theorem 2.6).

The paper takes DCGANs after 1, 10 and 25 epochs. Here the data are eight blobs on a circle, and the generator is an
untrained MLP, whose points are a small cloud in the middle: nothing in common with the data, as in the paper. What is looked at is
one case and not three, and -log D levels off where the paper's goes on growing: in the plane, with room between the two, a
discriminator need not become steeper and steeper.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from papers import Options, write_csv
from papers.critics import generator_gradient, train_a_critic
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.optimizers import make_optimizer
from wgan_jax.algorithm.state import GANState, create_state
from wgan_jax.data.source import POINT_SHAPE
from wgan_jax.data.toys import TOYS
from wgan_jax.devices import compiling
from wgan_jax.models import make_network
from wgan_jax.runs.files import save_figure

_SHOWN = {'minimax': (r'$\log(1 - D)$', '#2a6fbb'), 'non_saturating': (r'$-\log\,D$', '#d9762b')}  # label, colour
_LATENT_DIM = 16
_POINTS = 65_536  # of the data
_BATCHES = 16  # of latents, whose gradients are compared


class Sizes(NamedTuple):
    """How much is trained."""

    num_features: int
    num_updates: int
    num_looks: int  # at the gradients, equally far from each other
    num_seeds: int
    batch_size: int


QUICK = Sizes(num_features=64, num_updates=2_000, num_looks=100, num_seeds=3, batch_size=64)
FULL = Sizes(num_features=512, num_updates=4_000, num_looks=200, num_seeds=10, batch_size=64)


class Look(NamedTuple):
    """What the generator would be told, over batches of latents."""

    norm: jax.Array  # of the gradient, the mean over batches
    variance: jax.Array  # of the gradient over batches, summed over parameters


def draw(options: Options, sizes: Sizes | None = None) -> None:
    """Makes generator_gradients.png and generator_gradients.csv, a line for each look at each seed."""
    sizes = sizes or (QUICK if options.quick else FULL)
    measure = compiling.compiled(functools.partial(_measured, sizes=sizes))
    data = jnp.asarray(TOYS['gaussians_8'](_POINTS, 0).reshape(-1, *POINT_SHAPE))
    found = [jax.device_get(measure(data, jax.random.key(seed))) for seed in range(sizes.num_seeds)]
    looks = {name: Look(*np.stack([look[name] for look in found], axis=1)) for name in _SHOWN}  # [num_seeds, num_looks + 1]
    updates = np.arange(sizes.num_looks + 1) * (sizes.num_updates // sizes.num_looks)
    seeds, column = np.indices(looks['minimax'].norm.shape)
    columns = {'seed': seeds.ravel(), 'update': updates[column.ravel()]}
    for name, look in looks.items():
        columns |= {f'{name}_norm': look.norm.ravel(), f'{name}_variance': look.variance.ravel()}
    write_csv(options.out / 'generator_gradients.csv', columns)
    _picture(updates, looks, options)
    (fell, _), (grew, noisier) = ([values.mean(axis=0)[[0, -1]] for values in looks[name]] for name in _SHOWN)
    print(
        f'In {updates[-1]} updates of the discriminator the gradient of log(1 - D) falls from {fell[0]:.2g} to {fell[1]:.2g}, a '
        f'{fell[0] / fell[1]:,.0f}th; that of -log D grows from {grew[0]:.2g} to {grew[1]:.2g}, and its variance between batches '
        f'from {noisier[0]:.2g} to {noisier[1]:.2g}. Means of {sizes.num_seeds} seeds.'
    )


def _measured(data: jax.Array, key: jax.Array, *, sizes: Sizes) -> dict[str, Look]:
    """Looks at the gradients of both losses before training and after each part of it, [num_looks + 1]."""
    init_key, train_key, latent_key = jax.random.split(key, 3)
    generator = make_network('generator', POINT_SHAPE, 'mlp', num_features=sizes.num_features)
    critic = make_network('critic', POINT_SHAPE, 'mlp', num_features=sizes.num_features)
    optimizers = [make_optimizer('adam', 1e-3, 0.5, 0.999) for _ in range(2)]
    state = create_state(init_key, generator, critic, *optimizers, latent_dim=_LATENT_DIM)

    def sample(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        real_key, fake_key = jax.random.split(key)
        places = jax.random.randint(real_key, (sizes.batch_size,), 0, len(data))
        return data[places], jax.random.normal(fake_key, (sizes.batch_size, _LATENT_DIM))

    latents = jax.random.normal(latent_key, (_BATCHES, sizes.batch_size, _LATENT_DIM))

    def body(state: GANState, _: None) -> tuple[GANState, dict[str, Look]]:
        trained, _ = train_a_critic(
            state, sample, train_key, num_updates=sizes.num_updates // sizes.num_looks, loss=LOSSES['minimax']
        )
        return trained, {name: _look(state, latents, name) for name in _SHOWN}

    return jax.lax.scan(body, state, length=sizes.num_looks + 1)[1]


def _look(state: GANState, latents: jax.Array, name: str) -> Look:
    gradients = jax.vmap(lambda batch: generator_gradient(state, batch, LOSSES[name]))(latents)
    vectors = jnp.concatenate([leaf.reshape(len(latents), -1) for leaf in jax.tree.leaves(gradients)], axis=1)
    return Look(jnp.mean(jnp.linalg.norm(vectors, axis=1)), jnp.sum(jnp.var(vectors, axis=0)))


def _picture(updates: np.ndarray, looks: dict[str, Look], options: Options) -> None:
    """Norms on the left and variances on the right, a thin line for each seed and a thick one for their geometric mean."""
    figure = Figure(figsize=(9, 3.8), layout='constrained')
    panels = figure.subplots(1, 2)
    for name, (label, colour) in _SHOWN.items():
        for axes, values in zip(panels, looks[name], strict=True):
            axes.plot(updates, values.T, color=colour, linewidth=0.6, alpha=0.6)
            axes.plot(updates, np.exp(np.log(values).mean(axis=0)), color=colour, linewidth=2, label=label)
    for axes, title in zip(panels, ('Norm of its gradient', 'Variance of its gradient between batches'), strict=True):
        axes.set(yscale='log', xlabel='updates of the discriminator', title=title)
    panels[0].legend(title="the generator's loss", loc='center right')
    save_figure(figure, options.out / 'generator_gradients.png')
