"""The numbers of the figure against the scores of the saved states."""

from pathlib import Path

import numpy as np
import pytest

from papers import overfitting
from papers.shared.output import Options
from papers.shared.runs import experiment_of
from tests.papers.rows import rows_of
from wgan_jax.algorithm.steps import to_float
from wgan_jax.data import digits, make_source
from wgan_jax.runs.saved_run import open_run

MLP = {'network': 'mlp', 'num_features': 4, 'num_layers': 1, 'norm': 'none'}
TINY = {'batch_size': 8, 'n_critic': 2, 'latent_dim': 3, 'generator': MLP, 'critic': MLP}


def tiny(options):
    return experiment_of('digits_wgan', options, num_steps=4, num_scores=2, **TINY, data={'fraction': 1 / 5})


@pytest.mark.slow
def test_losses_are_those_of_the_saved_critic(tmp_path):
    found = overfitting.follow(tiny(Options(Path('unused'), quick=True)), tmp_path / 'run', 250)
    np.testing.assert_array_equal(found['step'], [2, 4])
    trained_on, others = make_source('digits', 1 / 5, split='train').load()[:250], digits.source('test').load()[:250]
    for i in range(2):
        state = open_run(str(tmp_path / 'run'), str(found['step'][i])).state

        def scores(images, critic=state.critic):
            return critic.apply_fn({'params': critic.params}, to_float(images), train=False)

        gap = found['training'][i] - found['validation'][i]
        np.testing.assert_allclose(gap, scores(trained_on).mean() - scores(others).mean(), rtol=1e-3)
        latents = np.random.default_rng(0).normal(size=(20_000, 3)).astype(np.float32)
        fake = scores(state.generator.apply_fn({'params': state.generator.params}, latents, train=False))
        noise = fake.std() / np.sqrt(250)
        np.testing.assert_allclose(found['validation'][i], scores(others).mean() - fake.mean(), atol=4 * noise)


@pytest.mark.slow
def test_the_file_has_the_printed_numbers(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(overfitting, 'experiment_of', lambda name, options, **others: tiny(options))
    monkeypatch.setattr(overfitting, 'PARTS', {'300 digits': 1 / 5, 'all digits': 1.0})
    overfitting.draw(Options(tmp_path, quick=True), overfitting.Size(4, 2, 250, {}))
    rows = rows_of(tmp_path / 'overfitting.csv')
    assert [row['trained_on'] for row in rows] == [title for title in overfitting.PARTS for _ in range(2)]
    training, validation = float(rows[1]['training']), float(rows[1]['validation'])
    assert f'{training:.3g} on training images and {validation:.3g} on validation images' in capsys.readouterr().out
