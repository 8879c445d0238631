import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from wgan_jax.data import funnels, make_source
from wgan_jax.data.funnels import COUNTS, DIMENSIONS, HALF_SIDE, Funnels
from wgan_jax.errors import UserError

PUBLISHED_POINTS, COUNT = 4096, 2048
# W1(P, Q) as published with the code of Korotin et al. 2022 (commit 359d2b1), from 4,096 points: {D: by number of funnels}.
PUBLISHED = {
    2: (0.8174, 0.4662, 0.2303, 0.1336),
    4: (1.3853, 1.0035, 0.7098, 0.4916),
    8: (1.8817, 1.5850, 1.2593, 1.0080),
    16: (1.9405, 1.7375, 1.5536, 1.3989),
    32: (1.8217, 1.6697, 1.5429, 1.4123),
    64: (1.4113, 1.3595, 1.3173, 1.2826),
    128: (1.1424, 1.0720, 1.0448, 1.0415),
}
PAIRS = [(dimension, count) for dimension in DIMENSIONS for count in COUNTS]
SOME = [(2, 4), (2, 256), (8, 16), (32, 64)]
move, potential, gradient = jax.jit(funnels.moved, static_argnums=2), jax.jit(funnels.potential), jax.jit(funnels.gradient)


def points_of(dimension, count=2000, seed=0):
    return np.random.default_rng(seed).uniform(-HALF_SIDE, HALF_SIDE, (count, dimension))


def pair_of(dimension, count, dtype=np.float64):
    return Funnels(*(array.astype(dtype) for array in funnels.load(dimension, count)))


@jax.jit
def measured(pair, key):
    """W1 from points of a key, as the mean of u(x) - u(x'), and the standard deviation of u(Q) - u(P) for independent points."""
    points = funnels.sample_q(key, COUNT, pair.centers.shape[1])
    before, after = (funnels.potential(pair, p) for p in (points, funnels.moved(pair, points)))
    return jnp.mean(before - after), jnp.sqrt(jnp.var(before) + jnp.var(after))


def check_published(dimension, count, found, spread):
    expected = PUBLISHED[dimension][COUNTS.index(count)]
    assert abs(found - expected) < 4 * spread * np.sqrt(1 / PUBLISHED_POINTS + 1 / COUNT), (dimension, count)


