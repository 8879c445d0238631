import argparse
import signal

import numpy as np
import pytest

from configs import mnist_wgan_gp
from papers import games_on_mnist
from wgan_jax.errors import UserError
from wgan_jax.runs.config import check
from wgan_jax.runs.members import programs


def test_the_seeds_of_a_game_share_a_program_and_a_stop_ends_the_command(tmp_path, monkeypatch):
    trained = {}

    def train_group(experiments, workdir):
        trained.update({name: experiment.config for name, experiment in experiments.items()})
        return signal.SIGTERM

    monkeypatch.setattr(games_on_mnist, 'train_group', train_group)
    monkeypatch.setattr(games_on_mnist, 'use_compilation_cache', lambda: None)
    options = argparse.Namespace(games='papers', data='mnist', size='small', seeds=2, out=tmp_path, dir=None, manual_dir=None)
    with pytest.raises(UserError, match='Stopped by SIGTERM: the same command continues from here'):
        games_on_mnist.train_all(options)
    assert programs(trained) == [[f'{game},seed_{seed}' for seed in (0, 1)] for game in games_on_mnist.GAMES['papers']]
    assert trained['WGAN,seed_1']['clip_value'] == 0.01


def test_a_run_that_has_diverged_is_named_and_left_out(tmp_path, monkeypatch, capsys):
    class Scores:
        floor, protocol = {}, {}

        def __init__(self, options):
            pass

        def of(self, workdir):
            assert workdir.name not in ('GAN,seed_0', 'WGAN,seed_1')
            return {'swd_10k': 3.0}, {20_000: 4.0}, np.full((20, 4, 4, 1), 7, np.uint8)

    for game in games_on_mnist.GAMES['papers']:
        for seed in (0, 1):
            name = games_on_mnist.name_of(game, seed)
            last = {'GAN,seed_0': 8_000, 'WGAN,seed_1': None}.get(name, 20_000)
            (tmp_path / 'runs' / name / 'checkpoints' / str(last)).mkdir(parents=True)
    monkeypatch.setattr(games_on_mnist, 'train_all', lambda options: None)
    monkeypatch.setattr(games_on_mnist, 'Scores', Scores)
    games_on_mnist.main(['--seeds=2', f'--out={tmp_path}'])
    table = (tmp_path / 'table.md').read_text()
    assert 'Diverged, and left out: GAN,seed_0, WGAN,seed_1.' in table
    assert '| swd_10k | 3 | 3 | 3 ± 0 | 3 ± 0 |' in table
    assert (tmp_path / 'grids.png').exists()
    capsys.readouterr()


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
