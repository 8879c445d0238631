"""Image files in a directory, a zip archive or an LMDB: their names, fingerprints and bytes."""

import errno
import hashlib
import os
import stat
import threading
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from wgan_jax.data.images import Item, UnusableImage
from wgan_jax.errors import UserError

MAX_BYTES = 2**28  # 256 MiB: larger files are not images
_LMDB_UNWRITTEN = 2**20  # bytes that may be missing at the end of an LMDB, where LMDB need not have written free pages
_IGNORED = ('__MACOSX', 'Thumbs.db', 'desktop.ini')  # and names that begin with a dot


class Files(NamedTuple):
    """Files that may be images.

    Attributes:
      place: the directory or archive.
      marks: name -> a text that changes with the content, such as size and time.
      read: name -> bytes; raises UnusableImage or OSError; can be called from any thread.
    """

    place: Path
    marks: dict[str, str]
    read: Callable[[str], bytes]

    def items(self, names: Iterable[str]) -> Iterable[Item]:
        """The argument of images.decode_all."""
        return ((name, lambda name=name: self.read(name)) for name in names)

    def fingerprint(self, names: Iterable[str]) -> str:
        """16 hexadecimal digits that change with any name or mark."""
        digest = hashlib.sha256()
        for name in names:
            digest.update(f'{name}\0{self.marks[name]}\0'.encode(errors='surrogateescape'))
        return digest.hexdigest()[:16]


def open_files(path: Path, option: str) -> Files:
    """Lists the files in a directory (at any depth), a zip archive or an LMDB.

    Args:
      path: an existing path.
      option: the key of config.data that has the path, for messages.

    Raises:
      UserError: the path is none of these, cannot be read, or has no files.
    """
    try:
        if path.is_dir():
            files = _lmdb(path) if (path / 'data.mdb').is_file() else _directory(path)
        elif path.is_file() and zipfile.is_zipfile(path):
            files = _zip(path)
        else:
            raise UserError(f'config.data.{option}={path} is neither a directory nor a zip archive: give one with images.')
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f'config.data.{option}={path} cannot be read ({getattr(error, "strerror", None) or error}).') from error
    if not files.marks:
        raise UserError(f'config.data.{option}={path} has no files: give a directory or a zip archive with images.')
    return files


def shuffled(names: Iterable[str]) -> list[str]:
    """Names in the order of their hashes, which looks random and stays when names are added or removed."""
    return sorted(names, key=name_hash)


def name_hash(name: str) -> bytes:
    """The sha256 of a name."""
    return hashlib.sha256(name.encode(errors='surrogateescape')).digest()


def _ignored(name: str) -> bool:
    return name.startswith('.') or name in _IGNORED


def _directory(top: Path) -> Files:
    marks, unreadable = {}, {}  # name -> the mark, and name -> why it cannot be read
    seen = set()  # directories, so that links are followed without circles
    pending, links = [''], []
    while pending or links:
        folder = (pending or links).pop()  # links last, so that a directory is listed under its own name
        try:
            status = os.stat(top / folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(top / folder), key=lambda entry: entry.name)
        except OSError as error:
            if not folder:
                raise
            unreadable[folder] = f'cannot be read ({error.strerror})'
            continue
        for entry in entries:
            if _ignored(entry.name):
                continue
            name = f'{folder}/{entry.name}' if folder else entry.name
            try:
                status = entry.stat()
            except OSError as error:  # a broken or circular link
                unreadable[name] = f'cannot be read ({error.strerror})'
                continue
            if stat.S_ISDIR(status.st_mode):
                (links if entry.is_symlink() else pending).append(name)
            elif not stat.S_ISREG(status.st_mode):
                unreadable[name] = 'is not a regular file'
            elif not os.access(top / name, os.R_OK):
                unreadable[name] = 'cannot be read (Permission denied)'
            else:
                marks[name] = mark_of(status)

    def read(name: str) -> bytes:
        if name in unreadable:
            raise UnusableImage(unreadable[name])
        with open(top / name, 'rb') as file:
            _check_size(os.fstat(file.fileno()).st_size)
            return file.read()

    return Files(top, unreadable | marks, read)


def _zip(path: Path) -> Files:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile):
        raise
    except Exception as error:  # zipfile raises errors of many types for invalid numbers, dates and names
        raise zipfile.BadZipFile(str(error) or type(error).__name__) from error
    infos = {
        info.filename: info
        for info in archive.infolist()
        if not info.is_dir() and not any(_ignored(part) for part in info.filename.split('/') if part not in ('.', '..'))
    }
    marks = {name: f'{info.file_size} {info.CRC:08x}' for name, info in infos.items()}
    one_at_a_time = threading.Lock()  # zipfile of Python 3.12 and 3.13 moves in the file of all threads: good entries look damaged

    def read(name: str) -> bytes:
        parts = PurePosixPath(name.replace('\\', '/'))
        if parts.is_absolute() or '..' in parts.parts or any(':' in part for part in parts.parts[:1]):
            raise UnusableImage('is refused: its name points outside of the archive')
        info = infos[name]
        _check_size(info.file_size)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # the others have no limit on memory
            raise UnusableImage(f'is compressed with method {info.compress_type}: only deflate is supported')
        try:
            with one_at_a_time, archive.open(info) as file:
                return file.read(info.file_size)  # read() without a size would unpack more than a wrong size says
        except Exception as error:  # errors of the format, of the compression, of encryption
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # not that of an offset that no file has
                raise  # it may be temporary
            raise UnusableImage(f'cannot be unpacked ({error})') from error

    return Files(path, marks, read)


def _lmdb(path: Path) -> Files:
    try:
        import lmdb  # optional
    except ImportError as error:
        raise UserError(f'{path} is an LMDB, which needs the package lmdb: pip install lmdb.') from error
    try:
        environment = lmdb.open(str(path), readonly=True, lock=False, readahead=False, max_readers=64)
        needed = (environment.info()['last_pgno'] + 1) * environment.stat()['psize']
        size = (path / 'data.mdb').stat().st_size
        if size + _LMDB_UNWRITTEN < needed:  # reading beyond the end of a mapped file kills the process
            raise UserError(f'{path} is cut short: data.mdb has {size:,} bytes of {needed:,}; fetch or unpack it again.')
        with environment.begin() as transaction:
            names = [key.decode('ascii', 'surrogateescape') for key in transaction.cursor().iternext(values=False)]
    except lmdb.Error as error:
        raise UserError(f'{path} cannot be read as an LMDB ({error}).') from error
    mark = mark_of((path / 'data.mdb').stat())

    def read(name: str) -> bytes:
        try:
            with environment.begin() as transaction:
                return transaction.get(name.encode('ascii', 'surrogateescape'))
        except lmdb.Error as error:
            raise OSError(None, str(error)) from error

    return Files(path, dict.fromkeys(names, mark), read)


def mark_of(status: os.stat_result) -> str:
    """A text that changes with every change of a file."""
    # The time of the status changes with every change of the content, and unlike the time of the content nobody can set it.
    return f'{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}'


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise UnusableImage(f'has {size:,} bytes, too many for an image')
