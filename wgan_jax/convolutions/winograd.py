"""Wide convolutions with fewer multiplications, by tiles of neighbouring outputs, for XLA on CPU.

This is Winograd's minimal filtering F(m, r): m neighbouring outputs of a filter with r taps take m + r - 1 multiplications
instead of m * r, as outputs_matrix @ ((kernel_matrix @ taps) * (inputs_matrix @ inputs)). A tile of m x m outputs takes the square
of this number. A convolution with strides of 2 is first rewritten without strides: squares of 2x2 pixels become channels.
"""

import functools
import math
from collections.abc import Sequence
from fractions import Fraction

import jax
import jax.numpy as jnp
from jax import lax

# (m, r): the points at which the Toom-Cook construction evaluates its polynomials, in addition to infinity. Among sets of small
# numbers these have the smallest rounding errors in float32: 5 to 30 times those of the definition, about 1e-6 of the result.
_POINTS = {
    (2, 2): (0, -1),
    (4, 2): (0, 1, -1, 2),
    (2, 3): (0, 1, -1),
    (4, 3): (0, 1, -1, Fraction(1, 2), -2),
}
# (strides, size) of the supported kernels: least number of products per value of inputs and outputs for which tiles are faster.
KERNELS = {((1, 1), 3): 5, ((2, 2), 4): 11, ((2, 2), 5): 11}
_MIN_OUTPUTS = 4 * 256  # of all images; with fewer, transforming the kernel takes longer than the saved multiplications
_KERNEL_COST = 128  # the time to transform the kernel, as a number of tiles


def is_faster(strides: tuple[int, ...], kernel: jax.Array, outputs: int) -> bool:
    """Whether tiles are faster than the definition, as measured on a processor with AVX-512.

    Tiles save multiplications but need passes over inputs and outputs, so there must be many multiplications for each value.
    They also transform the kernel into a larger one, so there must be many outputs. In bfloat16 their rounding errors would be
    too large.
    """
    height, width, channels, filters = kernel.shape
    if height != width or (strides, height) not in KERNELS or jnp.finfo(kernel.dtype).bits < 32:
        return False
    channels *= strides[0] * strides[1]
    return channels * filters >= KERNELS[strides, height] * (channels + filters) and outputs >= _MIN_OUTPUTS


