"""Many images as one picture."""

import math

import numpy as np

from wgan_jax.errors import UserError
from wgan_jax.runs.memory_limits import gib

MAX_BYTES = 2**30  # of a picture: some copies of it are made, and TensorBoard accepts less than twice as much
_CELL = 48  # pixels; smaller images are enlarged, so that digits can be recognised
_LINE, _LINE_VALUE = 2, 96  # pixels between images, and their grey


def grid(images: np.ndarray) -> np.ndarray:
    """Arranges uint8 images [N, H, W, C] in one picture, as square as N allows, with thin lines between them.

    Images with a side under 48 pixels are enlarged by an integer factor, without smoothing. Images with other channels than grey
    or colour show their channels side by side in grey.

    Returns:
      uint8 [rows * (H * factor + 2) - 2, columns * (W * factor + 2) - 2, C]; for C other than 1 and 3, W * C instead of W, and one
      channel.
    """
    if images.shape[3] not in (1, 3):
        images = images.swapaxes(2, 3).reshape(*images.shape[:2], -1, 1)
    factor = _enlargement(images.shape[1:])
    images = images.repeat(factor, axis=1).repeat(factor, axis=2)
    count, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    height, width = height + _LINE, width + _LINE
    cells = np.full((rows * columns, height, width, channels), _LINE_VALUE, np.uint8)
    cells[:count, :-_LINE, :-_LINE] = images
    picture = cells.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return picture.reshape(rows * height, columns * width, channels)[:-_LINE, :-_LINE]


def first_row(picture: np.ndarray) -> int:
    """The height in pixels of the first row of images of a grid, [H, W] or [H, W, C]; H if there are no lines across it."""
    lines = np.all(picture == _LINE_VALUE, axis=tuple(range(1, picture.ndim)))
    between = np.flatnonzero(lines[:-1] & lines[1:])
    return int(between[0]) if len(between) else len(picture)


def check_size(name: str, count: int, image_shape: tuple[int, ...], remedy: str) -> None:
    """Refuses a picture of `count` images that needs more than MAX_BYTES.

    Args:
      name: what sets the number of images, for the message.
      count: images in the picture.
      image_shape: (height, width, channels).
      remedy: what to do instead, for the message.

    Raises:
      UserError: the picture is too large.
    """
    size = count * math.prod(image_shape) * _enlargement(image_shape) ** 2
    if size > MAX_BYTES:
        raise UserError(f'{name} images make a picture of {gib(size)}, and the limit is {gib(MAX_BYTES)}: {remedy}.')


def _enlargement(image_shape: tuple[int, ...]) -> int:
    return max(1, _CELL // min(image_shape[:2]))
