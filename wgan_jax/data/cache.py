"""The uint8 cache: a data set is prepared once, and from then on memory-mapped."""

import os
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from wgan_jax.data.array_file import DamagedFile, open_array, stored_checksum, write_array
from wgan_jax.disk import home, only_one, remove_abandoned
from wgan_jax.errors import UserError

IN_MEMORY_BYTES = 2**30  # the largest data set that is kept in memory if no cache can be written


def data_root(data_dir: str | None) -> Path:
    """The directory of the data sets: the one given, or TFDS's default.

    Raises:
      UserError: none is given, and the user has no home directory.
    """
    if data_dir:
        return Path(data_dir)
    if (directory := home()) is None:
        raise UserError('This user has no home directory for prepared data: set --config.data.dir to a directory.')
    return directory / 'tensorflow_datasets'


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
    """Returns the images of a data set; prepares them and writes them to disk if they are not there yet.

    The file (array_file.py) gets its name when it is complete, and only one process at a time prepares it. A file that is
    damaged or has the wrong shape is prepared again, with a printed warning. When the fingerprint changes, the new file replaces
    the old one. If nothing can be written (a shared data directory, a full disk), a small data set stays in memory, with a
    printed warning.

    Args:
      key: part of the file name that identifies the content: source, split, crop, size and version of the code.
      num_images: expected number of images.
      blocks: generates the images as uint8 arrays [n, H, W, C] in order; raises UserError, but no OSError.
      fingerprint: part of the file name that identifies the state of a source that may change.
      complete: whether fewer images than `num_images` are an error.

    Returns:
      uint8 [N, H, W, C], a read-only memory map if it could be written.

    Raises:
      UserError: a data set too large for memory cannot be written, or a damaged one cannot be prepared again.
    """
    directory = root / 'wgan_jax'
    path = directory / f'{key}{fingerprint and "-"}{fingerprint}.npy'
    counts = range(num_images if complete else 1, num_images + 1)
    images, damage = _open(path, image_shape, counts)
    if images is not None:
        if len(images) < num_images:
            left_out = f'{num_images - len(images):,} of {num_images:,} files are left out'
            print(f'{path}: {left_out}, as was said when it was prepared; delete it to prepare it again.')
        return images
    if damage:
        print(f'Warning: {path} {damage}; preparing it again.', flush=True)
    try:
        with only_one(directory / f'unfinished_{key}', f'is preparing data in {directory}') as file:
            images, damage = _open(path, image_shape, counts)  # another process may have prepared it
            if images is None:
                remove_abandoned(directory, 'unfinished_*')  # gigabytes, perhaps, with another key
                write_array(file, image_shape, num_images, blocks)
                os.replace(file.name, path)
                if fingerprint:
                    for outdated in set(directory.glob(f'{key}-*.npy')) - {path}:
                        outdated.unlink()
                images = open_array(path, image_shape, check=False)  # just written
    except UserError as error:
        if damage:
            raise UserError(f'{path} {damage}, and cannot be prepared again: {error}') from error
        raise
    except OSError as error:
        size, reason = num_images * int(np.prod(image_shape)), error.strerror or error
        if size > IN_MEMORY_BYTES:
            raise UserError(
                f'{path} cannot be written ({reason}), and {size / 1e9:.1f} GB are too much to keep in memory: choose another '
                'place with --config.data.dir=DIR.'
            ) from error
        print(f'Warning: {path} cannot be written ({reason}); the data set stays in memory for this run only.')
        images = np.concatenate(list(blocks()))
    if images is None or len(images) not in counts or images.shape[1:] != image_shape:
        raise ValueError(f'{path} should hold {num_images} images of shape {image_shape}')
    return images


def identity(images: np.ndarray) -> dict[str, int]:
    """Identifies a data set by the number of images and the crc32 of their bytes, or of all bytes of their file."""
    checksum = stored_checksum(images)
    if checksum is None:
        checksum = zlib.crc32(np.ascontiguousarray(images))
    return {'num_images': len(images), 'crc32': checksum}


def _open(path: Path, image_shape: tuple[int, ...], counts: range) -> tuple[np.ndarray | None, str]:
    """Returns (the images or None, the damage of the file or an empty string)."""
    try:
        images = open_array(path, image_shape)
    except DamagedFile as error:
        return None, str(error)
    return (images if images is not None and len(images) in counts else None), ''
