"""Critics between two distributions whose distance and optimal critic are known: how they are trained, and how they are scored.

Source: the protocol of Korotin, Kolesov, Burnaev 2022; see wgan_jax/data/funnels.py for the distributions.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from papers.shared.critics import new_critic, train_critic
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.optimizers import make_optimizer
from wgan_jax.algorithm.state import PlayerState
from wgan_jax.algorithm.weight_clipping import clip_weights
from wgan_jax.data import funnels
from wgan_jax.data.funnels import Funnels
from wgan_jax.models import make_network

BATCH = 1024  # points of each distribution in an update
POINTS = 4096  # of each distribution for the scores
GRID = 101  # points on each side of the square on which a critic of the plane is drawn
LEARNING_RATE = 2e-4


class Method(NamedTuple):
    """A way to bound the slopes of a critic, with the published number of updates and decays of Adam."""

    label: str
    published: str | None  # name of its published rows
    updates: int
    critic: Mapping[str, Any] = MappingProxyType({})  # keys of the critic of mlp
    clip_value: float | None = None  # of the weights, not of the biases
    game: Mapping[str, Any] = MappingProxyType({})  # keyword arguments of critic_step
    decays: tuple[float, float] = (0.0, 0.9)


METHODS = {
    'clip': Method('weight clipping, c = 0.04', 'wgan', 5_000, clip_value=0.04),
    'gp': Method('gradient penalty', 'wgan-gp', 60_000, game={'gp_weight': 10.0}),
    'lp': Method('one-sided penalty', 'wgan-lp', 60_000, game={'gp_weight': 10.0, 'gp_one_sided': True}),
    'spectral': Method('spectral normalisation', 'sn-gan', 10_000, {'weights': 'spectral', 'power_iterations': 5}),
    'full_sort': Method(
        'orthogonal, full sort', 'sort-out', 25_000, {'weights': 'orthogonal', 'activation': 'full_sort'}, decays=(0.9, 0.999)
    ),
    'max_min': Method('orthogonal, MaxMin', None, 25_000, {'weights': 'orthogonal', 'activation': 'max_min'}, decays=(0.9, 0.999)),
}


class Result(NamedTuple):
    """The scores of a critic, scalars, and in the plane its values on a grid.

    Attributes:
      cosine: mean cosine between its gradient and that of the optimal critic at points of P. Where the optimal critic has no
        gradient, at a center, it counts as 0.
      gradient_error: mean squared distance of the two gradients.
      estimate: mean score on P minus mean score on Q.
      values: [GRID, GRID], rows from the lowest; empty unless the dimension is 2.
    """

    cosine: jax.Array
    gradient_error: jax.Array
    estimate: jax.Array
    values: jax.Array


def trained(pair: Funnels, seed: jax.Array, method: Method, updates: int) -> Result:
    """Trains a critic from a seed, int32, on points that are drawn afresh for each update, and scores it on fresh ones."""
    dimension = pair.centers.shape[1]
    start_key, train_key, score_key = jax.random.split(jax.random.key(seed), 3)
    critic = make_network(
        'critic', (1, 1, dimension), 'mlp', num_features=max(2 * dimension, 128), num_layers=2, **method.critic
    )  # [B, 1, 1, D] -> [B]

    def points(key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
        p_key, q_key = jax.random.split(key)
        return funnels.sample_p(pair, p_key, count), funnels.sample_q(q_key, count, dimension)

    def sample(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        of_p, of_q = points(key, BATCH)
        return of_p.reshape(-1, 1, 1, dimension), of_q  # the generator adds nothing to its latents

    state = new_critic(start_key, critic, _optimizer(method))
    state, _ = train_critic(state, sample, train_key, num_updates=updates, **{'loss': LOSSES['wasserstein'], **method.game})
    return _scores(state.critic, pair, *points(score_key, POINTS))


def scores_of_truth(pair: Funnels, key: jax.Array) -> Result:
    """The scores of the optimal critic itself."""
    p_key, q_key = jax.random.split(key)
    of_p, of_q = funnels.sample_p(pair, p_key, POINTS), funnels.sample_q(q_key, POINTS, pair.centers.shape[1])
    target = -funnels.gradient(pair, of_p)
    estimate = jnp.mean(-funnels.potential(pair, of_p)) - jnp.mean(-funnels.potential(pair, of_q))
    values = -funnels.potential(pair, _grid()).reshape(GRID, GRID) if of_p.shape[1] == 2 else jnp.zeros((0, 0))
    return Result(jnp.mean(_cosines(target, target)), jnp.zeros(()), estimate, values)


def _scores(critic: PlayerState, pair: Funnels, of_p: jax.Array, of_q: jax.Array) -> Result:
    variables = {'params': critic.params, 'batch_stats': critic.batch_stats}

    def score(points: jax.Array) -> jax.Array:  # [B, D] -> [B]
        return critic.apply_fn(variables, points.reshape(-1, 1, 1, points.shape[1]), train=False)

    found, target = jax.grad(lambda points: jnp.sum(score(points)))(of_p), -funnels.gradient(pair, of_p)
    values = score(_grid()).reshape(GRID, GRID) if of_p.shape[1] == 2 else jnp.zeros((0, 0))
    return Result(
        jnp.mean(_cosines(found, target)),
        jnp.mean(jnp.sum(jnp.square(found - target), axis=1)),
        jnp.mean(score(of_p)) - jnp.mean(score(of_q)),
        values,
    )


def _cosines(x: jax.Array, y: jax.Array) -> jax.Array:  # [B, D], [B, D] -> [B]
    lengths = jnp.linalg.norm(x, axis=1) * jnp.linalg.norm(y, axis=1)
    return jnp.where(lengths > 0, jnp.sum(x * y, axis=1) / jnp.where(lengths > 0, lengths, 1), 0)


def _grid() -> jax.Array:  # [GRID^2, 2]
    line = jnp.linspace(-funnels.HALF_SIDE, funnels.HALF_SIDE, GRID)
    return jnp.stack(jnp.meshgrid(line, line), axis=-1).reshape(-1, 2)


def _optimizer(method: Method) -> optax.GradientTransformation:
    adam = make_optimizer('adam', LEARNING_RATE, *method.decays)
    if method.clip_value is None:
        return adam

    def kernels(params: Any) -> Any:
        return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == 'kernel', params)

    return optax.chain(adam, optax.masked(clip_weights(method.clip_value), kernels))
