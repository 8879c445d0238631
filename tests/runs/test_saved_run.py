"""Reading a run that may be training meanwhile."""

import shutil

import jax
import numpy as np
import pytest

from tests.runs.test_checkpoint import contents
from tests.tiny_runs import tiny, train
from wgan_jax.errors import UserError
from wgan_jax.runs.directory import locked
from wgan_jax.runs.saved_run import open_run


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp('runs') / 'tiny'
    config = tiny(num_steps=12)
    train(config, str(directory))
    return directory


def test_the_newest_or_a_given_step(run):
    assert [open_run(str(run), step).step for step in (None, '12', '10', '5')] == [12, 12, 10, 5]
    newest, older = open_run(str(run)), open_run(str(run), '5')
    assert newest.state.step == 12
    assert newest.experiment.latent_dim == 3
    changed = jax.tree.map(lambda x, y: bool(np.any(x != y)), newest.state.critic.params, older.state.critic.params)
    assert changed['Dense_0']['kernel']


def test_nothing_in_the_directory_changes_and_it_may_be_in_use(run):
    with locked(run):
        before = contents(run)
        open_run(str(run))
        assert contents(run) == before


def test_keys_that_are_given_anew(run):
    experiment = open_run(str(run), changes={'eval_num_samples': 70, 'data.dir': 'elsewhere', 'data.folder': None}).experiment
    assert experiment.scoring.num_samples == 70
    assert (experiment.data.settings['dir'], experiment.data.settings['folder']) == ('elsewhere', None)


def test_what_cannot_be_read_is_said(run, tmp_path):
    with pytest.raises(UserError, match=r'--workdir=.*nowhere holds no run'):
        open_run(str(tmp_path / 'nowhere'))
    with pytest.raises(UserError, match=r"--step=7 is not a checkpoint of .*; there are: 5, 10, 12 \(or 'best'\)"):
        open_run(str(run), '7')
    with pytest.raises(UserError, match=r'--step=newest is not a checkpoint'):
        open_run(str(run), 'newest')
    with pytest.raises(UserError, match=r'no checkpoint with a score; set config\.best_metric'):
        open_run(str(run), 'best')
    (tmp_path / 'empty' / 'checkpoints').mkdir(parents=True)
    with pytest.raises(UserError, match=r'has no checkpoints yet'):
        open_run(str(tmp_path / 'empty'))


def test_a_damaged_checkpoint_is_named_and_an_older_one_taken(tmp_path, capsys):
    config = tiny(num_steps=10)
    train(config, str(tmp_path))
    whole = tmp_path / 'whole'
    shutil.copytree(tmp_path / 'checkpoints', whole / 'checkpoints')
    for path in (whole / 'checkpoints' / '10' / 'state').rglob('*'):
        if path.is_file() and path.stat().st_size > 1000:
            content = bytearray(path.read_bytes())
            content[500] ^= 1
            path.write_bytes(content)
    assert open_run(str(whole)).step == 5
    assert 'Warning: Checkpoint 10 in' in capsys.readouterr().out
    (tmp_path / 'checkpoints' / '10' / 'meta' / 'metadata').write_text('{}')
    assert open_run(str(tmp_path)).step == 5
    assert 'Warning: Checkpoint 10 in' in capsys.readouterr().out
    with pytest.raises(UserError, match=r'Checkpoint 10 in .* cannot be read'):
        open_run(str(tmp_path), '10')
    assert (tmp_path / 'checkpoints' / '10').exists()
