"""The files that runs and commands write, and the paths that users give."""

import errno
import importlib.metadata
import io
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from wgan_jax.disk import replace_file
from wgan_jax.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # slow to import

_PACKAGES = ('jax', 'flax', 'optax', 'numpy')  # their versions decide the last bits of a run


def expand(text: str, name: str = '') -> Path:
    """The path that a user gave, with ~ expanded; the only function of the package that expands it.

    Args:
      text: the path.
      name: the flag or key that holds it, for the message.

    Raises:
      UserError: ~ is followed by the name of an unknown user.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        given = f'{name}={text}' if name else text
        raise UserError(f'{given} starts with the home directory of an unknown user: check the path.') from error


def run_directory(workdir: str) -> Path:
    """The path of --workdir.

    Raises:
      UserError: it starts with the home directory of an unknown user, is not UTF-8, which orbax needs, or is a bucket's address.
    """
    if '://' in workdir:
        raise UserError(f'--workdir={workdir} is no path of this machine: mount the bucket, or train on a disk and copy the run.')
    try:
        workdir.encode()
    except UnicodeEncodeError as error:
        raise UserError(f'--workdir={workdir} is not UTF-8, which checkpoints need: give another name.') from error
    return expand(workdir, '--workdir')


def make_directories(out: Path | None, *folders: Path) -> None:
    """Creates the output directories of a command before it computes anything.

    Args:
      out: the directory that --out names, if the command has this option.
      folders: directories for images alone (--images), which must be new or empty.

    Raises:
      UserError: one cannot be created, or is not empty.
    """
    outputs = [] if out is None else [(out, '--out')]
    for directory, option in (*outputs, *((folder, '--images') for folder in folders)):
        try:
            directory.mkdir(parents=True, exist_ok=True)
            full = option == '--images' and any(directory.iterdir())
        except OSError as error:
            raise UserError(f'{directory} cannot be created ({error.strerror}): give another {option}.') from error
        if full:
            raise UserError(f'{directory} is not empty, and other tools read every file in it: give another --images.')


def save_png(picture: np.ndarray, path: Path) -> bytes:
    """Writes uint8 [H, W, C], C 1 or 3, as a PNG, whole or not at all; returns the PNG."""
    buffer = io.BytesIO()
    _image(picture).save(buffer, format='PNG')
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, buffer.getvalue())
    return buffer.getvalue()


def save_figure(figure: 'Figure', path: Path) -> None:
    """Writes a matplotlib figure as a PNG, whole or not at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=100)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, buffer.getvalue())


def check_channels(image_shape: tuple[int, ...]) -> None:
    """Refuses images [H, W, C] that a PNG file cannot show.

    Raises:
      UserError: C is neither 1 nor 3.
    """
    if image_shape[-1] not in (1, 3):
        raise UserError(f'--images writes PNG files, which have 1 or 3 channels, and these images have {image_shape[-1]}: omit it.')


def save_images(images: Iterable[np.ndarray], paths: Iterable[Path]) -> None:
    """Writes each of uint8 [H, W, C], C 1 or 3, as a PNG file for other tools; fast, so without waiting for the disk."""
    for image, path in zip(images, paths, strict=False):
        _image(image).save(path)


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels)


def versions() -> dict[str, str]:
    """The versions of the packages that decide the last bits of a run."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def system_error(error: Exception) -> int | None:
    """The errno behind an exception of orbax or the system, or None."""
    if number := re.search(r"os_error_code='(\d+)'", str(error)):
        return int(number[1])
    if re.match('NOT_FOUND|Checkpoint directory does not exist', str(error)):  # it was moved or removed while it was written
        return errno.ENOENT
    return getattr(error, 'errno', None)


def reason(error: Exception) -> str:
    """The cause of an exception in a few words, for a message."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if number := system_error(error):
        return os.strerror(number)
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
