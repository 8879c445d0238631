"""The pictures of an evaluation."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from wgan_jax.evaluate import plots


def record(step, value, **more):
    return {'step': step, 'scores': {'fd_x_1k': value}, 'floor': {'fd_x_297': 1.0}, **more}


def test_a_score_is_drawn_with_as_many_samples_as_real_images():
    """Otherwise the line of real images would be too high: most scores fall with the number of images."""
    records = [record(5, 2.5, as_many={'fd_x_297': 4.0}), record(10, 1.5, as_many={'fd_x_297': 3.0})]
    axes = Figure().subplots()
    plots.draw_score(axes, records, 'fd_x_1k')
    assert plots.draw_floor(axes, records, 'fd_x_1k')
    score, floor = axes.lines
    np.testing.assert_array_equal(score.get_xydata(), [[5, 4.0], [10, 3.0]])
    assert list(floor.get_ydata()) == [1.0, 1.0]
    assert len(axes.texts) == 0


@pytest.mark.parametrize(('more', 'value'), [({}, '2.5'), ({'as_many': {}}, '2.5'), ({'as_many': {'fd_x_297': 4.25}}, '4.25')])
def test_a_single_score_has_its_value_beside_it(more, value):
    axes = Figure().subplots()
    plots.draw_score(axes, [record(5, 2.5, **more)], 'fd_x_1k')
    assert [text.get_text() for text in axes.texts] == [value]


def test_pairs_that_are_alike_come_first_and_are_kept_apart(tmp_path):
    samples = np.zeros((4, 60, 60, 1), np.uint8)
    neighbours = np.stack([np.full((60, 60, 1), value, np.uint8) for value in (200, 0, 255, 10)])
    plots.nearest(samples, neighbours, tmp_path / 'nearest.png')
    picture = np.asarray(Image.open(tmp_path / 'nearest.png'))
    # a pair is 60 + 1 + 60 pixels and a gap of 10; two pairs in a row, with lines of 2 pixels between
    assert picture.shape == (2 * 62 - 2, 2 * (131 + 2) - 2)
    assert [picture[y, x] for y in (0, 62) for x in (61, 133 + 61)] == [0, 10, 200, 255]
    assert set(picture[:60, 121:133].ravel()) == {96}
