"""The estimate of a run beside the quality of its samples: with made-up histories, and with tiny runs."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy.stats import spearmanr

from papers import estimate_and_quality, generators, js_estimate
from papers.shared import curves
from papers.shared.output import Options
from papers.shared.runs import History, Size, experiment_of, score_name
from tests.papers.rows import rows_of
from wgan_jax.algorithm.state import generate
from wgan_jax.data import digits
from wgan_jax.disk import replace_file
from wgan_jax.metrics import scores
from wgan_jax.metrics.features import registry
from wgan_jax.runs.saved_run import open_run
from wgan_jax.sample.generator import to_uint8

SIZE = Size(num_steps=30, num_scores=2, num_samples=250)
MLP = {'network': 'mlp', 'num_features': 4, 'num_layers': 1, 'norm': 'none'}
TINY = {'batch_size': 8, 'n_critic': 2, 'generator': MLP, 'critic': MLP}


def made_up(estimate, quality):
    steps = np.arange(10, 10 * len(estimate) + 1, 10)
    scored = np.linspace(10, steps[-1], len(quality)).astype(int)
    return History(steps, {'wasserstein_estimate': np.array(estimate)}, scored, np.array(quality), np.zeros((0,)))


def test_running_median_and_rank_correlation():
    random = np.random.default_rng(0)
    estimate, quality = random.normal(size=41), [3.0, 1.0, 1.0, 7.0, 5.0]
    one = curves.curve(made_up(estimate, quality), lambda metrics: metrics['wasserstein_estimate'])
    np.testing.assert_array_equal(one.raw, estimate)
    np.testing.assert_allclose(one.median[20], np.median(estimate[13:28]))
    np.testing.assert_allclose(one.median[[0, -1]], [np.median(estimate[:8]), np.median(estimate[-8:])])
    np.testing.assert_allclose(one.at_scores, one.median[[0, 10, 20, 30, 40]])
    np.testing.assert_allclose(one.correlation, spearmanr(one.at_scores, quality).statistic)
    assert np.isnan(curves.curve(made_up(estimate, [2.0] * 5), lambda metrics: metrics['wasserstein_estimate']).correlation)


def test_the_js_estimate_is_0_for_a_guessing_critic_and_log_2_for_a_certain_one():
    losses = np.array([2 * np.log(2.0), 0.0])
    np.testing.assert_allclose(js_estimate.divergence({'critic_loss': losses}), [0.0, np.log(2.0)], atol=1e-12)


@pytest.mark.slow
def test_the_files_have_the_numbers_of_the_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(estimate_and_quality, 'QUICK', SIZE)
    monkeypatch.setattr(estimate_and_quality, 'QUICK_GAMES', {'MLP': ('digits_wgan', TINY)})
    estimate_and_quality.draw(Options(tmp_path, quick=True))
    run_dir = tmp_path / 'runs' / 'estimate_and_quality_quick_0'
    logged = [json.loads(line) for line in (run_dir / 'metrics.jsonl').read_text().splitlines()]
    curve = rows_of(tmp_path / 'estimate_and_quality_curves.csv')
    assert [float(row['estimate']) for row in curve] == [line['wasserstein_estimate'] for line in logged]
    rows = rows_of(tmp_path / 'estimate_and_quality.csv')
    assert [int(row['step']) for row in rows] == [15, 30]
    assert float(rows[1]['estimate']) == float(curve[29]['estimate_median'])
    images = digits.source('train').load()
    scorer = scores.Scorer(images, None, registry.load('digits_cnn', None), num_samples=250)
    latents = jax.random.normal(jax.random.key(1), (1, 250, 32))[0]
    for row in rows:
        measured, _ = scorer.score(to_uint8(generate(open_run(str(run_dir), row['step']).state_for_images(), latents)))
        np.testing.assert_allclose(float(row['fd_digits_cnn']), measured['fd_digits_cnn_250'], rtol=1e-4)
    assert f'correlation {float(rows[0]["spearman"]):.2f}.' in capsys.readouterr().out
    replace_file(tmp_path / 'estimate_and_quality.csv', b'')
    estimate_and_quality.draw(Options(tmp_path, quick=True))  # the run is complete
    assert 'is at step 30 already' in capsys.readouterr().out
    assert rows_of(tmp_path / 'estimate_and_quality.csv') == rows


@pytest.mark.slow
def test_generators_are_scored_at_the_end(tmp_path, monkeypatch, capsys):
    games = {(game, 'MLP'): (name, TINY) for game, name in (('WGAN', 'digits_wgan'), ('GAN', 'digits_gan'))}
    monkeypatch.setattr(generators, 'QUICK', SIZE._replace(num_scores=1))
    monkeypatch.setattr(generators, 'QUICK_GAMES', games)
    generators.draw(Options(tmp_path, quick=True))
    rows = rows_of(tmp_path / 'generators.csv')
    assert [row['game'] for row in rows] == ['WGAN', 'GAN']
    printed = capsys.readouterr().out
    for row in rows:
        assert f'{float(row["fd_digits_cnn"]):.3g} ({row["game"]}, MLP)' in printed
    assert (tmp_path / 'generators.png').exists()


@pytest.mark.slow
def test_the_estimate_of_a_gan_comes_from_its_loss(tmp_path, monkeypatch):
    monkeypatch.setattr(js_estimate, 'QUICK', SIZE)
    monkeypatch.setattr(js_estimate, 'QUICK_GAMES', {'MLP': ('digits_gan', TINY)})
    js_estimate.draw(Options(tmp_path, quick=True))
    lines = (tmp_path / 'runs' / 'js_estimate_quick_0' / 'metrics.jsonl').read_text().splitlines()
    found = [float(row['estimate']) for row in rows_of(tmp_path / 'js_estimate_curves.csv')]
    np.testing.assert_allclose(found, [np.log(2.0) - json.loads(line)['critic_loss'] / 2 for line in lines], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize('module', [estimate_and_quality, js_estimate, generators])
def test_the_players_of_the_full_size_fit_their_images(module):
    for name, changes in module.FULL_GAMES.values():
        experiment = experiment_of(name, Options(Path('unused'), quick=False), num_steps=100, num_scores=5, **changes)
        state = jax.eval_shape(experiment.create_state)
        assert state.generator.apply_fn.__self__.image_shape == (64, 64, 3)
        assert (name.endswith('_mlp'), 'critic' in changes) == tuple(
            set(player.params) >= {'Dense_4'} for player in (state.generator, state.critic)
        )
        assert score_name(experiment) == 'swd'
