"""Convolutions together with the upsampling before them or the mean pooling after them, in fewer operations than both."""

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
    """Like convolutions.convolution, for inputs that are upsampled first.

    Args:
      upsample: [B, H, W, C] -> [B, rows, columns, C]; linear, and the same along height and width.
      upsampling: the matrix of `upsample` along one axis: size -> [larger size, size]. Used on CPU only.
    """
    if on_cpu():
        return functools.partial(upsampled_convolution_on_cpu, upsampling)
    return lambda inputs, *args, **options: lax.conv_general_dilated(upsample(inputs), *args, **options)


def convolution_before_mean_pool() -> Callable[..., jax.Array]:
    """Like convolutions.convolution, followed by a mean pool of 2x2, on every backend.

    Both together are one convolution with strides of 2 and a kernel that is wider by one. A 3x3 kernel then takes 16
    multiplications instead of 36, and the outputs before the pool are never in memory.
    """

    def pooled(inputs: jax.Array, kernel: jax.Array, window_strides: Sequence[int], padding: Any, **options: Any) -> jax.Array:
        if tuple(window_strides) != (1, 1):
            raise NotImplementedError(f'The convolution before a mean pool does not support strides: {window_strides}')
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
    """A convolution of upsampled inputs, equal to lax.conv_general_dilated up to rounding, for XLA on CPU.

    Upsampling acts on positions and each tap of the kernel on channels, so their order can be exchanged. The small inputs are
    multiplied by every tap of the kernel; then two products with small constant matrices, one for columns and one for rows,
    upsample and shift the results. When both sides double, this takes a quarter of the multiplications, in every derivative too.

    Args:
      upsampling: size -> the matrix [larger size, size] that upsamples along height and width.
      inputs: [B, H, W, C].
      kernel: [h, w, C, filters].
      window_strides: must be 1.
      padding: of the upsampled inputs: 'SAME', 'VALID', or (before, after) for height and width.
      **options: see cpu.convolution_on_cpu.

    Returns:
      [B, rows, columns, filters].

    Raises:
      NotImplementedError: strides, dilation or groups are not supported.
    """
    refuse_dilation_and_groups(options)
    if tuple(window_strides) != (1, 1):
        raise NotImplementedError(f'upsampled_convolution_on_cpu does not support strides: {window_strides}')
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
    """The weight of each input in each output, for each of the `size` taps of a kernel on the upsampled inputs."""
    padded = np.pad(matrix, [pads, (0, 0)])
    outputs = len(padded) - size + 1
    return np.stack([padded[tap : tap + outputs] for tap in range(size)], axis=-1).reshape(outputs, -1)
