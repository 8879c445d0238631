"""What trackers are told of a run, with modules in their places that write down each call; and that no run needs them."""

import importlib.machinery
import json
import sys
import threading
import time
import types

import numpy as np
import pytest

from tests.tiny_runs import assert_same_run, lines, prepared, tiny, train
from wgan_jax.errors import UserError
from wgan_jax.runs import tracking
from wgan_jax.runs.record import RunWriter
from wgan_jax.runs.tracking import Tracking, tracking_by
from wgan_jax.training import trainer


class Fake(types.ModuleType):
    """A module all of whose functions and classes write down how they were called, and return an object of the same kind."""

    def __init__(self, name, calls, fails=(), hangs=()):
        super().__init__(name)
        self.calls, self.fails, self.hangs, self.path = calls, fails, hangs, name
        self.__spec__ = importlib.machinery.ModuleSpec(name, None, origin='here')

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        child = Fake(f'{self.path}.{name}', self.calls, self.fails, self.hangs)
        setattr(self, name, child)
        return child

    def __call__(self, *arguments, **options):
        self.calls.append((self.path, arguments, options))
        if any(self.path.endswith(f'.{name}') for name in self.fails):
            raise ConnectionError('the network is gone')
        if any(self.path.endswith(f'.{name}') for name in self.hangs):
            threading.Event().wait()
        return self


@pytest.fixture
def fake(monkeypatch):
    """Puts a fake in the place of a package; returns the list of its calls."""

    def put(name, **trouble):
        calls = []
        monkeypatch.setitem(sys.modules, name, Fake(name, calls, **trouble))
        return calls

    return put


def named(calls, ending):
    return [(arguments, options) for name, arguments, options in calls if name.endswith(ending)]


def write(run_dir, tracker, *, start=0, group=None, seconds=10.0):
    (run_dir / 'samples').mkdir(parents=True, exist_ok=True)
    writer = RunWriter(run_dir, {'seed': 1, 'data': {'name': 'x'}}, start, tracking=Tracking(tracker, group, seconds))
    writer.metrics(start + 1, 0.5, {'critic_loss': 2.0}, images_seen=64)
    writer.picture(f'step_{start + 1:06d}', np.zeros((4, 4, 1), np.uint8), start + 1)
    writer.close()


def test_wandb_gets_config_metrics_and_pictures_and_continues_a_run(tmp_path, fake):
    calls = fake('wandb')
    write(tmp_path / 'run', 'wandb')
    ((_, first),) = named(calls, 'wandb.init')
    assert (first['name'], first['config'], first['resume']) == ('run', {'seed': 1, 'data': {'name': 'x'}}, 'allow')
    (scalars, pictures) = (arguments[0] for arguments, _ in named(calls, 'init.log'))
    assert (scalars['critic_loss'], scalars['step']) == (2.0, 1)
    assert pictures.keys() == {'samples', 'step'}
    assert named(calls, 'init.finish') == [((), {'exit_code': 0})]
    write(tmp_path / 'run', 'wandb', start=1)
    write(tmp_path / 'other', 'wandb', group='many')
    _, second, third = (options for _, options in named(calls, 'wandb.init'))
    assert second['id'] == first['id'] != third['id']
    assert (third['name'], third['group']) == ('many-other', 'many')


def test_mlflow_gets_parameters_once(tmp_path, fake):
    calls = fake('mlflow')
    sys.modules['mlflow'].MlflowClient.create_run.info.run_id = 'abc'
    write(tmp_path, 'mlflow')
    assert json.loads((tmp_path / 'tracking.json').read_text()) == {'mlflow': 'abc'}
    assert [arguments for arguments, _ in named(calls, 'entities.Param')] == [('seed', '1'), ('data.name', 'x')]
    assert next((a[0], a[1], a[3]) for a, _ in named(calls, 'entities.Metric')) == ('critic_loss', 2.0, 1)
    ((_, picture),) = named(calls, 'log_image')
    assert (picture['key'], picture['step']) == ('samples', 1)
    assert named(calls, 'set_terminated')[0][0][1] == 'FINISHED'


def test_a_known_run_of_mlflow_is_continued(tmp_path, fake):
    calls = fake('mlflow')
    (tmp_path / 'tracking.json').write_text('{"mlflow": "abc", "wandb": "xyz"}')
    write(tmp_path, 'mlflow')
    assert named(calls, 'update_run') == [(('abc',), {'status': 'RUNNING'})]
    assert named(calls, 'create_run') == named(calls, 'Param') == []
    assert json.loads((tmp_path / 'tracking.json').read_text()) == {'mlflow': 'abc', 'wandb': 'xyz'}


