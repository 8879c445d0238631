import warnings

import numpy as np
from matplotlib.figure import Figure

from wgan_jax.plane import draw_surface

REAL, FAKE = np.array([[0.5, -1.0], [1.5, 0.0]]), np.array([[-0.5, 1.0]])


def lines_of(axes):
    """Each line of equal value: (value, points)."""
    (contours,) = axes.collections
    levels = zip(contours.levels, contours.get_paths(), strict=True)
    return [(level, path.vertices) for level, path in levels if len(path.vertices)]


def test_lines_lie_where_the_critic_has_their_value_and_x_is_the_first_channel():
    axes = Figure().subplots()
    low, high = draw_surface(axes, lambda points: points[:, 0, 0, 0] + 3 * points[:, 0, 0, 1], REAL, FAKE, limit=2.0)
    np.testing.assert_allclose((low, high), (-8, 8), rtol=1e-6)
    lines = lines_of(axes)
    assert len(lines) > 10
    for level, points in lines:
        np.testing.assert_allclose(points[:, 0] + 3 * points[:, 1], level, atol=1e-5)


def test_the_critic_sees_points_as_images_of_one_pixel():
    seen = []
    draw_surface(Figure().subplots(), lambda points: seen.append(points) or points[:, 0, 0, 0], REAL, FAKE, limit=1.0)
    (points,) = seen
    assert points.dtype == np.float32
    assert points.shape[1:] == (1, 1, 2)
    np.testing.assert_array_equal([points.min(axis=0), points.max(axis=0)], [[[[-1, -1]]], [[[1, 1]]]])


def test_points_of_either_kind_are_where_they_are():
    axes = Figure().subplots()
    draw_surface(axes, lambda points: points[:, 0, 0, 1], REAL.reshape(-1, 1, 1, 2), FAKE, limit=2.0)
    drawn = {line.get_label(): line.get_xydata() for line in axes.lines}
    np.testing.assert_array_equal(drawn['real'], REAL)
    np.testing.assert_array_equal(drawn['generated'], FAKE)
    assert axes.get_xlim() == axes.get_ylim() == (-2, 2)


def test_a_constant_critic_has_no_lines():
    axes = Figure().subplots()
    with warnings.catch_warnings(action='error'):
        assert draw_surface(axes, lambda points: np.full(len(points), 7.0), REAL, FAKE, limit=1.0) == (7, 7)
    assert not axes.collections
