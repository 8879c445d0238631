"""The uint8 cache: a data set, prepared once, memory-mapped ever after."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from wgan_jax.errors import UserError


def cached(path: Path, shape: tuple[int, ...], build: Callable[[], np.ndarray]) -> np.ndarray:
    """The images at `path`, built and written there first if they are not there yet.

    The file appears under its name only when it is complete. A file that is not a whole array of this shape is built anew.

    Args:
      path: an .npy file; its name holds all that decides its content.
      shape: [N, H, W, C] that the array must have.
      build: makes the array.

    Returns:
      A read-only memory map, uint8.

    Raises:
      UserError: the directory cannot be written.
    """
    images = _open(path, shape)
    if images is None:
        _write(path, build())
        images = _open(path, shape)
        if images is None:
            raise RuntimeError(f'{path} was built with another shape than {shape}')
    return images


def _open(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    try:
        images = np.load(path, mmap_mode='r', allow_pickle=False)
    except (OSError, ValueError, EOFError):  # not there, or cut short
        return None
    return images if images.shape == shape and images.dtype == np.uint8 else None


def _write(path: Path, images: np.ndarray) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix='unfinished_')
    except OSError as error:
        raise UserError(
            f'The data directory {path.parent} cannot be written ({error.strerror}); choose another with --config.data.dir=DIR.'
        ) from error
    try:
        with os.fdopen(descriptor, 'wb') as file:
            np.save(file, images, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(unfinished, 0o644)
        os.replace(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise
