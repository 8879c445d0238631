"""The one way from a state to images, and from images to a picture."""

import math
from collections.abc import Callable, Iterator

import jax
import numpy as np

from wgan_jax.state import GANState

BATCH = 64  # of in_batches
_CELL = 48  # pixels; smaller images are enlarged, so that a grid of digits can be seen
_LINE, _LINE_VALUE = 2, 96  # pixels between images, and their grey


def generate(state: GANState, latents: jax.Array) -> jax.Array:
    """Images [B, H, W, C] in [-1, 1] from latents [B, latent_dim].

    Uses the averaged generator where there is one, with the batch statistics that belong to it, in inference mode: an image
    depends on its own latent vector alone.
    """
    weights = state.ema or {'params': state.generator.params, 'batch_stats': state.generator.batch_stats}
    return state.generator.apply_fn(weights, latents, train=False)


def latents(seeds: jax.Array, latent_dim: int, truncation: float | None = None) -> jax.Array:
    """One latent vector per seed, which no other seed changes.

    Args:
      seeds: [N], uint32.
      latent_dim: size of a latent vector.
      truncation: None for the standard normal distribution of training; or the bound T of the truncation trick (Brock et al. 2019,
        "Large Scale GAN Training for High Fidelity Natural Image Synthesis", section 3.1): entries beyond T in size are drawn
        anew, which is the truncated normal distribution. Better single images, less variety. Both are drawn by the inverse of
        their distribution function from the same uniform numbers, so a seed stays the same picture, nearer to the usual.

    Returns:
      [N, latent_dim], float32.
    """

    def draw(seed: jax.Array) -> jax.Array:
        key = jax.random.key(seed)
        if truncation is None:
            return jax.random.normal(key, (latent_dim,))
        return jax.random.truncated_normal(key, -truncation, truncation, (latent_dim,))

    return jax.vmap(draw)(seeds)


def in_batches(function: Callable[[np.ndarray], jax.Array], rows: np.ndarray) -> Iterator[np.ndarray]:
    """What a function makes of rows, by calls with 64 of them, of which the last are filled up.

    So what it makes of a row is the same to the bit whatever others are asked for: a program for another number of rows may sum in
    another order.
    """
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        full = np.concatenate([part, np.broadcast_to(part[-1], (BATCH - len(part), *part.shape[1:]))])
        yield np.asarray(function(full))[: len(part)]


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
