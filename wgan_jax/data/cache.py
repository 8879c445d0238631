"""The uint8 cache: a data set, prepared once, memory-mapped ever after."""

import errno
import fcntl
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from wgan_jax.errors import UserError

IN_MEMORY_BYTES = 2**30  # the most that is kept in memory where no cache can be written
_CHECKSUM = struct.Struct('<I')  # the crc32 of all pixels, behind the array


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

    The file is an ordinary .npy file with a checksum behind the array. It appears under its name only when it is complete, and
    one process at a time prepares it. A file that is not a whole array of the right shape is prepared anew. When the
    fingerprint has changed, the new file replaces the old. Where nothing can be written (a shared data directory, a full disk)
    a small set stays in memory, and a printed line says so.

    Args:
      root: the directory of the data sets.
      key: names all that decides the content (source, split, crop, size, version of the code), as part of a file name.
      image_shape: (height, width, channels).
      num_images: images there should be.
      blocks: makes the images, as uint8 arrays [n, H, W, C] in order; raises no OSError.
      fingerprint: what tells the state of a source that may change, as part of a file name.
      complete: whether fewer images than `num_images` will not do.

    Returns:
      uint8 [N, H, W, C], a read-only memory map if it could be written.

    Raises:
      UserError: a set too large for memory cannot be written.
    """
    directory = root / 'wgan_jax'
    path = directory / f'{key}{fingerprint and "-"}{fingerprint}.npy'
    counts = range(num_images if complete else 1, num_images + 1)
    images = _open(path, image_shape, counts)
    if images is not None:
        if len(images) < num_images:
            print(f'{path}: {num_images - len(images):,} of {num_images:,} files are left out; config.data.strict=True names them.')
        return images
    try:
        with only_one(directory / f'unfinished_{key}') as file:
            images = _open(path, image_shape, counts)  # another process may have been at it
            if images is None:
                _write(file, image_shape, num_images, blocks)
                os.replace(file.name, path)
                if fingerprint:
                    for outdated in set(directory.glob(f'{key}-*.npy')) - {path}:
                        outdated.unlink()
                images = _open(path, image_shape, counts)
    except OSError as error:
        size = num_images * int(np.prod(image_shape))
        if size > IN_MEMORY_BYTES:
            raise UserError(
                f'{path} cannot be written ({error.strerror}), and {size / 1e9:.1f} GB are too much to keep in memory: choose '
                'another place with --config.data.dir=DIR.'
            ) from error
        print(f'Warning: {path} cannot be written ({error.strerror}); the data set stays in memory, for this run only.')
        images = np.concatenate(list(blocks()))
    if images is None or len(images) not in counts or images.shape[1:] != image_shape:
        raise ValueError(f'{path} should hold {num_images} images of shape {image_shape}')
    return images


def identity(images: np.ndarray) -> dict[str, int]:
    """What tells one data set from another: the number of images, and the crc32 of the whole set that they are taken from."""
    if isinstance(images, np.memmap):
        with open(images.filename, 'rb') as file:
            file.seek(-_CHECKSUM.size, os.SEEK_END)
            (checksum,) = _CHECKSUM.unpack(file.read())
    else:
        checksum = zlib.crc32(images if images.base is None else images.base)
    return {'num_images': len(images), 'crc32': checksum}


def _open(path: Path, image_shape: tuple[int, ...], counts: range) -> np.ndarray | None:
    try:
        images = np.load(path, mmap_mode='r', allow_pickle=False)
    except (OSError, ValueError, EOFError):  # not there, or cut short
        return None
    whole = path.stat().st_size == images.offset + images.nbytes + _CHECKSUM.size
    return images if whole and images.dtype == np.uint8 and images.shape[1:] == image_shape and len(images) in counts else None


@contextmanager
def only_one(path: Path) -> Iterator[BinaryIO]:
    """An empty file at `path` that is this process's alone: others wait, and what a killed process has left is overwritten.

    The file is gone afterwards, unless it was moved, and so are the directories that were made for it and are empty.
    """
    waited = False
    created = [directory for directory in path.parents if not directory.exists()]
    try:
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                file = path.open('ab')
            except FileNotFoundError:  # another process has just removed the directory
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
            if directory.is_dir() and not any(directory.iterdir()):
                directory.rmdir()


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _write(file: BinaryIO, image_shape: tuple[int, ...], num_images: int, blocks: Callable[[], Iterable[np.ndarray]]) -> None:
    """Writes the blocks one after the other: no more than one of them is in memory."""
    if shutil.disk_usage(Path(file.name).parent).free < num_images * int(np.prod(image_shape)):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    count = checksum = 0
    with open(file.name, 'r+b') as writer:  # not in append mode: the header is written twice
        _write_header(writer, (num_images, *image_shape))
        begin = writer.tell()
        for block in blocks():
            if block.shape[1:] != image_shape or block.dtype != np.uint8:
                raise ValueError(f'{file.name} should hold uint8 {image_shape}, not {block.dtype} {block.shape[1:]}')
            pixels = np.ascontiguousarray(block).data
            writer.write(pixels)
            checksum = zlib.crc32(pixels, checksum)
            count += len(block)
        writer.write(_CHECKSUM.pack(checksum))
        writer.seek(0)
        _write_header(writer, (count, *image_shape))  # numpy leaves room for the longest number of rows
        if writer.tell() != begin:
            raise ValueError(f'the header of {file.name} changed its length from {begin} to {writer.tell()}')
        writer.flush()
        os.fsync(writer.fileno())


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(file, {'descr': '|u1', 'fortran_order': False, 'shape': shape})
