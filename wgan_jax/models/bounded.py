"""Critics whose layers bound their slopes: spectral normalisation, orthogonal weights, and activations that keep norms.

A network of layers that stretch no vector, with activations that stretch none, has slopes of at most 1, whatever its loss.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

WEIGHTS = ('plain', 'spectral', 'orthogonal')
_EPSILON = 1e-12
_SMALL = 32  # rows of a matrix that is inverted row by row
_ITERATIONS_AT_START = 50  # of the power iteration, so that a network that has not been trained is bounded, too


def start_of_orthogonal(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """Initialises a kernel [..., out] so that `orthogonal` gives very different matrices: N(0, 1 / the larger dimension)."""
    larger = max(math.prod(shape[:-1]), shape[-1])
    return jax.random.normal(key, shape, dtype) / math.sqrt(larger)


class Bounded(nn.Module):
    """A dense layer or a convolution that is computed with a bounded kernel; its parameters are those of the layer.

    The kernel counts as a matrix [h * w * in, out] from the patches of the input to the outputs. Biases stay as they are.

    - spectral: the kernel is divided by its largest singular value (Miyato et al. 2018, equation 8, and Algorithm 1). A dense layer
      then has the norm 1, or a little more, since the iteration approaches the value from below. A convolution may stretch an image
      by up to the root of the number of patches that share a pixel.
    - orthogonal: the kernel is that of `orthogonal`. For a convolution it is also divided by the root of the number of patches that
      share a pixel, so that the layer stretches no image.

    Attributes:
      layer: layers.Dense, layers.Conv, or those of flax.linen.
      weights: 'plain', 'spectral' or 'orthogonal'.
      power_iterations: of each pass in train mode. The two singular vectors are kept among the batch statistics, where those of
        flax.linen.SpectralNorm are, and follow the kernel.
    """

    layer: nn.Module
    weights: str
    power_iterations: int = 1

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        if self.weights == 'plain':
            return self.layer(x)

        def with_bounded_kernel(variables: Any) -> Any:
            if 'params' not in variables:  # they are being initialised
                return variables
            kernel = variables['params']['kernel']
            matrix = kernel.reshape(-1, kernel.shape[-1]).astype(jnp.promote_types(kernel.dtype, jnp.float32))
            if self.weights == 'spectral':
                matrix = matrix / self._largest_singular_value(matrix, train)
            else:
                matrix = orthogonal(matrix) / math.sqrt(_patches_of_a_pixel(self.layer))
            return {'params': {**variables['params'], 'kernel': matrix.astype(kernel.dtype).reshape(kernel.shape)}}

        call = nn.map_variables(
            lambda layer: layer(x), 'params', trans_in_fn=with_bounded_kernel, init=self.is_initializing(), mutable=True
        )
        return call(self.layer)

    def _largest_singular_value(self, matrix: jax.Array, train: bool) -> jax.Array:
        """The product of the kernel and its singular vectors, which count as constants, as in PyTorch's spectral_norm."""
        fixed = jax.lax.stop_gradient(matrix)

        def start() -> tuple[jax.Array, jax.Array]:
            vector = jax.random.normal(self.make_rng('params'), (matrix.shape[0],), matrix.dtype)
            return _power_iteration(fixed, vector, _ITERATIONS_AT_START)

        vectors = start() if self.is_initializing() else (None, None)
        left = self.variable('batch_stats', 'left_singular_vector', lambda: vectors[0])
        right = self.variable('batch_stats', 'right_singular_vector', lambda: vectors[1])
        if train and not self.is_initializing():
            left.value, right.value = _power_iteration(fixed, left.value, self.power_iterations)
        return _product(jax.lax.stop_gradient(left.value), _product(matrix, jax.lax.stop_gradient(right.value)))


def orthogonal(matrix: jax.Array) -> jax.Array:
    """A matrix with orthonormal columns, or rows if there are more columns, by the Cayley transform of a matrix W [m, n].

    With U the first n rows of W, V the others and A = U - U' + V'V, it consists of (I + A)^-1 (I - A) and of -2 V (I + A)^-1
    (Trockman and Kolter 2021, arXiv 2104.07167, for matrices of any shape). I + A always has an inverse. In float32 the singular
    values are 1 within 1e-5 for kernels near their start; with entries a hundred times as large, within 2e-3.
    """
    rows, columns = matrix.shape
    if rows < columns:
        return orthogonal(matrix.T).T
    upper, lower = matrix[:columns], matrix[columns:]
    identity = jnp.eye(columns, dtype=matrix.dtype)
    inverse = _inverse(identity + upper - upper.T + _product(lower.T, lower))
    return jnp.concatenate([2 * inverse - identity, -2 * _product(lower, inverse)])


