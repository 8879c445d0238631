"""Files on disk: read only if they are regular and not too large, written whole, and by one process at a time."""

import errno
import fcntl
import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

MAX_BYTES = 2**31  # of a file that is read at once
_RETRIES = 100  # to create a file in a directory that other processes create and remove
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)  # of some network file systems


class NotRegularError(OSError):
    """There is a pipe, a device or a directory in the place of a file."""


def home() -> Path | None:
    """The user's home directory; None if there is none, as for some users of containers."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def user_cache() -> Path | None:
    """The user's directory for what can be made again, XDG_CACHE_HOME or ~/.cache; None if there is neither."""
    if given := os.environ.get('XDG_CACHE_HOME'):
        return Path(given)
    return None if (directory := home()) is None else directory / '.cache'


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """The content of a regular file.

    Raises:
      OSError: it cannot be read, has more than `max_bytes`, or is a pipe or a device, which might never end.
    """
    with open(path, 'rb', opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:  # or a pipe would wait
        status = os.fstat(file.fileno())
        _check_regular(status, path)
        if status.st_size > max_bytes:
            raise OSError(errno.EFBIG, f'it has {status.st_size:,} bytes, more than {max_bytes:,}', str(path))
        return file.read()


def check_tree(directory: Path) -> None:
    """Raises OSError if anything in a directory, at any depth and behind links, is neither a regular file nor a directory."""
    seen = set()
    for place, folders, names in os.walk(directory, followlinks=True):
        with suppress(FileNotFoundError):  # a broken link, or another process has just removed it
            status = os.stat(place)
            if (where := (status.st_dev, status.st_ino)) in seen:  # links lead in a circle
                folders.clear()
                continue
            seen.add(where)
        for path in (Path(place, name) for name in names):
            with suppress(FileNotFoundError):
                _check_regular(path.stat(), path)


def replace_file(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all: under another name first, then renamed. Processes that write the same file take turns.

    Raises:
      OSError: it cannot be written; what was there before is unchanged.
    """
    unfinished = path.with_name(f'.{path.name}.tmp')
    if unfinished.is_symlink():  # put there by somebody else, perhaps to have another file overwritten
        unfinished.unlink()
    with only_one(unfinished, f'is writing {path}') as file:
        with open(file.fileno(), 'r+b', closefd=False) as writer:
            writer.write(content)
            writer.flush()
            os.fsync(file.fileno())
        os.replace(file.name, path)


@contextmanager
def only_one(path: Path, doing: str) -> Iterator[BinaryIO]:
    """Opens an empty file at `path` for this process alone; other processes wait.

    A file that a killed process has left is overwritten. Afterwards the file, unless it was moved, and the empty directories that
    were created for it are removed. Where the file system has no locks, processes do not wait for each other, and each has a file
    of its own, with a longer name.

    Args:
      path: of a file that only this function opens.
      doing: what the process that has the file does, for the message of those that wait: 'is ...'.

    Raises:
      OSError: the file cannot be created, or is a link, which somebody else may have put there to overwrite a file of the user's.
    """
    waited = False
    created = [directory for directory in path.parents if not directory.exists()]
    try:
        while True:
            file = _open_in_new_directory(path)
            try:
                waited = _lock(file, '' if waited else f'Waiting for another process that {doing}.') or waited
            except OSError as error:
                file.close()
                if error.errno not in _NO_LOCKS:
                    raise
                with suppress(FileNotFoundError):
                    path.unlink()
                path = path.with_name(f'{path.name}_{secrets.token_hex(4)}')
                file = _open_in_new_directory(path)
            if _is_at(file, path):
                break
            file.close()  # the other process has moved or removed it
        try:
            file.truncate(0)
            yield file
        finally:
            if _is_at(file, path):
                path.unlink()
            file.close()
    finally:
        for directory in created:
            with suppress(OSError):  # another process has written into it or removed it
                directory.rmdir()


def remove_abandoned(directory: Path, pattern: str) -> None:
    """Removes the files that `only_one` has opened for processes that were killed; none where the file system has no locks."""
    options = os.O_NONBLOCK | os.O_NOFOLLOW
    for path in directory.glob(pattern):
        # To be written, or NFS would not lock it.
        with suppress(OSError), open(path, 'r+b', opener=lambda name, flags: os.open(name, flags | options)) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(file, path):
                path.unlink()


def _open_in_new_directory(path: Path) -> BinaryIO:
    for _ in range(_RETRIES):
        with suppress(FileNotFoundError, FileExistsError):  # another process may have removed the directory meanwhile
            path.parent.mkdir(parents=True, exist_ok=True)
            return io.FileIO(path, 'r+', opener=_create)
    path.parent.mkdir(parents=True, exist_ok=True)
    return io.FileIO(path, 'r+', opener=_create)


def _lock(file: BinaryIO, message: str) -> bool:
    """Locks a file; returns whether it had to wait."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if message:
            print(message, flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)
        return True
    return False


def _create(path: str, flags: int) -> int:
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)  # minus the umask
    except OSError as error:
        if error.errno == errno.ELOOP and os.path.islink(path):
            raise OSError(errno.ELOOP, f'{path} is a symbolic link: remove it') from error
        raise
    status = os.fstat(descriptor)
    if status.st_nlink > 1 or not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EMLINK, f'{path} is a hard link to another file, or no regular file: remove it')
    return descriptor


def _check_regular(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotRegularError(errno.EINVAL, 'it is not a regular file', str(path))


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
