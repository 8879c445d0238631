"""What the figure says of a critic, against the scores of the state that was saved."""

import csv
from pathlib import Path

import numpy as np
import pytest

from papers import Options, overfitting
from papers.runs import config_of
from wgan_jax.algorithm.steps import to_float
from wgan_jax.data import digits
from wgan_jax.runs.saved_run import open_run

MLP = {'network': 'mlp', 'num_features': 4, 'num_layers': 1, 'norm': 'none'}
TINY = {'batch_size': 8, 'n_critic': 2, 'latent_dim': 3, 'generator': MLP, 'critic': MLP}


def tiny(options):
    config = config_of('digits_wgan_gp', options, num_steps=6, num_scores=2, **TINY)
    config.data.fraction = 1 / 5
    return config


def test_losses_are_those_of_the_saved_critic(tmp_path):
    found = overfitting.follow(tiny(Options(Path('unused'), quick=True)), tmp_path / 'run', 250)
    np.testing.assert_array_equal(found['step'], [3, 6])
    trained_on, others = digits.source('train').load()[:250], digits.source('test').load()[:250]
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
def test_the_file_holds_what_is_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(overfitting, 'config_of', lambda name, options, **others: tiny(options))
    monkeypatch.setattr(overfitting, 'PARTS', {'300 digits': 1 / 5, 'all digits': 1.0})
    monkeypatch.setattr(overfitting, 'QUICK', overfitting.Size(6, 2, 250, {}))
    overfitting.draw(Options(tmp_path, quick=True))
    with (tmp_path / 'overfitting.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['trained_on'] for row in rows] == [title for title in overfitting.PARTS for _ in range(2)]
    assert f'{float(rows[1]["training"]):.3g} on training and {float(rows[1]["validation"]):.3g}' in capsys.readouterr().out
