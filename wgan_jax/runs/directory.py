"""The directory of a run: one process's alone while it trains, and told in a sentence when it cannot be written."""

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wgan_jax.errors import LocalError, UserError

_REMEDIES = {
    errno.ENOSPC: 'make room on that disk',
    errno.EDQUOT: 'make room in your quota',
    errno.EFBIG: 'raise the limit of the size of a file (ulimit -f)',
    errno.EMFILE: 'raise the limit of open files (ulimit -n)',
}


@contextmanager
def written_in(run_dir: Path) -> Iterator[None]:
    """Makes a sentence of what the system says when a file of the run cannot be written.

    Raises:
      LocalError: an OSError was raised inside.
    """
    try:
        yield
    except OSError as error:
        place = error.filename or run_dir
        remedy = _REMEDIES.get(error.errno, 'see to it that the directory can be written, or give another --workdir')
        raise LocalError(
            f'{place} cannot be written ({error.strerror or error}). What was saved before is whole: {remedy}, and give the same '
            'command again.'
        ) from error


@contextmanager
def held(run_dir: Path) -> Iterator[None]:
    """Makes the directory, and holds it for this process; the system lets go of it however the process ends.

    Raises:
      UserError: another process holds it, or it cannot be made.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        # What the holder wrote stays; a link that somebody else may have put there is not followed.
        descriptor = os.open(run_dir / '.lock', os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise UserError(f'--workdir={run_dir} cannot be a directory of this run ({error.strerror}); choose another.') from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f'{_holder(descriptor)} is training in {run_dir}; wait for it, or give another --workdir.') from None
        except OSError as error:  # a file system without locks
            print(f'Warning: {run_dir} cannot be locked ({error.strerror}): see to it that no other process trains there.')
        holder = {'process': os.getpid(), 'host': socket.gethostname(), 'since': time.strftime('%Y-%m-%d %H:%M:%S')}
        with suppress(OSError):  # on a full disk the one who comes second is told less
            os.ftruncate(descriptor, 0)
            os.write(descriptor, (json.dumps(holder) + '\n').encode())
        yield
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f'Process {holder["process"]} on {holder["host"]}, begun at {holder["since"]},'
    except (ValueError, TypeError, KeyError):  # it has this moment begun, and not yet written who it is
        return 'Another process'
