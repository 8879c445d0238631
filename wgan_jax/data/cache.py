"""The uint8 cache: a data set, prepared once, memory-mapped ever after."""

import errno
import fcntl
import io
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from wgan_jax.data.array_file import DamagedFile, open_array, read_checksum, write_array
from wgan_jax.errors import UserError

IN_MEMORY_BYTES = 2**30  # the most that is kept in memory where no cache can be written


def data_root(data_dir: str | None) -> Path:
    """Where data sets live: the directory given, or TFDS's own place."""
    return Path(data_dir or os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets').expanduser()


def cached(
    root: Path,
    key: str,
    image_shape: tuple[int, ...],
    num_images: int,
    blocks: Callable[[], Iterable[np.ndarray]],
    *,
    fingerprint: str = '',
    complete: bool = True,
) -> np.ndarray:
    """The images of a data set, prepared and written to disk first if they are not there yet.

    The file (array_file.py) appears under its name only when it is complete, and one process at a time prepares it. A file
    that is damaged, or not of the right shape, is prepared anew, and a printed line says so. When the fingerprint has changed,
    the new file replaces the old. Where nothing can be written (a shared data directory, a full disk) a small set stays in
    memory, and a printed line says so too.

    Args:
      root: the directory of the data sets.
      key: names all that decides the content (source, split, crop, size, version of the code), as part of a file name.
      image_shape: (height, width, channels).
      num_images: images there should be.
      blocks: makes the images, as uint8 arrays [n, H, W, C] in order; raises UserError, and no OSError.
      fingerprint: what tells the state of a source that may change, as part of a file name.
      complete: whether fewer images than `num_images` will not do.

    Returns:
      uint8 [N, H, W, C], a read-only memory map if it could be written.

    Raises:
      UserError: a set too large for memory cannot be written, or a damaged one cannot be prepared anew.
    """
    directory = root / 'wgan_jax'
    path = directory / f'{key}{fingerprint and "-"}{fingerprint}.npy'
    counts = range(num_images if complete else 1, num_images + 1)
    images, damage = _open(path, image_shape, counts)
    if images is not None:
        if len(images) < num_images:
            print(f'{path}: {num_images - len(images):,} of {num_images:,} files are left out; config.data.strict=True names them.')
        return images
    if damage:
        print(f'Warning: {path} {damage}: it is prepared anew.', flush=True)
    try:
        with only_one(directory / f'unfinished_{key}') as file:
            images, damage = _open(path, image_shape, counts)  # another process may have been at it
            if images is None:
                write_array(file, image_shape, num_images, blocks)
                os.replace(file.name, path)
                if fingerprint:
                    for outdated in set(directory.glob(f'{key}-*.npy')) - {path}:
                        outdated.unlink()
                images = open_array(path, image_shape, check=False)  # the checksum is of the pixels as they were made
    except UserError as error:
        if damage:
            raise UserError(f'{path} {damage}, and cannot be prepared anew: {error}') from error
        raise
    except OSError as error:
        size, reason = num_images * int(np.prod(image_shape)), error.strerror or error
        if size > IN_MEMORY_BYTES:
            raise UserError(
                f'{path} cannot be written ({reason}), and {size / 1e9:.1f} GB are too much to keep in memory: choose another '
                'place with --config.data.dir=DIR.'
            ) from error
        print(f'Warning: {path} cannot be written ({reason}); the data set stays in memory, for this run only.')
        images = np.concatenate(list(blocks()))
    if images is None or len(images) not in counts or images.shape[1:] != image_shape:
        raise ValueError(f'{path} should hold {num_images} images of shape {image_shape}')
    return images


def identity(images: np.ndarray) -> dict[str, int]:
    """What tells one data set from another: the number of images, and the crc32 of the whole set that they are taken from."""
    if isinstance(images, np.memmap):
        with open(images.filename, 'rb') as file:
            checksum = read_checksum(file)
    else:
        checksum = zlib.crc32(images if images.base is None else images.base)
    return {'num_images': len(images), 'crc32': checksum}


def _open(path: Path, image_shape: tuple[int, ...], counts: range) -> tuple[np.ndarray | None, str]:
    """(the images if they are there and as many as they should be, what is wrong with the file if it is damaged)."""
    try:
        images = open_array(path, image_shape)
    except DamagedFile as error:
        return None, str(error)
    return (images if images is not None and len(images) in counts else None), ''


@contextmanager
def only_one(path: Path) -> Iterator[BinaryIO]:
    """An empty file at `path` that is this process's alone: others wait, and what a killed process has left is overwritten.

    The file is gone afterwards, unless it was moved, and so are the directories that were made for it and are empty.

    Raises:
      OSError: it cannot be made, or is a link: in a directory that others may write to, that may lead to a file of the user's.
    """
    waited = False
    created = [directory for directory in path.parents if not directory.exists()]
    try:
        while True:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                file = io.FileIO(path, 'r+', opener=_create)
            except (FileNotFoundError, FileExistsError):  # another process has just removed the directory
                if path.parent.exists() and not path.parent.is_dir():
                    raise
                continue
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not waited:
                    print(f'Waiting for another process that prepares data in {path.parent}.', flush=True)
                waited = True
                fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(file, path):
                break
            file.close()  # the process that was waited for has moved or removed it
        try:
            file.truncate(0)
            yield file
        finally:
            if _is_at(file, path):
                path.unlink()
            file.close()
    finally:
        for directory in created:
            with suppress(OSError):  # another process has put something into it, or removed it
                directory.rmdir()


def _create(path: str, flags: int) -> int:
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)  # less what the umask takes away
    except OSError as error:
        if error.errno == errno.ELOOP and os.path.islink(path):
            raise OSError(errno.ELOOP, f'{path} is a symbolic link: remove it') from error
        raise
    if os.fstat(descriptor).st_nlink > 1:
        os.close(descriptor)
        raise OSError(errno.EMLINK, f'{path} is a second name of another file: remove it')
    return descriptor


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
