"""The estimates of critics beside exact distances: with made-up curves, and with a tiny run."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from papers import exact_distance
from papers.shared.output import Options
from tests.papers.rows import rows_of


def test_a_panel_has_the_medians_and_leaves_out_what_a_logarithm_cannot_show(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(exact_distance, 'save_figure', lambda figure, path: drawn.append((figure, path)))
    step, estimate = np.arange(30) + 1, np.linspace(-1.0, 2.0, 30)
    one = {'step': step, 'wasserstein_estimate': estimate, 'wasserstein_true': 2 - step / 30, 'wasserstein_floor': np.full(30, 0.5)}
    exact_distance._picture({'a': one, 'b': one}, Options(tmp_path, quick=True))
    ((figure, path),) = drawn
    assert isinstance(figure, Figure)
    assert path == tmp_path / 'exact_distance.png'
    assert [axes.get_title() for axes in figure.axes] == ['a', 'b']
    raw, median, exact, floor = (line.get_ydata() for line in figure.axes[0].lines)
    np.testing.assert_array_equal(np.isnan(raw), estimate <= 0)
    np.testing.assert_allclose(median[15], np.median(estimate[8:23]))
    np.testing.assert_allclose((exact[15], floor[15]), (2 - 16 / 30, 0.5))


@pytest.mark.slow
def test_the_files_have_the_numbers_of_the_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(exact_distance, 'RUNS', {'GAN': ('toy_gan', 40), 'WGAN-GP': ('toy_wgan_gp', 30)})
    monkeypatch.setattr(exact_distance, 'QUICK_POINTS', 16)
    exact_distance.draw(Options(tmp_path, quick=True))
    assert [row['run'] for row in rows_of(tmp_path / 'exact_distance.csv')] == ['GAN'] * 40 + ['WGAN-GP'] * 30
    for number, part in ((0, slice(0, 40)), (1, slice(40, 70))):
        lines = (tmp_path / 'runs' / f'exact_distance_quick_{number}' / 'metrics.jsonl').read_text().splitlines()
        for name in ('step', 'wasserstein_estimate', 'wasserstein_true', 'wasserstein_floor'):
            found = [float(row[name]) for row in rows_of(tmp_path / 'exact_distance.csv')[part]]
            assert found == [json.loads(line)[name] for line in lines], name
    assert 'GAN: estimate' in capsys.readouterr().out
