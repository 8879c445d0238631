"""The one way from a state to images, and from images to a picture."""

from collections.abc import Callable, Iterator

import jax
import numpy as np

BATCH = 64  # of in_batches


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
