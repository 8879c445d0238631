"""Convolutions that should not be done apart from the operation before or after them."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from wgan_jax.convolutions import convolution, on_cpu
from wgan_jax.convolutions.cpu import explicit_padding, refuse_dilation_and_groups


def convolution_after(
    upsample: Callable[[jax.Array], jax.Array], upsampling: Callable[[int], np.ndarray]
) -> Callable[..., jax.Array]:
    """As ops.convolution, of inputs that are enlarged first; on CPU both at once, by upsampled_convolution_on_cpu.

    Args:
      upsample: [B, H, W, C] -> [B, rows, columns, C], linear and alike in height and width.
      upsampling: what it does along one of them, as a matrix: size -> [larger size, size].
    """
    if on_cpu():
        return functools.partial(upsampled_convolution_on_cpu, upsampling)
    return lambda inputs, *others, **options: lax.conv_general_dilated(upsample(inputs), *others, **options)


def convolution_before_mean_pool() -> Callable[..., jax.Array]:
    """As ops.convolution, with the mean of each 2x2 outputs instead of them, on every backend.

    That is a convolution with strides of 2, whose kernel is one wider: with 3x3 it has 16 products in place of 36, and the outputs
    that are to be averaged are never in memory.
    """

    def pooled(inputs: jax.Array, kernel: jax.Array, window_strides: Sequence[int], padding: Any, **options: Any) -> jax.Array:
        if tuple(window_strides) != (1, 1):
            raise NotImplementedError(f'the convolution before a mean pool has strides {window_strides}')
        padding = explicit_padding(inputs.shape[1:3], kernel, padding)
        wider = jnp.pad(kernel, [(1, 1), (1, 1), (0, 0), (0, 0)])
        wider = wider[1:] + wider[:-1]
        return convolution()(inputs, (wider[:, 1:] + wider[:, :-1]) / 4.0, (2, 2), padding, **options)

    return pooled


def upsampled_convolution_on_cpu(
    upsampling: Callable[[int], np.ndarray],
    inputs: jax.Array,
    kernel: jax.Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    **options: Any,
) -> jax.Array:
    """A convolution of enlarged inputs, as lax.conv_general_dilated does it up to rounding, for XLA on CPU.

    Enlarging moves values from place to place, the kernel from channel to channel, so they may change places: the small inputs
    are multiplied with every tap of the kernel, and the products enlarged and shifted, which is one more product, with a small
    constant matrix, for columns and for rows. If both sides double, that is a quarter of the products, in every derivative too.

    Args:
      upsampling: size -> the matrix [larger size, size] that enlarges along height and width.
      inputs: [B, H, W, C].
      kernel: [h, w, C, filters].
      window_strides: must be 1.
      padding: of the enlarged inputs: 'SAME', 'VALID', or (before, after) for height and width.
      **options: as in ops.convolution_on_cpu.

    Returns:
      [B, rows, columns, filters].

    Raises:
      NotImplementedError: strides, dilation or groups.
    """
    refuse_dilation_and_groups(options)
    if tuple(window_strides) != (1, 1):
        raise NotImplementedError(f'upsampled_convolution_on_cpu knows no strides: {window_strides}')
    batch, height, width, channels = inputs.shape
    matrices = upsampling(height), upsampling(width)
    padding = explicit_padding([len(matrix) for matrix in matrices], kernel, padding)
    rows, columns = (
        jnp.asarray(_with_taps(matrix, size, pads), inputs.dtype)
        for matrix, size, pads in zip(matrices, kernel.shape[:2], padding, strict=True)
    )
    products = inputs.reshape(-1, channels) @ kernel.transpose(2, 1, 0, 3).reshape(channels, -1)
    products = products.reshape(batch * height, columns.shape[1], -1)
    wide = jnp.broadcast_to(columns, (batch * height, *columns.shape)) @ products
    wide = wide.reshape(batch, height, len(columns), len(kernel), -1).swapaxes(2, 3).reshape(batch, rows.shape[1], -1)
    return (jnp.broadcast_to(rows, (batch, *rows.shape)) @ wide).reshape(batch, len(rows), len(columns), -1)


def _with_taps(matrix: np.ndarray, size: int, pads: tuple[int, int]) -> np.ndarray:  # [larger, n] -> [outputs, n * size]
    """What each output has of each input, by way of each of `size` taps of a kernel on the enlarged inputs."""
    padded = np.pad(matrix, [pads, (0, 0)])
    outputs = len(padded) - size + 1
    return np.stack([padded[tap : tap + outputs] for tap in range(size)], axis=-1).reshape(outputs, -1)
