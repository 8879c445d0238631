"""The directory of a run: a lock for the process that trains in it, and one sentence when it cannot be written, or holds no run."""

import difflib
import errno
import fcntl
import json
import os
import re
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wgan_jax.disk import NotRegularError
from wgan_jax.errors import LocalError, UserError
from wgan_jax.runs.members import setting_of

_REMEDIES = {
    errno.ENOENT: 'if its directory was moved, move it back',
    errno.ENOSPC: 'make room on that disk',
    errno.EDQUOT: 'make room in your quota',
    errno.EFBIG: 'raise the limit of the size of a file (ulimit -f)',
    errno.EMFILE: 'raise the limit of open files (ulimit -n)',
}
_MOST_LISTED = 20  # runs


def no_run(path: Path) -> str:
    """Says that a directory holds no run, and which directories near it do."""
    if not path.is_dir():
        near = {run.name: run for place in (Path('runs'), path.parent) for run in _runs(place.glob('*'))}
        close = [near[name] for name in difflib.get_close_matches(path.name, near, n=1)]
        return f'{path} is no directory; {f"did you mean {close[0]}?" if close else "give the directory of a run."}'
    if 'checkpoints' in path.parts:
        return f'{path} is a part of a run: give its directory, {Path(*path.parts[: path.parts.index("checkpoints")])}.'
    if inside := _runs(path.glob('*')) or _runs(path.glob('*/*')):
        return f'{path} is a directory of runs: give one of them, {_listed(inside)}.'
    return f'{path} holds no run: it has no directory checkpoints.'


def _runs(paths: Iterable[Path]) -> list[Path]:
    """Those that are directories of runs; seed_2 comes before seed_10."""
    runs = {path for path in paths if (path / 'checkpoints').is_dir()}
    return sorted(runs, key=lambda path: [int(part) if part.isdigit() else part for part in re.split(r'(\d+)', str(path))])


def refuse_group(run_dir: Path) -> None:
    """Refuses the directory of a group as that of a single run.

    Raises:
      UserError: it is one.
    """
    members = [path.name for path in _runs(run_dir.glob('*')) if setting_of(path.name) != path.name]
    if members and not (run_dir / 'config.json').exists():
        raise UserError(
            f'--workdir={run_dir} holds a group of runs, {members[0]} and others, and a single run needs a directory of its own: '
            'give another one.'
        )


def _listed(runs: list[Path]) -> str:
    more = len(runs) - _MOST_LISTED
    return ', '.join(map(str, runs[:_MOST_LISTED])) + (f' and {more} more' if more > 0 else '')


class _CallersError(Exception):
    """Carries an OSError of a function of the caller's through `written_in`."""


@contextmanager
def callers_function() -> Iterator[None]:
    """For calls of functions of the caller's: their OSErrors are not about the files of the run, and reach the caller."""
    try:
        yield
    except OSError as error:
        raise _CallersError from error


@contextmanager
def written_in(run_dir: Path) -> Iterator[None]:
    """Turns the error of a file of the run that cannot be written into one sentence.

    Raises:
      LocalError: an OSError was raised inside, and not in `callers_function`.
    """
    try:
        yield
    except _CallersError as carrier:
        error = carrier.__cause__
        raise error from error.__cause__
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise LocalError(
                'There is too little memory. What was saved before is intact: free memory, or use a smaller batch_size, and give '
                'the same command again.'
            ) from error
        place = error.filename or run_dir
        remedy = _REMEDIES.get(error.errno, 'make the directory writable, or give another --workdir')
        if isinstance(error, NotRegularError):
            remedy = 'remove it'
        raise LocalError(
            f'{place} cannot be written ({error.strerror or error}). What was saved before is intact: {remedy}, and give the '
            'same command again.'
        ) from error


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Creates the directory and locks it for this process; the system removes the lock however the process ends.

    Raises:
      UserError: another process has locked it, or it cannot be created.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        # O_APPEND keeps what the holder wrote; O_NOFOLLOW ignores a link that another user may have put there.
        descriptor = os.open(run_dir / '.lock', os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise UserError(f'--workdir={run_dir} cannot be used ({error.strerror}): choose another directory.') from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f'{_holder(descriptor)} is training in {run_dir}: wait for it, or give another --workdir.') from None
        except OSError as error:  # a file system that does not support locks
            print(f'Warning: {run_dir} cannot be locked ({error.strerror}): make sure that no other process trains there.')
        holder = {'process': os.getpid(), 'host': socket.gethostname(), 'since': time.strftime('%Y-%m-%d %H:%M:%S')}
        with suppress(OSError):  # on a full disk the message to a second process says less
            os.ftruncate(descriptor, 0)
            os.write(descriptor, (json.dumps(holder) + '\n').encode())
        yield
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f'Process {holder["process"]} on {holder["host"]}, started at {holder["since"]},'
    except (ValueError, TypeError, KeyError):  # it has just started, and has not written its name yet
        return 'Another process'