@pytest.mark.parametrize('dimension', [2, 16, pytest.param(128, marks=pytest.mark.slow)])
def test_published_distances(dimension):
    """In one program for all numbers of funnels: with funnels that are never the lowest, pairs have one shape."""
    pairs = [funnels.load(dimension, count) for count in COUNTS]
    more = [(0, COUNTS[-1] - count) for count in COUNTS]
    centers = np.stack([np.pad(pair.centers, [pad, (0, 0)]) for pair, pad in zip(pairs, more, strict=True)])
    biases = np.stack([np.pad(pair.biases, pad, constant_values=1e3) for pair, pad in zip(pairs, more, strict=True)])
    found = jax.vmap(measured)(Funnels(centers, biases), jax.random.split(jax.random.key(dimension), len(COUNTS)))
    for count, distance, spread in zip(COUNTS, *np.asarray(found), strict=True):
        check_published(dimension, count, distance, spread)
        if dimension == 2:
            np.testing.assert_allclose(measured(funnels.load(2, count), jax.random.key(1))[0], distance, rtol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(('dimension', 'count'), PAIRS)
def test_published_distances_as_costs(dimension, count):
    pair = funnels.load(dimension, count)
    _, spread = measured(pair, jax.random.key(0))
    distance, error = jax.jit(functools.partial(funnels.distance, count=2**14))(pair, jax.random.key(1))
    check_published(dimension, count, distance, spread)
    np.testing.assert_allclose(distance, measured(pair, jax.random.key(2))[0], atol=4 * float(error) * np.sqrt(1 + 2**14 / COUNT))


@pytest.mark.usefixtures('double_precision')
@pytest.mark.parametrize(('dimension', 'count'), SOME)
def test_points_move_along_rays_of_slope_one(dimension, count):
    pair, points = pair_of(dimension, count), points_of(dimension)
    moved = np.asarray(move(pair, points))
    before, after = (np.asarray(potential(pair, p)) for p in (points, moved))
    lengths = np.linalg.norm(points - moved, axis=1)
    np.testing.assert_allclose(before - after, lengths, atol=1e-12)
    assert np.abs(moved).max() <= HALF_SIDE
    assert lengths.min() > 0
    np.testing.assert_allclose(gradient(pair, points), (points - moved) / lengths[:, None], atol=1e-9)
    np.testing.assert_allclose(before, (cdist(points, pair.centers) + pair.biases).min(axis=1), atol=1e-12)


@pytest.mark.usefixtures('double_precision')
@pytest.mark.parametrize(('dimension', 'count'), SOME)
def test_the_relative_distance_is_that_to_the_end_of_the_ray(dimension, count):
    """Found by bisection: on the ray, the funnel stays the lowest up to its end, and the point in the cube."""
    pair, points = pair_of(dimension, count), points_of(dimension, 200)
    own = (cdist(points, pair.centers) + pair.biases).argmin(axis=1)
    offset = points - pair.centers[own]
    low, high = np.ones(len(points)), np.full(len(points), 1e3)  # in units of |x - a|
    for _ in range(100):
        middle = (low + high) / 2
        at = pair.centers[own] + middle[:, None] * offset
        values = cdist(at, pair.centers) + pair.biases
        inside = (values[np.arange(len(at)), own] <= values.min(axis=1) + 1e-12) & (np.abs(at).max(axis=1) <= HALF_SIDE)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    for power in (8, 3):
        expected = pair.centers[own] + (low**-power * low)[:, None] * offset
        np.testing.assert_allclose(move(pair, points, power), expected, atol=1e-6)


@pytest.mark.parametrize(('dimension', 'count'), [*SOME, (128, 256)])
def test_float32_is_enough(dimension, count):
    points = points_of(dimension, 500).astype(np.float32)
    single = np.asarray(move(pair_of(dimension, count, np.float32), points))
    with jax.enable_x64(True):
        double = np.asarray(move(pair_of(dimension, count), points.astype(np.float64)))
    assert single.dtype == np.float32
    off = np.abs(single - double).max(axis=1)
    assert np.quantile(off, 0.99) < 1e-5  # near the border of two funnels, rounding may decide for the other
    assert off.max() < 2 * HALF_SIDE


ONE = Funnels(np.zeros((1, 2), np.float32), np.zeros(1, np.float32))
TWO = Funnels(np.array([[-1, 0], [1, 0]], np.float32), np.zeros(2, np.float32))


@pytest.mark.parametrize(
    ('pair', 'point', 'expected'),
    [
        (ONE, [1.25, 0], [2.5 / 2**8, 0]),
        (ONE, [0, 0], [0, 0]),  # on the center
        (ONE, [-2.5, 1], [-2.5, 1]),  # on a wall
        (ONE, [0.5, -0.5], [2.5 / 5**8, -2.5 / 5**8]),  # towards a corner
        (TWO, [-0.5, 0], [-1 + 1 / 2**8, 0]),  # as far as the border x = 0
        (TWO, [-2, 0], [-1 - 1.5 * (1 / 1.5) ** 8, 0]),  # away from the other funnel
        (TWO, [0, 1.5], [0, 1.5]),  # on the border
        (
            TWO._replace(biases=np.array([0, 9], np.float32)),
            [0.5, 0],
            [-1 + 3.5 * (1.5 / 3.5) ** 8, 0],
        ),  # the other is never lowest
    ],
)
def test_points_by_hand(pair, point, expected):
    np.testing.assert_allclose(move(pair, np.array([point], np.float32))[0], expected, rtol=2e-6, atol=1e-7)


def test_the_gradient_is_zero_on_a_center_and_else_of_length_one():
    gradients = gradient(TWO, np.array([[1, 0], [1, 1e-6], [3, 0], [-1, -2]], np.float32))
    np.testing.assert_allclose(gradients, [[0, 0], [0, 1], [1, 0], [0, -1]], atol=1e-6)


def test_no_plan_between_samples_is_cheaper():
    """-u proves that each point of a sample is best moved to its own image, and bounds the cost from other samples from below."""
    pair = pair_of(4, 16)
    points, others = points_of(4, 400), points_of(4, 400, seed=1)
    with jax.enable_x64(True):
        moved = np.asarray(move(pair, points))
        drop = float(np.mean(potential(pair, others)) - np.mean(potential(pair, moved)))
    own, strange = (cdist(p, moved)[linear_sum_assignment(cdist(p, moved))].mean() for p in (points, others))
    np.testing.assert_allclose(own, np.linalg.norm(points - moved, axis=1).mean(), rtol=1e-12)
    assert drop < strange < drop + 1


def test_draws_are_of_their_key_in_any_program():
    pair, keys = funnels.load(8, 16), jax.random.split(jax.random.key(3), 2)
    draw = functools.partial(funnels.sample_p, pair, count=50)
    mapped = jax.jit(jax.vmap(draw))(keys)
    for key, points in zip(keys, mapped, strict=True):
        np.testing.assert_allclose(points, draw(key), atol=1e-5)
        np.testing.assert_allclose(points, move(pair, funnels.sample_q(key, 50, 8)), atol=1e-5)
    assert not np.isclose(*mapped).any()
    mean, error = funnels.distance(pair, keys[0], 2000)
    costs = np.linalg.norm(funnels.sample_q(keys[0], 2000, 8) - funnels.sample_p(pair, keys[0], 2000), axis=1)
    np.testing.assert_allclose((mean, error), (costs.mean(), costs.std(ddof=1) / np.sqrt(2000)), rtol=1e-5)


def test_the_data_set_has_points_of_p():
    train, test = (make_source('w1_funnels', split=split, dimension=4, funnels=16) for split in ('train', 'test'))
    points = train.load()
    assert points.shape == (train.num_images, *train.image_shape) == (65_536, 1, 1, 4)
    assert points.dtype == train.dtype == np.float32
    assert points.flags.c_contiguous
    with jax.enable_x64(True):
        cube = np.random.Generator(np.random.Philox(0)).uniform(-HALF_SIDE, HALF_SIDE, (65_536, 4))
        expected = np.asarray(move(pair_of(4, 16, np.float32), cube[:1000]))
    np.testing.assert_allclose(points[:1000, 0, 0], expected, rtol=1e-7)
    held_out = train.held_out().load()
    np.testing.assert_array_equal(held_out, test.load())
    assert held_out.shape == (8192, 1, 1, 4)
    assert not np.isin(held_out[:, 0, 0, 0], points[:, 0, 0, 0]).all()
    assert jnp.ones(1).dtype == np.float32  # float64 is over


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'dimension': 3}, 'config.data.dimension=3 is unknown; known: 2, 4, 8, 16, 32, 64, 128.'),
        ({'funnels': 0}, 'config.data.funnels=0 is unknown; known: 4, 16, 64, 256.'),
        ({'split': 'all'}, "config.data.split='all' is unknown; known: train, test."),
        ({'image_size': 8}, 'config.data.image_size=8 does not apply to config.data.name=w1_funnels'),
    ],
)
def test_other_pairs_are_refused(options, message):
    with pytest.raises(UserError, match=message.replace('.', r'\.')):
        make_source('w1_funnels', **options)
