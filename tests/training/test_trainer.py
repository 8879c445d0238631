"""Whole runs on the digits, with the smallest players."""

import json
import os
import shutil
import signal

import jax
import numpy as np
import pytest
from PIL import Image

from configs import digits_gan, digits_wgan_gp, digits_wgan_sn
from tests.tiny_runs import TIMING, assert_same_run, final_state, lines, prepared, stop_at, tiny, train
from wgan_jax.algorithm.state import generate
from wgan_jax.errors import UserError
from wgan_jax.runs.directory import locked
from wgan_jax.runs.saved_run import open_run
from wgan_jax.runs.starts import read_starts
from wgan_jax.sample.generator import to_uint8
from wgan_jax.sample.grid import grid
from wgan_jax.training import rounds, trainer

LOGGED = ('critic_loss', 'generator_loss', 'real_score', 'fake_score', 'wasserstein_estimate')


def test_a_run_leaves_everything_it_promises(tmp_path, capsys):
    config, run = tiny(num_steps=10), tmp_path / 'run'
    assert trainer.train(prepared(config), str(run)) is None
    assert json.loads((run / 'config.json').read_text()) == config.to_dict()
    assert [line['step'] for line in lines(run)] == [4, 8, 10]
    expected = {'step', 'epoch', *LOGGED, 'gradient_penalty', *TIMING}
    assert json.loads((run / 'metrics.jsonl').read_text().splitlines()[0]).keys() == expected
    pictures = ['real.png', 'step_000000.png', 'step_000006.png', 'step_000010.png']
    assert sorted(path.name for path in (run / 'samples').iterdir()) == pictures
    with Image.open(run / 'samples' / 'real.png') as picture:
        assert picture.size == (98, 98)  # 2 x 2 images of 8 pixels, 6 times as large, a line between
    assert sorted(path.name for path in (run / 'checkpoints').iterdir() if path.name.isdigit()) == ['10', '5']
    assert len(list((run / 'tensorboard').iterdir())) == 1
    assert [start['step'] for start in read_starts(run)] == [0]
    output = capsys.readouterr().out
    assert f'Done at step 10. Last picture: {run}/samples/step_000010.png' in output
    assert 'give a larger --config.num_steps' in output
    assert [line[: line.index(':')] for line in output.splitlines() if line.startswith('step ')] == [
        f'step {step} of 10, epoch {16 * step / 1500:.2f}' for step in (4, 8, 10)
    ]
    assert output.endswith(f'Report: {run}/report.html\n')
    assert 'at step 10' in (run / 'report.html').read_text()


def test_a_report_that_cannot_be_written_draws_a_warning_and_the_run_is_complete(tmp_path, straight, capsys):
    run = shutil.copytree(straight, tmp_path / 'run')
    (run / 'report.html' / 'in the way').mkdir(parents=True)
    assert trainer.train(prepared(tiny()), str(run)) is None  # it is at its last step already
    assert 'Warning: the report could not be written (Is a directory)' in capsys.readouterr().out
    assert final_state(run, tiny())[0] == 12
    assert not (run / '.report.html.tmp').exists()


def test_standing_statistics_change_the_pictures_and_nothing_else(tmp_path, straight):
    """They are those of the state, so a run that was continued, here with another number of batches before, draws the same."""
    config = tiny(standing_batches=2)
    train(config, tmp_path / 'whole')
    train(tiny(standing_batches=1, num_steps=6), tmp_path / 'continued')
    train(config, tmp_path / 'continued')
    whole, continued = (final_state(tmp_path / run, config)[1] for run in ('whole', 'continued'))
    for x, y, z in zip(whole, continued, final_state(straight, tiny())[1], strict=True):
        np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(x, z)
    assert lines(tmp_path / 'whole') == lines(straight)
    pictures = [
        (run / 'samples' / 'step_000012.png').read_bytes() for run in (tmp_path / 'whole', tmp_path / 'continued', straight)
    ]
    assert pictures[0] == pictures[1] != pictures[2]
    saved = open_run(str(tmp_path / 'whole'))
    expected = to_uint8(generate(saved.state_for_images(), saved.experiment.sample_latents()))
    with Image.open(tmp_path / 'whole' / 'samples' / 'step_000012.png') as picture:
        np.testing.assert_allclose(np.asarray(picture, int), grid(expected)[..., 0], atol=1)