def convolution(
    inputs: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, ...],
    padding: Sequence[tuple[int, int]],
    outputs: Sequence[int],
) -> jax.Array:
    """A convolution with strides and kernel size in KERNELS, equal to lax.conv_general_dilated up to rounding.

    Args:
      inputs: [B, H, W, C].
      kernel: [size, size, C, filters].
      strides: (vertical, horizontal).
      padding: (before, after) for height and width.
      outputs: rows and columns of the result.

    Returns:
      [B, rows, columns, filters].
    """
    if strides == (2, 2):
        inputs, kernel = _fold(inputs, kernel, padding, outputs)
    else:
        inputs = jnp.pad(inputs, [(0, 0), *padding, (0, 0)])

    def cost(side: int) -> int:
        tiles = inputs.shape[0] * math.prod(-(-length // side) for length in outputs)
        return (side + len(kernel) - 1) ** 2 * (tiles + _KERNEL_COST)

    return _by_tiles(inputs, kernel, min((2, 4), key=cost))


def _by_tiles(inputs: jax.Array, kernel: jax.Array, side: int) -> jax.Array:
    """An unstrided 2x2 or 3x3 convolution without padding, by tiles of side x side outputs (Lavin and Gray 2016, section 4)."""
    size, filters = kernel.shape[0], kernel.shape[3]
    batch, *lengths, channels = inputs.shape
    lengths = [length - size + 1 for length in lengths]
    inputs = jnp.pad(inputs, [(0, 0), *((0, -length % side) for length in lengths), (0, 0)])
    rows, columns = (-(-length // side) for length in lengths)
    points = range(side + size - 1)
    for_inputs, for_kernel, for_outputs = _matrices(side, size)
    # Without the barriers XLA recomputes each line for every tile that contains it, and each sum for every output.
    lines = lax.optimization_barrier(_combine(for_inputs, _windows(inputs, 1, side, len(points))))
    tiles = [_combine(for_inputs, _windows(line, 2, side, len(points))) for line in lines]
    taps = [_combine(for_kernel, list(row)) for row in _combine(for_kernel, list(kernel))]
    products = [[tiles[i][j].reshape(-1, channels) @ taps[i][j] for j in points] for i in points]
    sums = lax.optimization_barrier([_combine(for_outputs, [products[i][j] for i in points]) for j in points])
    outputs = [_combine(for_outputs, [sums[j][row] for j in points]) for row in range(side)]
    outputs = [jnp.stack([x.reshape(batch, rows, columns, filters) for x in row], axis=3) for row in outputs]
    outputs = jnp.stack(outputs, axis=2).reshape(batch, side * rows, side * columns, filters)
    return outputs[:, : lengths[0], : lengths[1]]


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _windows(array: jax.Array, axis: int, step: int, width: int) -> list[jax.Array]:
    """The elements of windows along an axis, as one array per place in the window.

    A window starts every `step` elements; the last one ends with the array.
    """
    last = array.shape[axis] - width
    return [lax.slice_in_dim(array, i, i + last + 1, step, axis=axis) for i in range(width)]


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _sum_of_windows(elements: list[jax.Array], axis: int, step: int, width: int) -> jax.Array:
    """The transpose of _windows: each element is added to its place. Windows overlap by at most `step`."""

    def moved(element: jax.Array, before: int) -> jax.Array:
        return jnp.pad(element, [(before, 1 - before) if i == axis else (0, 0) for i in range(element.ndim)])

    count = elements[0].shape[axis]
    places = [moved(element, 0) for element in elements[:step]]
    for i in range(step, width):
        places[i - step] += moved(elements[i], 1)
    places = jnp.stack(places, axis=axis + 1)
    places = places.reshape(*places.shape[:axis], step * (count + 1), *places.shape[axis + 2 :])
    return lax.slice_in_dim(places, 0, step * (count - 1) + width, axis=axis)


# The transpose that JAX derives, a sum of arrays with zeros between their elements, takes several passes. The price is that tiles
# have derivatives in reverse mode only, as other convolutions in cpu.py.
_windows.defvjp(
    lambda array, axis, step, width: (_windows(array, axis, step, width), None),
    lambda axis, step, width, _, elements: (_sum_of_windows(elements, axis, step, width),),
)
_sum_of_windows.defvjp(
    lambda elements, axis, step, width: (_sum_of_windows(elements, axis, step, width), None),
    lambda axis, step, width, _, array: (_windows(array, axis, step, width),),
)


@functools.cache
def _matrices(outputs: int, taps: int) -> tuple[list[list[float]], ...]:
    """The matrices for inputs, kernel and outputs of F(outputs, taps).

    The product of polynomials with `taps` and `outputs` coefficients is interpolated from its values at the points (Toom, Cook);
    a filter is the transpose of that product. The value at infinity, the last point, is the highest coefficient.
    """
    points = _POINTS[outputs, taps]

    def values(coefficients: int) -> list[list[Fraction]]:
        return [[Fraction(point) ** i for i in range(coefficients)] for point in points] + [
            [Fraction(0)] * (coefficients - 1) + [Fraction(1)]
        ]

    def transposed(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
        return [list(column) for column in zip(*matrix, strict=True)]

    exact = transposed(_inverse(values(len(points) + 1))), values(taps), transposed(values(outputs))
    return tuple([[float(value) for value in row] for row in matrix] for matrix in exact)


def _inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """The exact inverse, by Gauss-Jordan elimination."""
    size = len(matrix)
    rows = [row + [Fraction(int(i == j)) for j in range(size)] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = next(i for i in range(column, size) if rows[i][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for i in set(range(size)) - {column}:
            rows[i] = [value - rows[i][column] * other for value, other in zip(rows[i], rows[column], strict=True)]
    return [row[size:] for row in rows]


def _combine(matrix: Sequence[Sequence[float]], parts: Sequence[jax.Array]) -> list[jax.Array]:
    """The matrix times a vector of arrays, without multiplications by 0 and 1."""
    return [
        functools.reduce(
            jnp.add, [part if factor == 1 else factor * part for factor, part in zip(row, parts, strict=True) if factor]
        )
        for row in matrix
    ]


def _fold(
    inputs: jax.Array, kernel: jax.Array, padding: Sequence[tuple[int, int]], outputs: Sequence[int]
) -> tuple[jax.Array, jax.Array]:
    """Inputs and kernel of the unstrided convolution that equals one with strides of 2: squares of 2x2 pixels become channels."""
    size, _, channels, filters = kernel.shape
    taps = (size + 1) // 2
    around = [
        (low, 2 * (count + taps - 1) - side - low, 0)
        for side, (low, _), count in zip(inputs.shape[1:3], padding, outputs, strict=True)
    ]
    # Negative padding cuts off pixels that no window reaches.
    inputs = lax.pad(inputs, jnp.zeros((), inputs.dtype), [(0, 0, 0), *around, (0, 0, 0)])
    batch, height, width, _ = inputs.shape
    inputs = inputs.reshape(batch, height // 2, 2, width // 2, 2, channels).swapaxes(2, 3)
    kernel = (
        jnp.pad(kernel, [(0, size % 2), (0, size % 2), (0, 0), (0, 0)]).reshape(taps, 2, taps, 2, channels, filters).swapaxes(1, 2)
    )
    return inputs.reshape(batch, height // 2, width // 2, -1), kernel.reshape(taps, taps, -1, filters)
