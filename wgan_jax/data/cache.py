"""The uint8 cache: a data set, prepared once, memory-mapped ever after."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np


def cached(path: Path, shape: tuple[int, ...], build: Callable[[], np.ndarray]) -> np.ndarray:
    """The images at `path`, built and written there first if they are not there yet.

    The file appears under its name only when it is complete. A file that is not a whole array of this shape is built anew. Where
    nothing can be written (a shared data directory, a full disk) the images stay in memory, and a printed line says so.

    Args:
      path: an .npy file; its name holds all that decides its content.
      shape: [N, H, W, C] that the array must have.
      build: makes the array.

    Returns:
      uint8, a read-only memory map if it could be written.
    """
    images = _open(path, shape)
    if images is None:
        built = build()
        if built.shape != shape or built.dtype != np.uint8:
            raise ValueError(f'{path} should hold uint8 {shape}, not {built.dtype} {built.shape}')
        try:
            _write(path, built)
        except OSError as error:
            print(f'Warning: {path} cannot be written ({error.strerror}); the data set stays in memory, for this run only.')
            return built
        images = _open(path, shape)
    return images


def _open(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    try:
        images = np.load(path, mmap_mode='r', allow_pickle=False)
    except (OSError, ValueError, EOFError):  # not there, or cut short
        return None
    return images if images.shape == shape and images.dtype == np.uint8 else None


def _write(path: Path, images: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix='unfinished_')
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
