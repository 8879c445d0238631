"""The one way from a state to images, and from images to a picture."""

import math

import jax
import numpy as np

from wgan_jax.state import GANState

_CELL = 48  # pixels; smaller images are enlarged, so that a grid of digits can be seen
_LINE, _LINE_VALUE = 2, 96  # pixels between images, and their grey


def generate(state: GANState, latents: jax.Array) -> jax.Array:
    """Images [B, H, W, C] in [-1, 1] from latents [B, latent_dim].

    Uses the averaged generator where there is one, with the batch statistics that belong to it, in inference mode: an image
    depends on its own latent vector alone.
    """
    weights = state.ema or {'params': state.generator.params, 'batch_stats': state.generator.batch_stats}
    return state.generator.apply_fn(weights, latents, train=False)


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Images in [-1, 1] to uint8, the inverse of steps.to_float; values outside are clipped."""
    return np.clip(np.rint((np.asarray(images, np.float32) + 1.0) * 127.5), 0, 255).astype(np.uint8)


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