@jax.custom_jvp
def _inverse(matrix: jax.Array) -> jax.Array:
    """The inverse of a matrix whose symmetric part is positive definite, and with it every block on the diagonal.

    So it needs no pivots, and almost all of it are products. The threads of LAPACK's triangular systems, which jnp.linalg.inv
    solves on CPU, wait for each other ten times as long when other programs run.
    """
    if len(matrix) <= _SMALL:
        return jax.lax.fori_loop(0, len(matrix), _eliminated, matrix)
    size = len(matrix) // 2
    a, b, c, d = matrix[:size, :size], matrix[:size, size:], matrix[size:, :size], matrix[size:, size:]
    first = _inverse(a)
    right, below = _product(first, b), _product(c, first)
    last = _inverse(d - _product(c, right))  # the Schur complement, which has the same property
    lower = -_product(last, below)
    return jnp.block([[first - _product(right, lower), -_product(right, last)], [lower, last]])


@_inverse.defjvp
def _inverse_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """In products, which are faster than the triangular systems of JAX's own rule."""
    inverse = _inverse(*primals)
    return inverse, -_product(_product(inverse, tangents[0]), inverse)


def _eliminated(index: jax.Array, matrix: jax.Array) -> jax.Array:
    """One step of the Gauss-Jordan elimination, in place: after a step for each row the matrix is its inverse."""
    pivot, row, column = matrix[index, index], matrix[index], matrix[:, index]
    is_row = jnp.arange(len(matrix)) == index
    others = matrix - jnp.where(is_row, 0, column)[:, None] * (row / pivot)[None, :]
    others = jnp.where(is_row[:, None], (row / pivot)[None, :], others)
    return jnp.where(is_row[None, :], jnp.where(is_row, 1, -column)[:, None] / pivot, others)


def group_sort(x: jax.Array, size: int | None = None) -> jax.Array:
    """Sorts the last axis in groups of neighbours (Anil et al. 2019, section 4.1): the norm of every gradient stays as it is.

    Args:
      x: [..., F].
      size: elements of a group, a divisor of F; None: all of F. With 2, the activation is called MaxMin.

    Raises:
      ValueError: F is not a multiple of `size`.
    """
    features = x.shape[-1]
    size = size or features
    if features % size:
        raise ValueError(f'{features} features cannot be sorted in groups of {size}')
    return _sorted(x.reshape(*x.shape[:-1], features // size, size)).reshape(x.shape)


def _sorted(x: jax.Array) -> jax.Array:
    """Sorts the last axis by a bitonic network of minima and maxima (Batcher 1968): on CPUs much faster than XLA's sort."""
    size = x.shape[-1]
    merges = (size - 1).bit_length()
    x = jnp.pad(x, [*[(0, 0)] * (x.ndim - 1), (0, 2**merges - size)], constant_values=jnp.inf)
    for merge in range(merges):  # of sorted runs of length 2^merge
        for bit in range(merge, -1, -1):
            halves = x.reshape(*x.shape[:-1], -1, 2, 2**bit)
            first, second = halves[..., 0, :], halves[..., 1, :]
            if bit == merge:
                second = second[..., ::-1]  # a rising and a falling run make a bitonic sequence, which each later bit halves
            low, high = jnp.minimum(first, second), jnp.maximum(first, second)
            x = jnp.stack([low, high], axis=-2).reshape(x.shape)
    return x[..., :size]


ACTIVATIONS = {
    'relu': nn.relu,
    'leaky_relu': functools.partial(nn.leaky_relu, negative_slope=0.2),
    'max_min': functools.partial(group_sort, size=2),
    'full_sort': group_sort,
}


def _power_iteration(matrix: jax.Array, left: jax.Array, iterations: int) -> tuple[jax.Array, jax.Array]:
    """Approximate singular vectors (left [m], right [n]) of a matrix [m, n], from a left one."""

    def iterate(_: int, vectors: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        right = _normalised(_product(vectors[0], matrix))
        return _normalised(_product(matrix, right)), right

    return jax.lax.fori_loop(0, iterations, iterate, (left, jnp.zeros_like(matrix[0])))


def _patches_of_a_pixel(layer: nn.Module) -> int:
    """The largest number of patches in which a pixel can lie; 1 for a dense layer."""
    if not hasattr(layer, 'kernel_size'):
        return 1
    strides = layer.strides if isinstance(layer.strides, Sequence) else [layer.strides or 1] * len(layer.kernel_size)
    return math.prod(-(-side // stride) for side, stride in zip(layer.kernel_size, strides, strict=True))


def _normalised(vector: jax.Array) -> jax.Array:
    return vector / jnp.maximum(jnp.linalg.norm(vector), _EPSILON)


def _product(x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.matmul(x, y, precision=jax.lax.Precision.HIGHEST)  # the default of a TPU would not reach 1e-3
