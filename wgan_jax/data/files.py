"""Image files in a directory, a zip archive or an LMDB: their names, what tells a change, and their bytes."""

import hashlib
import os
import stat
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from wgan_jax.data.images import Item, UnusableImage
from wgan_jax.errors import UserError

MAX_BYTES = 2**28  # of one file, 256 MiB: larger ones are no images
_LMDB_UNWRITTEN = 2**20  # bytes that may be missing at the end of an LMDB: pages there that are free need not have been written
_IGNORED = ('__MACOSX', 'Thumbs.db', 'desktop.ini')  # besides names that begin with a dot


class Files(NamedTuple):
    """Files that may be images.

    Attributes:
      place: the directory or archive.
      marks: name -> what changes when the content does, such as size and time.
      read: the bytes of a name; raises UnusableImage or OSError, from any thread.
    """

    place: Path
    marks: dict[str, str]
    read: Callable[[str], bytes]

    def items(self, names: Iterable[str]) -> Iterable[Item]:
        """What images.decode_all takes."""
        return ((name, lambda name=name: self.read(name)) for name in names)

    def fingerprint(self, names: Iterable[str]) -> str:
        """16 hexadecimal digits that change when a name or its file does."""
        digest = hashlib.sha256()
        for name in names:
            digest.update(f'{name}\0{self.marks[name]}\0'.encode(errors='surrogateescape'))
        return digest.hexdigest()[:16]


def open_files(path: Path, option: str) -> Files:
    """Lists what is in a directory (at any depth), a zip archive, or an LMDB.

    Args:
      path: something that exists.
      option: the key of config.data that holds the path, for messages.

    Raises:
      UserError: it is neither, cannot be read, or holds no file.
    """
    try:
        if path.is_dir():
            files = _lmdb(path) if (path / 'data.mdb').is_file() else _directory(path)
        elif path.is_file() and zipfile.is_zipfile(path):
            files = _zip(path)
        else:
            raise UserError(f'config.data.{option}={path} is neither a directory nor a zip archive: give one that holds images.')
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f'config.data.{option}={path} cannot be read ({getattr(error, "strerror", None) or error}).') from error
    if not files.marks:
        raise UserError(f'config.data.{option}={path} holds no files: give a directory or a zip archive with images.')
    return files


def shuffled(names: Iterable[str]) -> list[str]:
    """Names in the order of their hashes: looks random, and stays when names are added or removed."""
    return sorted(names, key=name_hash)


def name_hash(name: str) -> bytes:
    """sha256 of a name."""
    return hashlib.sha256(name.encode(errors='surrogateescape')).digest()


def _ignored(name: str) -> bool:
    return name.startswith('.') or name in _IGNORED


def _directory(top: Path) -> Files:
    marks: dict[str, str] = {}
    unreadable: dict[str, str] = {}
    seen = set()  # links to directories are followed, each directory once
    pending, links = [''], []
    while pending or links:
        folder = (pending or links).pop()  # links last: a directory keeps its own name where both lead to it
        try:
            status = os.stat(top / folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(
                (entry for entry in os.scandir(top / folder) if not _ignored(entry.name)), key=lambda entry: entry.name
            )
        except OSError as error:
            if not folder:
                raise
            marks[folder] = unreadable[folder] = f'cannot be read ({error.strerror})'
            continue
        for entry in entries:
            name = f'{folder}/{entry.name}' if folder else entry.name
            try:
                status = entry.stat()
            except OSError as error:  # a link to nowhere, or in a circle
                marks[name] = unreadable[name] = f'cannot be read ({error.strerror})'
                continue
            if stat.S_ISDIR(status.st_mode):
                (links if entry.is_symlink() else pending).append(name)
            elif not stat.S_ISREG(status.st_mode):
                marks[name] = unreadable[name] = 'is no regular file'
            elif not os.access(top / name, os.R_OK):
                marks[name] = unreadable[name] = 'cannot be read (Permission denied)'
            else:
                marks[name] = f'{status.st_size} {status.st_mtime_ns}'

    def read(name: str) -> bytes:
        if name in unreadable:
            raise UnusableImage(unreadable[name])
        with open(top / name, 'rb') as file:
            _check_size(os.fstat(file.fileno()).st_size)
            return file.read()

    return Files(top, marks, read)


def _zip(path: Path) -> Files:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile):
        raise
    except Exception as error:  # of numbers, dates and names that make no sense
        raise zipfile.BadZipFile(str(error) or type(error).__name__) from error
    infos = {info.filename: info for info in archive.infolist() if not info.is_dir()}
    infos = {
        name: info for name, info in infos.items() if not any(_ignored(part) for part in name.split('/') if part not in ('.', '..'))
    }
    marks = {name: f'{info.file_size} {info.CRC:08x}' for name, info in infos.items()}

    def read(name: str) -> bytes:
        parts = PurePosixPath(name.replace('\\', '/'))
        if parts.is_absolute() or '..' in parts.parts or any(':' in part for part in parts.parts[:1]):
            raise UnusableImage('is refused: its name leads out of the archive')
        info = infos[name]
        _check_size(info.file_size)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others unpack without a limit to their memory
            raise UnusableImage(f'is compressed by method {info.compress_type}: only deflate is supported')
        try:
            with archive.open(info) as file:
                return file.read(info.file_size)  # read() without a size would unpack more where the size is a lie
        except Exception as error:  # of the archive's format, of its compression, an encrypted file
            raise UnusableImage(f'cannot be unpacked ({error})') from error

    return Files(path, marks, read)


def _lmdb(path: Path) -> Files:
    try:
        import lmdb
    except ImportError as error:
        raise UserError(f'{path} is an LMDB: to read it, pip install lmdb.') from error
    try:
        environment = lmdb.open(str(path), readonly=True, lock=False, readahead=False, max_readers=64)
        needed = (environment.info()['last_pgno'] + 1) * environment.stat()['psize']
        size = (path / 'data.mdb').stat().st_size
        if size + _LMDB_UNWRITTEN < needed:  # to read beyond the end of a file that is mapped ends the process
            raise UserError(f'{path} is cut short: data.mdb has {size:,} bytes of {needed:,}; fetch or unpack it again.')
        with environment.begin() as transaction:
            names = [key.decode('ascii', 'surrogateescape') for key in transaction.cursor().iternext(values=False)]
    except lmdb.Error as error:
        raise UserError(f'{path} cannot be read as an LMDB ({error}).') from error
    status = (path / 'data.mdb').stat()

    def read(name: str) -> bytes:
        try:
            with environment.begin() as transaction:
                return transaction.get(name.encode('ascii', 'surrogateescape'))
        except lmdb.Error as error:
            raise OSError(None, str(error)) from error

    return Files(path, dict.fromkeys(names, f'{status.st_size} {status.st_mtime_ns}'), read)


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise UnusableImage(f'has {size:,} bytes, too many for an image')
