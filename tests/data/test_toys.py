import numpy as np
import pytest

from wgan_jax.data import SOURCES, toys


@pytest.mark.parametrize(('name', 'number', 'deviation'), [('gaussians_8', 8, 0.0141), ('gaussians_25', 25, 0.0177)])
def test_points_lie_around_as_many_centres_as_the_name_says(name, number, deviation):
    points = toys.TOYS[name](20_000, 0)
    centres, _ = toys.CENTRES[name]
    distances = np.linalg.norm(points[:, None] - centres, axis=-1)
    nearest = distances.argmin(axis=1)
    counts = np.bincount(nearest, minlength=number)
    assert len(counts) == number
    np.testing.assert_allclose(counts / 20_000, 1 / number, atol=0.01)
    np.testing.assert_allclose((points - centres[nearest]).std(axis=0), deviation, rtol=0.03)
    np.testing.assert_allclose(points.std(axis=0), 1.0, rtol=0.02)  # which the odd scale of the authors is for


def test_the_centres_are_on_a_circle_and_on_a_lattice():
    eight, lattice = (toys.CENTRES[name][0] for name in ('gaussians_8', 'gaussians_25'))
    angles = np.sort(np.arctan2(eight[:, 1], eight[:, 0]))
    np.testing.assert_allclose(np.linalg.norm(eight, axis=1), np.sqrt(2), rtol=1e-6)
    np.testing.assert_allclose(np.diff(angles), np.pi / 4, rtol=1e-5)
    np.testing.assert_allclose(np.unique(lattice[:, 0]), np.arange(-2, 3) / np.sqrt(2), rtol=1e-6)
    assert len(np.unique(lattice, axis=0)) == 25


def test_the_roll_winds_outwards():
    """Its radius is the angle over 7.5, from 1.5 pi to 4.5 pi, but for noise of 0.25 / 7.5."""
    points = toys.swiss_roll(5000, 0)
    radius, angle = np.linalg.norm(points, axis=1) * 7.5, np.arctan2(points[:, 1], points[:, 0])
    turns = (radius - angle) / (2 * np.pi)
    off = np.abs(turns - np.rint(turns)) * 2 * np.pi / 7.5  # from the nearest arm, along a radius
    assert np.quantile(off, 0.99) < 4 * 0.25 / 7.5
    assert 4.0 < radius.min() < 4.8
    assert 14.0 < radius.max() < 15.2


@pytest.mark.parametrize('name', toys.TOYS)
def test_a_source_is_float32_in_one_piece_and_its_splits_differ(name):
    train, test = (SOURCES[name](split) for split in ('train', 'test'))
    points = train.load()
    assert points.shape == (train.num_images, *train.image_shape) == (65_536, 1, 1, 2)
    assert points.dtype == train.dtype == np.float32
    assert points.flags.c_contiguous
    np.testing.assert_array_equal(points, SOURCES[name]().load())
    pairs = (part.view(np.complex64).ravel() for part in (test.load(), points))
    assert not np.isin(*pairs).any()