def test_trackio_continues_a_run_by_its_name(tmp_path, fake):
    calls = fake('trackio')
    write(tmp_path / 'run', 'trackio')
    write(tmp_path / 'run', 'trackio', start=1)
    first, second = (options for _, options in named(calls, 'trackio.init'))
    assert first['name'] == second['name'] == json.loads((tmp_path / 'run' / 'tracking.json').read_text())['trackio']
    assert first['name'].startswith('run-')
    assert [options['step'] for _, options in named(calls, 'init.log')] == [1, 1, 2, 2]


def test_a_run_that_fails_is_said_to_have_failed(tmp_path, fake):
    calls = fake('wandb')
    (tmp_path / 'samples').mkdir()
    with pytest.raises(KeyError, match='why'):  # noqa: PT012 - the record is closed because of it
        writer = RunWriter(tmp_path, {}, 0, tracking=Tracking('wandb'))
        try:
            raise KeyError('why')
        finally:
            writer.close()
    assert named(calls, 'init.finish') == [((), {'exit_code': 1})]


def test_a_member_of_a_group_that_diverges_has_failed(tmp_path, fake):
    calls = fake('wandb')
    writer = RunWriter(tmp_path, {}, 0, tracking=Tracking('wandb'))
    writer.fail()
    writer.close()
    assert named(calls, 'init.finish') == [((), {'exit_code': 1})]


@pytest.mark.parametrize('call', ['init', 'define_metric', 'log', 'Image', 'finish'])
def test_whatever_fails_is_said_once_and_the_run_is_the_same(tmp_path, fake, capsys, call, straight_tiny):
    fake('wandb', fails=[call])
    assert trainer.train(prepared(tiny()).tracked_by(Tracking('wandb')), str(tmp_path / 'run')) is None
    output = capsys.readouterr().out
    assert output.count('Warning') == 1
    assert 'Warning: --track=wandb has failed (the network is gone). The run goes on without it.' in output
    assert lines(tmp_path / 'run') == lines(straight_tiny)
    assert_same_run(tmp_path / 'run', straight_tiny, tiny())


@pytest.fixture(scope='module')
def straight_tiny(tmp_path_factory):
    directory = tmp_path_factory.mktemp('tracking') / 'straight'
    train(tiny(), directory)
    return directory


@pytest.mark.parametrize('call', ['init', 'log', 'finish'])
def test_a_tracker_that_hangs_is_left_after_a_while(tmp_path, fake, capsys, call):
    fake('wandb', hangs=[call])
    start = time.monotonic()
    write(tmp_path, 'wandb', seconds=0.2)
    assert time.monotonic() - start < 10  # it would hang for ever
    assert 'Warning: --track=wandb has failed (it has not taken everything within 0.2 s).' in capsys.readouterr().out
    assert len((tmp_path / 'metrics.jsonl').read_text().splitlines()) == 1


def test_messages_that_a_tracker_does_not_take_do_not_fill_the_memory(tmp_path, fake, capsys, monkeypatch):
    monkeypatch.setattr(tracking, '_MOST_WAITING', 5)
    fake('wandb', hangs=['init'])
    run = Tracking('wandb').open(tmp_path, {})
    for step in range(20):
        run.scalars({'x': 1.0}, step)
    run.close()
    assert capsys.readouterr().out.count('it has not answered 5 messages') == 1


def test_a_group_is_left_as_a_whole(tmp_path, fake, capsys):
    calls = fake('wandb', fails=['init'])
    shared = Tracking('wandb', 'group')
    runs = [shared.open(tmp_path / name, {}) for name in 'abc']
    for run in runs:
        run.close()
    assert len(named(calls, 'wandb.init')) == 1
    assert capsys.readouterr().out.count('Warning') == 1


@pytest.mark.parametrize('tracker', ['wandb', 'mlflow', 'trackio'])
def test_a_package_that_is_not_installed_is_one_sentence(tmp_path, monkeypatch, tracker):
    monkeypatch.setitem(sys.modules, tracker, None)
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(UserError, match=rf'^--track={tracker} needs the package {tracker}, .*: pip install {tracker}$'):
        tracking_by(tracker)


def test_a_directory_of_that_name_is_no_package(tmp_path, monkeypatch):
    (tmp_path / 'trackio').mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'trackio', raising=False)
    with pytest.raises(UserError, match='needs the package trackio'):
        tracking_by('trackio')


def test_without_the_flag_nothing_is_imported_or_written(tmp_path, fake):
    calls = fake('wandb')
    assert tracking_by(None) is None
    RunWriter(tmp_path, {}, 0).close()
    assert calls == []
    assert not (tmp_path / 'tracking.json').exists()
