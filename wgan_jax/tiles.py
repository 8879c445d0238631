"""Wide convolutions with fewer products, by tiles of 2x2 outputs, for XLA on CPU."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

# Winograd's minimal filtering, F(2, 2) and F(2, 3): a pair of neighbouring outputs of a filter with 2 (or 3) taps is
# outputs_matrix @ ((kernel_matrix @ taps) * (inputs_matrix @ inputs)), with 3 products instead of 4 (or 4 instead of 6).
_INPUTS = {2: ((1, -1, 0), (0, 1, 0), (0, 1, -1)), 3: ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))}
_KERNEL = {2: ((1, 0), (1, 1), (0, 1)), 3: ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))}
_OUTPUTS = {2: ((1, 1, 0), (0, 1, -1)), 3: ((1, 1, 1, 0), (0, 1, -1, -1))}
# (strides, size) of the kernels that the networks have: products per value of inputs and outputs from which on tiles pay.
KERNELS = {((1, 1), 3): 50, ((2, 2), 4): 20, ((2, 2), 5): 20}


def pay(strides: tuple[int, ...], kernel_shape: tuple[int, ...], outputs: int) -> bool:
    """Whether tiles are the faster way, as measured on a processor with AVX-512.

    It saves products and costs passes over inputs and outputs, so it needs many products for each of both; and it multiplies
    more kernel values than the definition has, so it needs enough tiles to share them.
    """
    height, width, channels, filters = kernel_shape
    if height != width or (strides, height) not in KERNELS:
        return False
    channels *= strides[0] * strides[1]
    return channels * filters >= KERNELS[strides, height] * (channels + filters) and outputs >= 4 * 256


def convolution(
    inputs: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, ...],
    padding: Sequence[tuple[int, int]],
    outputs: Sequence[int],
) -> jax.Array:
    """A convolution of a kind in KERNELS, equal to lax.conv_general_dilated up to rounding, with all derivatives.

    Args:
      inputs: [B, H, W, C].
      kernel: [size, size, C, filters].
      strides: steps of the window.
      padding: (before, after) for height and width.
      outputs: rows and columns of the result.

    Returns:
      [B, rows, columns, filters].
    """
    if strides == (2, 2):
        return _by_tiles(*_fold(inputs, kernel, padding, outputs))
    return _by_tiles(jnp.pad(inputs, [(0, 0), *padding, (0, 0)]), kernel)


def _by_tiles(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
    """An unstrided convolution of 2x2 or 3x3 without padding, by tiles of 2x2 outputs.

    9 matrix products instead of 16 for 2x2, 16 instead of 36 for 3x3: Winograd's F(2x2, 2x2) and F(2x2, 3x3) (Lavin and Gray
    2016, section 4). Its derivatives are of the same kind. The constants are 0, 1, -1 and 1/2, so rounding stays that of float32.
    """
    size, filters = kernel.shape[0], kernel.shape[3]
    batch, *sides, channels = inputs.shape
    sides = [side - size + 1 for side in sides]
    inputs = jnp.pad(inputs, [(0, 0), *((0, side % 2) for side in sides), (0, 0)])
    rows, columns = ((side + 1) // 2 for side in sides)
    points = len(_INPUTS[size])
    lines = [lax.slice_in_dim(inputs, i, i + 2 * rows - 1, 2, axis=1) for i in range(points)]
    tiles = [
        _combine(_INPUTS[size], [lax.slice_in_dim(line, j, j + 2 * columns - 1, 2, axis=2) for j in range(points)])
        for line in _combine(_INPUTS[size], lines)
    ]
    taps = [_combine(_KERNEL[size], list(row)) for row in _combine(_KERNEL[size], list(kernel))]
    products = [[tiles[i][j].reshape(-1, channels) @ taps[i][j] for j in range(points)] for i in range(points)]
    pairs = [_combine(_OUTPUTS[size], [products[i][j] for i in range(points)]) for j in range(points)]  # [column][row of the tile]
    outputs = [_combine(_OUTPUTS[size], [pairs[j][row] for j in range(points)]) for row in range(2)]
    outputs = [jnp.stack([x.reshape(batch, rows, columns, filters) for x in row], axis=3) for row in outputs]
    outputs = jnp.stack(outputs, axis=2).reshape(batch, 2 * rows, 2 * columns, filters)
    return outputs[:, : sides[0], : sides[1]]


def _combine(matrix: Sequence[Sequence[float]], parts: Sequence[jax.Array]) -> list[jax.Array]:
    """The matrix times a vector of arrays, without products by 0 and 1."""
    return [
        functools.reduce(
            jnp.add, [part if factor == 1 else factor * part for factor, part in zip(row, parts, strict=True) if factor]
        )
        for row in matrix
    ]


def _fold(
    inputs: jax.Array, kernel: jax.Array, padding: Sequence[tuple[int, int]], outputs: Sequence[int]
) -> tuple[jax.Array, jax.Array]:
    """Inputs and kernel of an unstrided convolution that equals one with strides of 2: squares of 2x2 pixels become channels."""
    size, _, channels, filters = kernel.shape
    taps = (size + 1) // 2
    around = [
        (low, 2 * (count + taps - 1) - side - low, 0)
        for side, (low, _), count in zip(inputs.shape[1:3], padding, outputs, strict=True)
    ]
    inputs = lax.pad(inputs, jnp.zeros((), inputs.dtype), [(0, 0, 0), *around, (0, 0, 0)])  # can cut off what no window reaches
    batch, height, width, _ = inputs.shape
    inputs = inputs.reshape(batch, height // 2, 2, width // 2, 2, channels).swapaxes(2, 3)
    kernel = (
        jnp.pad(kernel, [(0, size % 2), (0, size % 2), (0, 0), (0, 0)]).reshape(taps, 2, taps, 2, channels, filters).swapaxes(1, 2)
    )
    return inputs.reshape(batch, height // 2, width // 2, -1), kernel.reshape(taps, taps, -1, filters)
