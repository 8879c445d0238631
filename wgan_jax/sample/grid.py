"""Many images as one picture."""

import math

import numpy as np

_LINE, _LINE_VALUE = 2, 96  # pixels between images, and their grey
_CELL = 48  # pixels; smaller images are enlarged, so that a grid of digits can be seen


def grid(images: np.ndarray) -> np.ndarray:
    """Tiles uint8 images [N, H, W, C] into one picture, as square as N allows, with thin lines between them.

    Images with a side under 48 pixels are enlarged by a whole factor without smoothing. Images that are neither grey nor
    colour, with C other than 1 and 3, show their channels side by side in grey.

    Returns:
      uint8 [rows * (H * factor + 2) - 2, columns * (W * factor + 2) - 2, C], or with W * C for W and 1 for C.
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


def grid_bytes(count: int, image_shape: tuple[int, ...]) -> int:
    """Bytes of the images in a grid of `count`, without the lines between them."""
    return count * math.prod(image_shape) * _enlargement(image_shape) ** 2


def _enlargement(image_shape: tuple[int, ...]) -> int:
    return max(1, _CELL // min(image_shape[:2]))
