import numpy as np
import pytest

from wgan_jax.sample.walks import loop, slerp


def test_the_arc_between_two_directions():
    root = np.sqrt(0.5)
    np.testing.assert_allclose(slerp([1.0, 0.0], [0.0, 1.0], 0.5), [root, root])
    np.testing.assert_allclose(slerp([1.0, 0.0], [0.0, 1.0], 1 / 3), [np.cos(np.pi / 6), 0.5])
    np.testing.assert_allclose(slerp([2.0, 0.0], [-root, root], 0.0), [2.0, 0.0])
    np.testing.assert_allclose(slerp([2.0, 0.0], [-root, root], 1.0), [-root, root], atol=1e-15)


def test_the_norm_stays():
    one, other = np.random.default_rng(0).standard_normal((2, 100))
    other *= np.linalg.norm(one) / np.linalg.norm(other)
    norms = [np.linalg.norm(slerp(one, other, share)) for share in np.linspace(0, 1, 7)]
    np.testing.assert_allclose(norms, np.linalg.norm(one))


@pytest.mark.parametrize(
    ('one', 'other', 'middle'),
    [
        ([1.0, 2.0], [1.0, 2.0], [1.0, 2.0]),
        ([1.0, 2.0], [2.0, 4.0], [1.5, 3.0]),
        ([0.0, 0.0], [2.0, 4.0], [1.0, 2.0]),
        ([0.0, 0.0], [0.0, 0.0], [0.0, 0.0]),
        ([1.0, 2.0], [-1.0, -2.0], [0.0, 0.0]),
    ],
)
def test_parallel_or_zero_vectors_are_joined_by_a_straight_line(one, other, middle):
    np.testing.assert_allclose(slerp(one, other, 0.5), middle)
    np.testing.assert_allclose(slerp(one, other, 1.0), other)


def test_a_loop_passes_each_stop_once_and_returns():
    stops = np.random.default_rng(1).standard_normal((3, 5)).astype(np.float32)
    way = loop(stops, 4)
    assert way.dtype == np.float32
    np.testing.assert_array_equal(way[::4], stops)
    np.testing.assert_allclose(way[11], slerp(stops[2], stops[0], 0.75), rtol=1e-6)
    assert len(way) == 12
