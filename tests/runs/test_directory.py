import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.program.test_several_processes import KEYS, LOST, Processes
from wgan_jax.errors import LocalError, UserError
from wgan_jax.runs.directory import callers_function, locked, no_run, written_in


def test_a_second_process_is_refused_and_the_first_is_named(tmp_path):
    with locked(tmp_path / 'run'), pytest.raises(UserError) as caught, locked(tmp_path / 'run'):
        pass
    holder = json.loads((tmp_path / 'run' / '.lock').read_text())
    assert holder.keys() == {'process', 'host', 'since'}
    assert str(caught.value) == (
        f'Process {os.getpid()} on {holder["host"]}, started at {holder["since"]}, is training in {tmp_path}/run: wait for it, or '
        'give another --workdir.'
    )
    with locked(tmp_path / 'run'):  # the lock is free again
        pass


def test_the_lock_of_a_dead_process_is_free(tmp_path):
    program = 'import os, sys; from pathlib import Path; from wgan_jax.runs.directory import locked\n'
    program += 'with locked(Path(sys.argv[1])): os.kill(os.getpid(), 9)'
    process = subprocess.Popen([sys.executable, '-c', program, tmp_path], cwd=os.getcwd())
    assert process.wait() == -9
    assert json.loads((tmp_path / '.lock').read_text())['process'] == process.pid
    with locked(tmp_path):
        assert json.loads((tmp_path / '.lock').read_text())['process'] == os.getpid()


def test_a_lock_without_a_readable_holder(tmp_path):
    with (tmp_path / '.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for text in ('', '{"process": 1}', '[]', '{'):
            (tmp_path / '.lock').write_text(text)
            with pytest.raises(UserError, match=r'^Another process is training in'), locked(tmp_path):
                pass


def test_a_file_system_without_locks_draws_a_warning(tmp_path, monkeypatch, capsys):
    def flock(file, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, 'flock', flock)
    with locked(tmp_path):
        pass
    warning = f'Warning: {tmp_path} cannot be locked (No locks available): make sure that no other process trains there.\n'
    assert capsys.readouterr().out == warning


def test_a_directory_on_a_full_disk_can_be_locked(tmp_path):
    program = 'from pathlib import Path; from wgan_jax.runs.directory import locked; import sys\n'
    program += 'with locked(Path(sys.argv[1])): print(Path(sys.argv[1], ".lock").stat().st_size)'
    limited = ['bash', '-c', 'ulimit -f 0; exec "$@"', 'bash', sys.executable, '-c', program, tmp_path]
    result = subprocess.run(limited, capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ('0\n', '')


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path):
    (tmp_path / 'precious').write_text('mine')
    (tmp_path / '.lock').symlink_to('precious')
    with pytest.raises(UserError, match=r'cannot be used \(Too many levels of symbolic links\)'), locked(tmp_path):
        pass
    assert (tmp_path / 'precious').read_text() == 'mine'


@pytest.mark.parametrize(
    ('number', 'what', 'remedy'),
    [
        (errno.ENOSPC, 'No space left on device', 'make room on that disk'),
        (errno.EDQUOT, 'Disk quota exceeded', 'make room in your quota'),
        (errno.EROFS, 'Read-only file system', 'make the directory writable, or give another --workdir'),
        (errno.EMFILE, 'Too many open files', r'raise the limit of open files (ulimit -n)'),
    ],
)
def test_errors_of_the_system_become_a_sentence(tmp_path, number, what, remedy):
    for name in (None, str(tmp_path / 'metrics.jsonl')):
        with pytest.raises(LocalError) as caught, written_in(tmp_path):
            raise OSError(number, os.strerror(number), name)
        assert str(caught.value) == (
            f'{name or tmp_path} cannot be written ({what}). What was saved before is intact: {remedy}, and give the same command '
            'again.'
        )


def test_an_error_of_the_callers_function_reaches_the_caller(tmp_path):
    refused = ConnectionRefusedError(errno.ECONNREFUSED, 'Connection refused')
    with pytest.raises(ConnectionRefusedError) as caught, written_in(tmp_path), callers_function():
        raise refused
    assert caught.value is refused


def test_too_little_memory_is_no_file_that_cannot_be_written(tmp_path):
    with pytest.raises(LocalError, match=r'^There is too little memory\. What was saved before is intact'), written_in(tmp_path):
        raise OSError(errno.ENOMEM, 'Cannot allocate memory')


def test_other_errors_are_not_changed(tmp_path):
    with pytest.raises(ZeroDivisionError), written_in(tmp_path):
        1 / 0  # noqa: B018


@pytest.mark.slow
def test_if_process_0_cannot_write_it_reports_it_and_the_other_ends_too(tmp_path):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'samples').write_text('in the way')
    with Processes.training(tmp_path / 'run', KEYS | {'num_steps': 6}) as started:
        codes, _, errors = started.wait()
    assert f'Error: {tmp_path}/run/samples cannot be written (File exists).' in errors[0]
    assert codes[0] == 1, errors
    # JAX's runtime may be quicker than our watch: it aborts, and was once seen to crash, in a process without its coordinator.
    assert codes[1] in (75, -signal.SIGABRT, -signal.SIGSEGV), errors
    assert codes[1] == -signal.SIGSEGV or any(sentence in errors[1] for sentence in LOST), errors


def test_without_a_run_the_runs_nearby_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for run in ('digits_gan', 'seeds/seed_2', 'seeds/seed_10', 'sweeps/one/seed_0'):
        (tmp_path / 'runs' / run / 'checkpoints' / '5').mkdir(parents=True)
    for number in range(25):
        (tmp_path / 'many' / f'run_{number}' / 'checkpoints').mkdir(parents=True)
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'file').touch()
    answers = {
        'nowhere': 'nowhere is no directory; give the directory of a run.',
        'file': 'file is no directory; give the directory of a run.',
        'digits_gan': 'digits_gan is no directory; did you mean runs/digits_gan?',
        'runs/digits_gna': 'runs/digits_gna is no directory; did you mean runs/digits_gan?',
        'runs/seeds': 'runs/seeds is a directory of runs: give one of them, runs/seeds/seed_2, runs/seeds/seed_10.',
        'runs/sweeps': 'runs/sweeps is a directory of runs: give one of them, runs/sweeps/one/seed_0.',
        'runs/digits_gan/checkpoints/5': 'runs/digits_gan/checkpoints/5 is a part of a run: give its directory, runs/digits_gan.',
        'empty': 'empty holds no run: it has no directory checkpoints.',
    }
    assert {path: no_run(Path(path)) for path in answers} == answers
    assert no_run(Path('many')).endswith(', many/run_18, many/run_19 and 5 more.')