def test_a_gan_trains_and_logs_no_penalty(tmp_path):
    train(tiny(digits_gan, num_steps=4), tmp_path)
    (line,) = lines(tmp_path)
    assert line.keys() == {'step', 'epoch', *LOGGED}


def test_the_logged_mean_is_over_the_rounds_since_the_last_line(tmp_path, straight):
    train(tiny(log_every=1, num_steps=8), tmp_path)
    mean = lines(straight)[1]
    assert mean.pop('step') == 8
    assert mean.pop('epoch') == round(8 * 16 / 1500, 4)
    for name, value in mean.items():
        np.testing.assert_allclose(value, np.mean([line[name] for line in lines(tmp_path)[4:]]), rtol=1e-5)


@pytest.mark.slow
def test_bfloat16_trains_to_the_same_estimate(tmp_path):
    """The first 300 rounds of the config as it is, in which the estimate falls to a third."""
    for dtype in ('float32', 'bfloat16'):
        config = digits_wgan_gp.get_config()
        config.update(num_steps=300, dtype=dtype, eval_every=None)
        train(config, tmp_path / dtype)
    estimates = [[line['wasserstein_estimate'] for line in lines(tmp_path / dtype)] for dtype in ('float32', 'bfloat16')]
    assert estimates[0][-1] < 0.5 * estimates[0][0]
    np.testing.assert_allclose(estimates[1], estimates[0], rtol=0.15)


def test_the_same_seed_gives_the_same_bits_and_another_seed_gives_others(tmp_path, straight):
    for name, seed in (('same', 0), ('other', 1)):
        train(tiny(seed=seed), tmp_path / name)
    assert_same_run(straight, tmp_path / 'same', tiny())
    assert lines(straight) != lines(tmp_path / 'other')


def test_a_run_that_was_stopped_and_resumed_equals_one_that_was_not(tmp_path, straight, monkeypatch):
    """Stopped at step 7, where nothing is logged, sampled or saved, and continued with calls of other lengths."""
    with monkeypatch.context() as stopping:
        stop_at(7, stopping)
        assert train(tiny(), tmp_path) == signal.SIGTERM
    assert [line['step'] for line in lines(tmp_path)] == [4]
    monkeypatch.setattr(rounds, 'rounds_per_call', lambda seconds: 1)
    assert train(tiny(), tmp_path) is None
    assert_same_run(straight, tmp_path, tiny())
    assert [start['step'] for start in read_starts(tmp_path)] == [0, 7]


@pytest.mark.slow
def test_a_run_with_spectral_normalisation_resumes_with_its_singular_vectors(tmp_path, monkeypatch):
    config = tiny(digits_wgan_sn)
    train(config, tmp_path / 'straight')
    with monkeypatch.context() as stopping:
        stop_at(7, stopping)
        assert train(config, tmp_path / 'stopped') == signal.SIGTERM
    train(config, tmp_path / 'stopped')
    assert_same_run(tmp_path / 'straight', tmp_path / 'stopped', config)


def test_a_complete_run_continues_with_more_steps(tmp_path, straight, capsys):
    train(tiny(num_steps=6), tmp_path)
    train(tiny(num_steps=6), tmp_path)
    assert 'is at step 6 already' in capsys.readouterr().out
    train(tiny(num_steps=12), tmp_path)
    assert 'Continuing' in capsys.readouterr().out
    assert lines(tmp_path) == lines(straight)  # without a line for step 6, which is not a log point


def test_an_extended_run_has_no_picture_of_its_earlier_end(tmp_path, straight):
    for num_steps in (7, 12):
        train(tiny(num_steps=num_steps), tmp_path)
        assert (tmp_path / 'samples' / 'step_000007.png').exists() == (num_steps == 7)
    assert_same_run(tmp_path, straight, tiny())


@pytest.mark.slow
def test_no_round_counts_twice_when_the_log_interval_changes(tmp_path):
    """Whatever the interval, each line is the mean over the rounds since the line before it."""
    train(tiny(log_every=1), tmp_path / 'every')
    losses = [line['critic_loss'] for line in lines(tmp_path / 'every')]
    train(tiny(log_every=4, num_steps=6), tmp_path / 'run')
    train(tiny(log_every=3, num_steps=11), tmp_path / 'run')  # 6 is a log point now; it was not when 5 and 6 were summed
    train(tiny(log_every=2), tmp_path / 'run')
    logged = lines(tmp_path / 'run')
    assert [line['step'] for line in logged] == [4, 9, 12]
    for first, line in zip((0, 4, 9), logged, strict=True):
        np.testing.assert_allclose(line['critic_loss'], np.mean(losses[first : line['step']]), rtol=1e-5)


