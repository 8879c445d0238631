"""Pairs of distributions whose Wasserstein-1 distance and optimal critic are known: funnels in a cube.

u(x) = min_n (|x - a_n| + b_n) has slope 1 almost everywhere. Q is uniform in the cube [-2.5, 2.5]^D. P is Q with each point moved
towards the center of its funnel, along a ray on which u has slope 1. So no plan is cheaper than this one, W1(P, Q) = E |x - x'|,
and -u is an optimal critic, with high scores on P.

Source: Korotin, Kolesov, Burnaev 2022, "Kantorovich Strikes Back! Wasserstein GANs are not Optimal Transport?". The centers and
biases of its 28 published pairs, funnels.npz, are from the code published with it (MIT licence, commit 359d2b1). The functions take
points of any floating type, and have no state: they can be compiled, and mapped over keys or over pairs of one shape.
"""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.data.source import choose

DIMENSIONS, COUNTS = (2, 4, 8, 16, 32, 64, 128), (4, 16, 64, 256)  # of the published pairs
HALF_SIDE = 2.5  # of the cube
POWER = 8  # of the relative distance to a center: the larger, the closer to the centers P lies
_FILE = Path(__file__).with_name('funnels.npz')
_CHUNK = 1024  # points that are moved at a time: [points, funnels, D] numbers of all may take gigabytes


class Funnels(NamedTuple):
    """The parameters of a pair."""

    centers: jax.Array  # [N, D]
    biases: jax.Array  # [N]


def load(dimension: int, count: int) -> Funnels:
    """The published pair of `count` funnels in `dimension` dimensions, numpy float32.

    Raises:
      UserError: no such pair was published.
    """
    choose('dimension', dimension, DIMENSIONS)
    choose('funnels', count, COUNTS)
    with np.load(_FILE, allow_pickle=False) as arrays:
        return Funnels(arrays[f'centers_{dimension}_{count}'], arrays[f'biases_{dimension}_{count}'])


def potential(funnels: Funnels, points: jax.Array) -> jax.Array:
    """U at points [B, D]: [B]. An optimal critic is -u."""
    return jnp.min(_values(funnels, points), axis=1)


def gradient(funnels: Funnels, points: jax.Array) -> jax.Array:
    """The gradient of u at points [B, D]: [B, D], of length 1.

    It is 0 at a point that lies on a center, where u has none; automatic differentiation of u would give NaN there.
    """
    own = jnp.argmin(_values(funnels, points), axis=1)
    return _direction(points - jnp.asarray(funnels.centers)[own])


def moved(funnels: Funnels, points: jax.Array, power: int = POWER) -> jax.Array:
    """Points of P from points of Q, [B, D]: x' of each x in the cube.

    With a the center of the funnel of x, and `up` the point at which the ray from a through x leaves the cube or the funnel:
    x' = a + t^power (up - a) with t = |x - a| / |up - a|.
    """
    return jax.vmap(lambda point: _moved(funnels, point, power))(points)


def sample_q(key: jax.Array, count: int, dimension: int) -> jax.Array:
    """Points of Q, [count, dimension], of the default floating type."""
    return jax.random.uniform(key, (count, dimension), minval=-HALF_SIDE, maxval=HALF_SIDE)


def sample_p(funnels: Funnels, key: jax.Array, count: int) -> jax.Array:
    """Points of P, [count, D]: those of sample_q for this key, moved."""
    return moved(funnels, sample_q(key, count, funnels.centers.shape[1]))


def distance(funnels: Funnels, key: jax.Array, count: int, power: int = POWER) -> tuple[jax.Array, jax.Array]:
    """W1(P, Q), as the mean of |x - x'| over `count` points, and the standard error of this mean."""
    points = sample_q(key, count, funnels.centers.shape[1])
    costs = jnp.sqrt(jnp.sum((points - moved(funnels, points, power)) ** 2, axis=1))
    return jnp.mean(costs), jnp.std(costs, ddof=1) / count**0.5


def points_of_p(funnels: Funnels, count: int, seed: int) -> np.ndarray:
    """Points of P, float32 [count, D], the same for a seed on every machine but for rare roundings."""
    random = np.random.Generator(np.random.Philox(seed))
    # In float64: rounded to float32, the points are the same on nearly all machines, and a run can be continued on another.
    with jax.enable_x64(True):
        points = jnp.asarray(random.uniform(-HALF_SIDE, HALF_SIDE, (count, funnels.centers.shape[1])))
        points = jax.lax.map(lambda point: _moved(funnels, point, POWER), points, batch_size=_CHUNK)
        return np.asarray(points).astype(np.float32)


def _values(funnels: Funnels, points: jax.Array) -> jax.Array:
    """The value of each funnel at points [B, D]: [B, N]."""
    # Not from |x|^2 - 2<x, a> + |a|^2, which loses all digits near a center, and is a product in TF32 on GPUs.
    offsets = points[:, None] - jnp.asarray(funnels.centers)[None]
    return jnp.sqrt(jnp.sum(offsets**2, axis=2)) + jnp.asarray(funnels.biases)[None]


def _direction(offset: jax.Array) -> jax.Array:
    """Vectors [..., D] scaled to length 1; 0 stays 0."""
    length = jnp.sqrt(jnp.sum(offset**2, axis=-1, keepdims=True))
    return jnp.where(length > 0, offset / jnp.where(length > 0, length, 1), 0)


def _moved(funnels: Funnels, point: jax.Array, power: int) -> jax.Array:
    """`moved` for one point [D]."""
    centers, biases = map(jnp.asarray, funnels)
    values = _values(funnels, point[None])[0]
    own = jnp.argmin(values)
    offset = point - centers[own]
    direction = _direction(offset)
    # Where the ray leaves the cube; an entry of direction 0 never does.
    moves = direction != 0
    to_walls = jnp.where(moves, (jnp.sign(direction) * HALF_SIDE - point) / jnp.where(moves, direction, 1), jnp.inf)
    # Where the ray enters funnel m: |x + r v - a_m| + b_m = u(x) + r, that is
    # r = (|x - a_m|^2 - d^2) / (2 (d - <x - a_m, v>)) with d = u(x) - b_m. The denominator is positive exactly if r > -d, and then
    # the numerator is not negative. As `gap` times a sum it stays so after rounding: a point on the border has r = 0 and stays.
    gap, d = values - values[own], values[own] - biases
    rise = d - jnp.sum((point[None] - centers) * direction[None], axis=1)
    enters = (rise > 0) & (jnp.arange(len(values)) != own)
    to_others = jnp.where(enters, gap * (gap + 2 * d) / jnp.where(enters, 2 * rise, 1), jnp.inf)
    length = jnp.sqrt(jnp.sum(offset**2))
    whole = length + jnp.minimum(jnp.min(to_walls), jnp.min(to_others))
    relative = jnp.where(length > 0, length / jnp.where(length > 0, whole, 1), 0)
    return centers[own] + relative ** (power - 1) * offset  # (up - a) is offset / relative
