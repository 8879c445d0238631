"""Whole runs on the digits, with the smallest players."""

import json
import os
import signal

import numpy as np
import pytest
from PIL import Image

from configs import digits_gan, digits_wgan, digits_wgan_gp
from tests.tiny_runs import TIMING, assert_same_run, final_state, lines, stop_at, tiny, train
from wgan_jax.errors import UserError
from wgan_jax.runs.directory import locked
from wgan_jax.training import rounds


def test_a_run_leaves_everything_it_promises(tmp_path, capsys):
    config = tiny(num_steps=10)
    assert train(config, str(tmp_path / 'run')) is None
    run = tmp_path / 'run'
    assert json.loads((run / 'config.json').read_text()) == config.to_dict()
    assert [line['step'] for line in lines(run)] == [4, 8, 10]
    expected = {'step', 'critic_loss', 'generator_loss', 'wasserstein_estimate', 'gradient_penalty', *TIMING}
    assert json.loads((run / 'metrics.jsonl').read_text().splitlines()[0]).keys() == expected
    pictures = ['real.png', 'step_000000.png', 'step_000006.png', 'step_000010.png']
    assert sorted(path.name for path in (run / 'samples').iterdir()) == pictures
    with Image.open(run / 'samples' / 'real.png') as picture:
        assert picture.size == (98, 98)  # 2 x 2 images of 8 pixels, 6 times as large, a line between
    assert sorted(path.name for path in (run / 'checkpoints').iterdir() if path.name.isdigit()) == ['10', '5']
    assert len(list((run / 'tensorboard').iterdir())) == 1
    output = capsys.readouterr().out
    assert f'Done at step 10. Last picture: {run}/samples/step_000010.png' in output
    assert 'give a larger --config.num_steps' in output
    assert output.endswith(f'Report: {run}/report.html\n')
    assert 'at step 10' in (run / 'report.html').read_text()


def test_a_report_that_cannot_be_written_is_told_and_the_run_is_whole(tmp_path, capsys):
    (tmp_path / 'report.html' / 'in the way').mkdir(parents=True)
    config = tiny(num_steps=4)
    assert train(config, str(tmp_path)) is None
    assert 'Warning: the report could not be written (Is a directory)' in capsys.readouterr().out
    assert final_state(tmp_path, config)[0] == 4
    assert not (tmp_path / '.report.html.tmp').exists()


@pytest.mark.parametrize('module', [digits_gan, digits_wgan])
def test_the_other_games_run(tmp_path, module):
    train(tiny(module, num_steps=4), str(tmp_path))
    (line,) = lines(tmp_path)
    assert line.keys() == {'step', 'critic_loss', 'generator_loss', 'wasserstein_estimate'}


def test_the_logged_mean_is_over_the_rounds_since_the_last_line(tmp_path):
    train(tiny(log_every=1, num_steps=4), str(tmp_path / 'each'))
    train(tiny(log_every=4, num_steps=4), str(tmp_path / 'mean'))
    (mean,) = lines(tmp_path / 'mean')
    for name in mean.keys() - {'step'}:
        np.testing.assert_allclose(mean[name], np.mean([line[name] for line in lines(tmp_path / 'each')]), rtol=1e-5)


@pytest.mark.slow
def test_bfloat16_trains_to_the_same_estimate(tmp_path):
    """The first 300 rounds of the config as it is, in which the estimate falls to a third."""
    for dtype in ('float32', 'bfloat16'):
        config = digits_wgan_gp.get_config()
        config.update(num_steps=300, dtype=dtype)
        train(config, str(tmp_path / dtype))
    estimates = [[line['wasserstein_estimate'] for line in lines(tmp_path / dtype)] for dtype in ('float32', 'bfloat16')]
    assert estimates[0][-1] < 0.5 * estimates[0][0]
    np.testing.assert_allclose(estimates[1], estimates[0], rtol=0.15)