def test_a_run_resumed_with_other_settings_of_jax_is_refused(tmp_path):
    train(tiny(num_steps=1), tmp_path)
    jax.config.update('jax_default_matmul_precision', 'highest')
    try:
        with pytest.raises(
            UserError, match=r'other settings of JAX \(jax_default_matmul_precision: None -> highest\): set them as'
        ):
            train(tiny(), tmp_path)
    finally:
        jax.config.update('jax_default_matmul_precision', None)


@pytest.mark.parametrize('damage', ['cut', 'emptied', 'dangling link'])
def test_lines_that_a_resumed_run_has_lost_are_named_and_the_others_stay(tmp_path, damage, capsys):
    config, path = tiny(log_every=1, num_steps=5), tmp_path / 'metrics.jsonl'
    train(config, tmp_path)
    before = lines(tmp_path)
    content = path.read_text().splitlines(keepends=True)
    path.unlink()
    if damage == 'dangling link':
        path.symlink_to(tmp_path / 'nowhere')
    else:
        path.write_text(''.join(content[:3]) if damage == 'cut' else '')
    config.num_steps = 7
    train(config, tmp_path)
    kept = 3 if damage == 'cut' else 0
    assert [line['step'] for line in lines(tmp_path)] == [*range(1, kept + 1), 6, 7]
    assert lines(tmp_path)[:kept] == before[:kept]
    assert not path.is_symlink()
    lost = f'{path} has lost {5 - kept} of 5 lines, those of the steps {kept + 1} to 5. The other lines stay.'
    assert lost in capsys.readouterr().out
    config.num_steps = 8
    train(config, tmp_path)
    assert 'has lost' not in capsys.readouterr().out


def test_another_config_is_refused_and_no_file_changes(tmp_path, straight):
    run = shutil.copytree(straight, tmp_path / 'run')

    def times():
        return {path: path.stat().st_mtime_ns for path in run.rglob('*') if path.is_file() and path.name != '.lock'}

    before = times()
    with pytest.raises(UserError, match=r'n_critic: 2 -> 3'):
        train(tiny(num_steps=16, n_critic=3), run)
    assert times() == before


@pytest.mark.parametrize('player', [pytest.param('critic', marks=pytest.mark.slow), 'generator'])
def test_a_run_that_diverges_stops_and_is_not_saved(tmp_path, player):
    config = tiny(num_steps=20, log_every=1, checkpoint_every=1, sample_every=1)
    config[f'{player}_optimizer'].update(name='rmsprop', learning_rate=1e38)  # its first update is ten times that: infinite
    message = r'Training diverged between steps 0 and 1: .* not finite. Nothing is saved yet. Try --config.on_nan=rewind'
    with pytest.raises(UserError, match=message):
        train(config, tmp_path)
    assert (tmp_path / 'metrics.jsonl').read_text() == ''
    assert not any(path.name.isdigit() for path in (tmp_path / 'checkpoints').iterdir())
    assert not (tmp_path / 'samples' / 'step_000001.png').exists()


def test_a_directory_where_another_process_trains_is_refused(tmp_path):
    with locked(tmp_path), pytest.raises(UserError, match=f'Process {os.getpid()} on .* is training in {tmp_path}: wait for it'):
        train(tiny(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['.lock']


def test_a_workdir_in_the_home_of_an_unknown_user_is_refused():
    with pytest.raises(UserError, match=r'--workdir=~nobodyhere/x starts with the home directory of an unknown user: check'):
        train(tiny(), '~nobodyhere/x')


def test_a_workdir_that_cannot_be_created_is_refused(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match=r'--workdir=.*file/run cannot be used \(Not a directory\)'):
        train(tiny(), tmp_path / 'file' / 'run')


def test_batch_norm_in_a_penalised_critic_is_refused_before_anything_is_written(tmp_path):
    config = tiny()
    config.critic.norm = 'batch'
    with pytest.raises(UserError, match=r'use config\.critic\.norm=layer or none'):
        train(config, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()
