"""Reading a run, which may be training at the same time."""

import os
import shutil
from unittest.mock import Mock

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from tests.runs.test_checkpoint import contents
from tests.tiny_runs import tiny, train
from wgan_jax.algorithm.steps import zero_sums
from wgan_jax.errors import UserError
from wgan_jax.runs import checkpoint_format
from wgan_jax.runs.build import build
from wgan_jax.runs.checkpoint import Checkpoints
from wgan_jax.runs.directory import locked
from wgan_jax.runs.saved_run import open_run


def test_the_newest_or_a_given_step(straight):
    run = str(straight)
    assert [open_run(run, step).step for step in (None, '12', '10', '5')] == [12, 12, 10, 5]
    newest, older = open_run(run), open_run(run, '5')
    assert newest.state.step == 12
    assert newest.experiment.latent_dim == 3
    changed = jax.tree.map(lambda x, y: bool(np.any(x != y)), newest.state.critic.params, older.state.critic.params)
    assert changed['Dense_0']['kernel']


def test_nothing_in_the_directory_changes_and_it_may_be_in_use(straight, tmp_path):
    run = shutil.copytree(straight, tmp_path / 'run')
    with locked(run):
        before = contents(run)
        open_run(str(run))
        assert contents(run) == before


def test_a_run_from_before_a_key_does_what_it_did(tmp_path):
    config = tiny()
    experiment, record = build(config), {**config.to_dict(), 'data_set': {'num_images': 1, 'crc32': 0}, 'rewinds': 0}
    for key in ('standing_batches', 'exact_points', 'code'):
        del record[key]
    new = ('file', 'array', 'value_range', 'image_shape')
    record['data'] = {name: value for name, value in record['data'].items() if name not in new}
    with Checkpoints(tmp_path / 'checkpoints', 1) as checkpoints:
        checkpoints.save(1, (experiment.create_state(), zero_sums(config.gp_weight)), record)
    saved = open_run(str(tmp_path))
    assert saved.experiment.outputs.standing_batches == 0
    assert saved.state_for_images() is saved.state


def test_keys_can_be_changed(straight):
    experiment = open_run(str(straight), changes={'eval_num_samples': 70, 'data.dir': 'elsewhere', 'data.folder': None}).experiment
    assert experiment.scoring.num_samples == 70
    assert (experiment.data.settings['dir'], experiment.data.settings['folder']) == ('elsewhere', None)
    with pytest.raises(UserError, match=r"^The changes cannot be made: there is no key 'eval_num_sample' in the config; did you"):
        open_run(str(straight), changes={'eval_num_sample': 70})
    with pytest.raises(UserError, match=r"there is no key 'dta\.dir'"):
        open_run(str(straight), changes={'dta.dir': 'elsewhere'})


def test_missing_runs_and_steps_are_reported(straight, tmp_path):
    with pytest.raises(UserError, match=r'nowhere is no directory; give the directory of a run\.'):
        open_run(str(tmp_path / 'nowhere'))
    with pytest.raises(
        UserError,
        match=r"--step=7 is not a checkpoint of .*; there are: 5, 10, 12 \(or 'best', of a run with config\.best_metric\)",
    ):
        open_run(str(straight), '7')
    with pytest.raises(UserError, match=r'--step=newest is not a checkpoint'):
        open_run(str(straight), 'newest')
    with pytest.raises(UserError, match=r'no checkpoint with a score; set config\.best_metric'):
        open_run(str(straight), 'best')
    (tmp_path / 'empty' / 'checkpoints').mkdir(parents=True)
    with pytest.raises(UserError, match=r'has no checkpoints yet'):
        open_run(str(tmp_path / 'empty'))


def test_a_checkpoint_that_a_training_run_replaces_meanwhile_is_not_damaged(straight, tmp_path, monkeypatch, capsys):
    run, read = shutil.copytree(straight, tmp_path / 'run'), checkpoint_format.read
    checkpoints = run / 'checkpoints'

    def replaced(manager, step):
        if step == 12:
            (checkpoints / '12').rename(checkpoints / '13')
        return read(manager, step)

    monkeypatch.setattr(checkpoint_format, 'read', replaced)
    assert open_run(str(run)).step == 13
    assert capsys.readouterr().out == ''


@pytest.mark.parametrize('error', [FileNotFoundError, NotADirectoryError])
def test_a_checkpoint_that_is_replaced_while_orbax_lists_it(straight, monkeypatch, error):
    managers = [ocp.CheckpointManager, Mock(side_effect=error('checkpoints/12'))]
    monkeypatch.setattr(ocp, 'CheckpointManager', lambda *arguments, **options: managers.pop()(*arguments, **options))
    assert open_run(str(straight)).step == 12


def test_a_pipe_in_a_checkpoint_is_refused(straight, tmp_path):
    """By the commands and by training: opening it would never end."""
    run = shutil.copytree(straight, tmp_path / 'run')
    path = run / 'checkpoints' / '10' / 'meta' / 'metadata'
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UserError, match=r'10/meta/metadata cannot be read \(it is not a regular file\): remove it'):
        open_run(str(run))
    with pytest.raises(UserError, match=r'metadata cannot be written \(it is not a regular file\)\..*: remove it, and give'):
        train(tiny(num_steps=14), run)


def test_a_damaged_checkpoint_is_named_and_an_older_one_used(straight, tmp_path, capsys):
    run = shutil.copytree(straight, tmp_path / 'run')
    for path in (run / 'checkpoints' / '12' / 'state').rglob('*'):
        if path.is_file() and path.stat().st_size > 1000:
            content = bytearray(path.read_bytes())
            content[500] ^= 1
            path.write_bytes(content)
    assert open_run(str(run)).step == 10
    assert 'Warning: Checkpoint 12 in' in capsys.readouterr().out
    (run / 'checkpoints' / '10' / 'meta' / 'metadata').write_text('{}')
    assert open_run(str(run)).step == 5
    assert 'Warning: Checkpoint 10 in' in capsys.readouterr().out
    with pytest.raises(UserError, match=r'Checkpoint 10 in .* cannot be read'):
        open_run(str(run), '10')
    assert (run / 'checkpoints' / '10').exists()
