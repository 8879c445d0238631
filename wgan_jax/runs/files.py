"""Files of a run and of the commands: written whole or not at all, and what is said where that fails."""

import importlib.metadata
import io
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from wgan_jax.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # slow to import


def save_png(picture: np.ndarray, path: Path) -> bytes:
    """Writes uint8 [H, W, C], C 1 or 3, as a PNG, whole or not at all; returns the PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture).save(buffer, format='PNG')
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, buffer.getvalue())
    return buffer.getvalue()


def save_figure(figure: 'Figure', path: Path) -> None:
    """Writes a figure of matplotlib as a PNG, whole or not at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=100)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, buffer.getvalue())


def save_images(images: Iterable[np.ndarray], paths: Iterable[Path]) -> None:
    """Writes each of uint8 [H, W, C], C 1 or 3, as a PNG of its own, for other tools; not one by one on the disk at once."""
    for image, path in zip(images, paths, strict=False):
        Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(path)


def replace_file(path: Path, content: bytes) -> None:
    """Puts a file in the place of another: whole, or not at all."""
    unfinished = path.with_name(f'.{path.name}.tmp')
    try:
        unfinished.unlink(missing_ok=True)  # of a process that was killed, or a link that leads elsewhere
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666), 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def path_of(text: str) -> Path:
    """A path from a command line, where ~ is somebody's home, or stays where it is nobody's."""
    return Path(os.path.expanduser(text))


def make_directories(out: Path, *folders: Path) -> None:
    """Makes the directories of a command before minutes are spent; `folders`, those for images alone, must be new or empty.

    Raises:
      UserError: one cannot be made, or is not empty.
    """
    for directory, option in ((out, '--out'), *((folder, '--images') for folder in folders)):
        try:
            directory.mkdir(parents=True, exist_ok=True)
            full = option == '--images' and any(directory.iterdir())
        except OSError as error:
            raise UserError(f'{directory} cannot be made ({error.strerror}): give another {option}.') from error
        if full:
            raise UserError(f'{directory} is not empty, and other tools would take all that is in it: give another --images.')


def system_error(error: Exception) -> int | None:
    """The number of the system's error behind one of orbax, if there is one."""
    number = re.search(r"os_error_code='(\d+)'", str(error))
    return int(number[1]) if number else getattr(error, 'errno', None)


def reason(error: Exception) -> str:
    """Why a checkpoint cannot be read, in a few words."""
    if number := system_error(error):
        return os.strerror(number)
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


def versions() -> dict[str, str]:
    """Of the packages that decide the bits."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


_PACKAGES = ('jax', 'flax', 'optax', 'numpy')  # what decides the bits
