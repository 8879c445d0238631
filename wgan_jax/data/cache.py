"""The uint8 cache: a data set, prepared once, memory-mapped ever after."""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

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

    The file appears under its name only when it is complete, and one process at a time prepares in a directory. A file that
    is not a whole array of the right shape is prepared anew. When the fingerprint has changed, the new file replaces the old.
    Where nothing can be written (a shared data directory, a full disk) a small set stays in memory, and a printed line says so.

    Args:
      root: the directory of the data sets.
      key: names all that decides the content (source, split, crop, size, version of the code), as part of a file name.
      image_shape: (height, width, channels).
      num_images: images there should be.
      blocks: makes the images, as uint8 arrays [n, H, W, C] in order.
      fingerprint: what tells the state of a source that may change, as part of a file name.
      complete: whether fewer images than `num_images` will not do.

    Returns:
      uint8 [N, H, W, C], a read-only memory map if it could be written.

    Raises:
      UserError: a set too large for memory cannot be written.
    """
    path = root / 'wgan_jax' / f'{key}{fingerprint and "-"}{fingerprint}.npy'
    images = _open(path, image_shape, num_images, complete)
    if images is not None:
        return images
    try:
        with _only_builder(path.parent):
            images = _open(path, image_shape, num_images, complete)  # another process may have been at it
            if images is None:
                _write(path, image_shape, num_images, blocks)
                if fingerprint:
                    for outdated in set(path.parent.glob(f'{key}-*.npy')) - {path}:
                        outdated.unlink()
                images = _open(path, image_shape, num_images, complete)
    except OSError as error:
        size = num_images * int(np.prod(image_shape))
        if size > IN_MEMORY_BYTES:
            raise UserError(
                f'{path} cannot be written ({error.strerror}), and {size / 1e9:.1f} GB are too much to keep in memory: choose '
                'another place with --config.data.dir=DIR.'
            ) from error
        print(f'Warning: {path} cannot be written ({error.strerror}); the data set stays in memory, for this run only.')
        return np.concatenate(list(blocks()))
    if images is None:
        raise ValueError(f'{path} should hold {num_images} images of shape {image_shape}')
    return images


def _open(path: Path, image_shape: tuple[int, ...], num_images: int, complete: bool) -> np.ndarray | None:
    try:
        images = np.load(path, mmap_mode='r', allow_pickle=False)
    except (OSError, ValueError, EOFError):  # not there, or cut short
        return None
    counts = range(num_images if complete else 1, num_images + 1)
    return images if images.dtype == np.uint8 and images.shape[1:] == image_shape and len(images) in counts else None


@contextmanager
def _only_builder(directory: Path) -> Iterator[None]:
    """Lets one process at a time prepare data in a directory; what a killed one has left, or nothing at all, is cleared away."""
    created = [path for path in (directory, *directory.parents) if not path.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    lock = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f'Waiting for another process that prepares data in {directory}.', flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
            directory.mkdir(parents=True, exist_ok=True)  # the other may have left nothing
        for unfinished in directory.glob('unfinished_*'):
            unfinished.unlink()
        yield
    finally:
        os.close(lock)
        for path in created:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def _write(path: Path, image_shape: tuple[int, ...], num_images: int, blocks: Callable[[], Iterable[np.ndarray]]) -> None:
    """Writes the blocks one after the other: no more than one of them is in memory."""
    if shutil.disk_usage(path.parent).free < num_images * int(np.prod(image_shape)):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix='unfinished_')
    try:
        with os.fdopen(descriptor, 'wb') as file:
            _write_header(file, (num_images, *image_shape))
            begin = file.tell()
            count = 0
            for block in blocks():
                if block.shape[1:] != image_shape or block.dtype != np.uint8:
                    raise ValueError(f'{path} should hold uint8 {image_shape}, not {block.dtype} {block.shape[1:]}')
                file.write(np.ascontiguousarray(block).data)
                count += len(block)
            file.seek(0)
            _write_header(file, (count, *image_shape))  # numpy leaves room for the longest number of rows
            if file.tell() != begin:
                raise ValueError(f'the header of {path} changed its length from {begin} to {file.tell()}')
            file.flush()
            os.fsync(file.fileno())
        os.chmod(unfinished, 0o644)
        os.replace(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise


def _write_header(file: object, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(file, {'descr': '|u1', 'fortran_order': False, 'shape': shape})