def test_same_seed_same_bits_other_seed_other_bits(tmp_path):
    for name, seed in (('a', 0), ('b', 0), ('c', 1)):
        train(tiny(seed=seed), str(tmp_path / name))
    assert_same_run(tmp_path / 'a', tmp_path / 'b', tiny())
    assert lines(tmp_path / 'a') != lines(tmp_path / 'c')


def test_stopped_in_the_middle_of_everything_and_resumed_is_never_stopped(tmp_path, monkeypatch):
    """A stop at step 7, which is no boundary of anything; calls of other lengths on the way."""
    train(tiny(), str(tmp_path / 'straight'))

    stop_at(7, monkeypatch)
    assert train(tiny(), str(tmp_path / 'stopped')) == signal.SIGTERM
    assert [line['step'] for line in lines(tmp_path / 'stopped')] == [4]
    monkeypatch.undo()
    monkeypatch.setattr(rounds, 'rounds_per_call', lambda seconds: 1)
    assert train(tiny(), str(tmp_path / 'stopped')) is None
    assert_same_run(tmp_path / 'straight', tmp_path / 'stopped', tiny())


def test_a_run_goes_on_when_it_is_given_more_steps(tmp_path, capsys):
    train(tiny(num_steps=6), str(tmp_path / 'longer'))
    train(tiny(num_steps=6), str(tmp_path / 'longer'))
    assert 'is at step 6 already' in capsys.readouterr().out
    train(tiny(num_steps=12), str(tmp_path / 'longer'))
    assert 'Continuing' in capsys.readouterr().out
    train(tiny(num_steps=12), str(tmp_path / 'straight'))
    assert lines(tmp_path / 'longer') == lines(tmp_path / 'straight')  # without a line for 6, which is no log point


def test_other_mathematics_is_refused_and_nothing_touched(tmp_path):
    train(tiny(num_steps=4), str(tmp_path))

    def times():
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*') if path.is_file() and path.name != '.lock'}

    before = times()
    with pytest.raises(UserError, match=r'n_critic: 2 -> 3'):
        train(tiny(num_steps=8, n_critic=3), str(tmp_path))
    assert times() == before


@pytest.mark.parametrize('player', ['critic', 'generator'])
def test_a_run_that_diverges_stops_and_is_not_saved(tmp_path, player):
    config = tiny(num_steps=20, log_every=1, checkpoint_every=1, sample_every=1)
    config[f'{player}_optimizer'].update(name='rmsprop', learning_rate=1e38)  # its first update is ten times that: infinite
    message = r'Training diverged between steps 0 and 1: .* not finite. Nothing is saved yet. Try --config.on_nan=rewind'
    with pytest.raises(UserError, match=message):
        train(config, str(tmp_path))
    assert (tmp_path / 'metrics.jsonl').read_text() == ''
    assert not any(path.name.isdigit() for path in (tmp_path / 'checkpoints').iterdir())
    assert not (tmp_path / 'samples' / 'step_000001.png').exists()


def test_a_directory_where_another_process_trains_is_refused(tmp_path):
    with locked(tmp_path), pytest.raises(UserError, match=f'Process {os.getpid()} on .* is training in {tmp_path}: wait for it'):
        train(tiny(), str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ['.lock']


def test_a_workdir_in_nobodys_home_is_told(tmp_path):
    with pytest.raises(UserError, match=r'--workdir=~nobodyhere/x starts with the home directory of an unknown user: check the path\.'):
        train(tiny(), '~nobodyhere/x')


def test_a_workdir_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match=r'--workdir=.*file/run cannot be used \(Not a directory\)'):
        train(tiny(), str(tmp_path / 'file' / 'run'))


def test_batch_norm_in_a_penalised_critic_is_refused_before_anything_is_written(tmp_path):
    config = tiny()
    config.critic.norm = 'batch'
    with pytest.raises(UserError, match=r'use config\.critic\.norm=layer or none'):
        train(config, str(tmp_path / 'run'))
    assert not (tmp_path / 'run').exists()
