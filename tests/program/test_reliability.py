"""Real processes that are killed, stopped, or run out of disk, and what the same command does next."""

import json
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / 'benchmarks'))

import torture


def start_of(tmp_path, name, more=''):
    """A run on a folder of images."""
    images = tmp_path / 'images'
    return torture.Run('own_images', tmp_path / name, {'images': images if images.exists() else torture.write_images(images)}, more)


def steps_logged(run):
    path = run.workdir / 'metrics.jsonl'
    return [json.loads(line)['step'] for line in path.read_text().splitlines()] if path.exists() else []


def wait_until(condition, process):
    while not condition():
        assert process.poll() is None, 'the process ended first'
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize(('kills', 'seed', 'kinds'), [pytest.param(1, 3, 1, id='one'), pytest.param(6, 1, 4, id='many')])
def test_kills_change_nothing(tmp_path, kills, seed, kinds):
    """Once in the middle of writing a checkpoint, or six times. benchmarks/torture.py does it a hundred times, and on MNIST."""
    images = torture.write_images(tmp_path / 'images')
    moments, _ = torture.torture('own_images', kills, tmp_path, {'images': images}, seed)
    assert moments.total() == kills
    assert len(moments) >= kinds
    assert kills > 1 or moments.keys() == {'checkpoint'}


@pytest.mark.slow
@pytest.mark.parametrize(('number', 'name', 'status'), [(signal.SIGINT, 'SIGINT', 130), (signal.SIGTERM, 'SIGTERM', 143)])
def test_a_signal_saves_and_says_how_to_continue(tmp_path, number, name, status):
    run = start_of(tmp_path, 'run', 'num_steps=100000 checkpoint_every=50000 sample_every=50000')
    process = run.start()
    wait_until(lambda: steps_logged(run), process)
    process.send_signal(number)
    assert process.wait(30) == status
    (step,) = (int(path.name) for path in (run.workdir / 'checkpoints').iterdir() if path.name.isdigit())
    output = (run.directory / 'output').read_text()
    assert f'Stopped by {name} at step {step}.' in output
    assert output.endswith('The same command continues from here.\n')


@pytest.mark.slow
def test_a_limit_of_file_size_is_reported_in_a_sentence_and_the_run_continues_without_it(tmp_path):
    """Like a full disk."""
    run = start_of(tmp_path, 'run')
    assert run.start(limit=12).wait() == 1
    words = run.last_errors()
    assert 'Traceback' not in words
    assert 'cannot be written (File too large). What was saved before is intact: raise the limit of the size of a file' in words
    assert words.count('Error: /') == 1
    assert [path for path in run.directory.rglob('*') if 'tmp' in path.name or 'unfinished' in path.name] == []
    straight = start_of(tmp_path, 'straight')
    for one in (run, straight):
        assert one.start().wait() == 0, one.last_errors()
    assert run.outcome() == straight.outcome()


@pytest.mark.slow
def test_checkpoints_that_cannot_be_written_end_the_process(tmp_path):
    """Threads of orbax must not keep it; root gives up the right to write everywhere before the program starts."""
    give_up = 'import ctypes, os, sys; [ctypes.CDLL(None).prctl(24, n, 0, 0, 0) for n in (1, 2) if os.geteuid() == 0]; '
    begin = 'os.execv(sys.executable, [sys.executable, *sys.argv[1:]])'
    run = start_of(tmp_path, 'run', 'num_steps=6')
    (run.workdir / 'checkpoints').mkdir(parents=True)
    (run.workdir / 'checkpoints').chmod(0o555)
    command = [sys.executable, '-c', give_up + begin, *run._command]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 1
    assert f'Error: {run.workdir}/checkpoints cannot be written (Permission denied).' in result.stderr


@pytest.mark.slow
def test_a_run_whose_directory_is_moved_ends_in_a_sentence(tmp_path):
    run = start_of(tmp_path, 'run', 'num_steps=100000 checkpoint_every=1')
    process = run.start()
    wait_until(lambda: steps_logged(run), process)
    run.workdir.rename(tmp_path / 'moved')
    assert process.wait(30) == 1
    assert f'Error: {run.workdir}/' in run.last_errors()
    assert 'cannot be written (No such file or directory)' in run.last_errors()
    assert 'Traceback' not in run.last_errors()
