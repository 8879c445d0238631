import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from configs import toy_wgan_gp
from tests.tiny_runs import assert_same_run, images_of, tiny, train
from wgan_jax.errors import UserError
from wgan_jax.runs.saved_run import open_run
from wgan_jax.sample.plane import draw_surface, picture, scatter

REAL, FAKE = np.array([[0.5, -1.0], [1.5, 0.0]]), np.array([[-0.5, 1.0]])


def lines_of(axes):
    """Each line of equal value: (value, points)."""
    (contours,) = axes.collections
    levels = zip(contours.levels, contours.get_paths(), strict=True)
    return [(level, path.vertices) for level, path in levels if len(path.vertices)]


def test_the_critic_has_the_value_of_a_line_along_it_and_x_is_the_first_channel():
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


def test_real_and_generated_points_are_drawn_at_their_coordinates():
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


def points_config():
    return tiny(toy_wgan_gp, checkpoint_every=12, sample_every=12)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp('points')
    assert train(points_config(), directory) is None
    return directory


@pytest.mark.slow
def test_a_run_on_points_is_the_same_from_host_memory(run, tmp_path):
    config = points_config()
    config.data.placement = 'host'
    assert train(config, tmp_path) is None
    assert_same_run(run, tmp_path, config)


def test_a_run_on_points_shows_its_critic(run):
    state = open_run(str(run)).state
    points = images_of(points_config())[:4]
    weights = {'params': state.ema['params'], 'batch_stats': {}}
    np.testing.assert_array_equal(picture(points), np.asarray(Image.open(run / 'samples' / 'real.png')))
    drawn = np.asarray(Image.open(run / 'samples' / 'step_000012.png'))
    assert drawn.shape == (480, 480, 3)
    assert (drawn != picture(points)).any()
    assert np.abs(state.generator.apply_fn(weights, np.full((1, 3), 1e4, np.float32), train=False)).max() > 1  # no tanh


def test_scores_of_points_are_refused(tmp_path):
    with pytest.raises(UserError, match=r'^config.eval_every=5 asks for scores, which exist for images only: set it to None.$'):
        train(tiny(toy_wgan_gp, eval_every=5), tmp_path)


def test_points_of_more_dimensions_are_shown_by_their_first_two_coordinates():
    points = np.random.default_rng(0).normal(size=(20, 1, 1, 5)).astype(np.float32)
    others = np.concatenate([points[..., :2], 9 - points[..., 2:]], axis=-1)
    np.testing.assert_array_equal(picture(points, points[:3]), picture(others, others[:3]))
    assert (picture(points, points[:3]) != picture(points, points[3:6])).any()
    (drawn,) = scatter(points).axes[0].collections
    np.testing.assert_array_equal(drawn.get_offsets(), points[:, 0, 0, :2])
    assert scatter(points).axes[0].get_title() == '20 generated points, first two of 5 coordinates'
    assert scatter(points[..., :2]).axes[0].get_title() == '20 generated points'
