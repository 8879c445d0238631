import argparse

import pytest

from configs import mnist_wgan_gp
from papers import games_on_mnist
from wgan_jax.errors import UserError
from wgan_jax.runs.config import check


def test_a_failed_training_ends_the_command(tmp_path, monkeypatch):
    class Failed:
        pid, returncode = 0, 1

        def __init__(self, *arguments, **options):
            pass

        def wait(self):
            return self.returncode

    monkeypatch.setattr(games_on_mnist.subprocess, 'Popen', Failed)
    monkeypatch.setattr(games_on_mnist.os, 'sched_setaffinity', lambda *arguments: None, raising=False)
    options = argparse.Namespace(
        games='papers', data='mnist', size='small', seeds=2, jobs=2, out=tmp_path, dir=None, manual_dir=None
    )
    with pytest.raises(UserError, match=r'Training of .*, seed 0, ended with status 1'):
        games_on_mnist.train_all(options)


def test_table():
    runs = {'GAN': [{'swd_10k': 3.0, 'slope_mean': 2.0}, {'swd_10k': 5.0, 'slope_mean': 2.0}], 'WGAN': [{'swd_10k': 1.0}]}
    assert games_on_mnist.table(runs, {'swd_5k': 0.5}) == [
        '| | GAN | WGAN | real, held out |',
        '|---|---|---|---|',
        '| swd_10k | 4 ± 1.4 | 1 | 0.5 |',
        '| slope_mean | 2 ± 0 |  |  |',
    ]


@pytest.mark.parametrize('games', games_on_mnist.GAMES)
def test_the_games_are_changes_of_keys_that_the_config_has(games):
    for changes in games_on_mnist.GAMES[games].values():
        config = mnist_wgan_gp.get_config()
        config.update_from_flattened_dict(changes)
        check(config, num_devices=1)
