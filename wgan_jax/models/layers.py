"""Layers of the networks."""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax import convolutions
from wgan_jax.convolutions import fused

NORMS = ('batch', 'layer', 'none')


class Dense(nn.Module):
    """flax.linen.Dense, whose bias is added in the precision of the parameters, see `_plus_bias`.

    Attributes:
      features: units.
      use_bias, kernel_init, bias_init: as in flax.linen.Dense.
      dtype: of the computation; None: that of inputs and parameters.
    """

    features: int
    use_bias: bool = True
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    bias_init: nn.initializers.Initializer = nn.initializers.zeros
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:  # [..., inputs] -> [..., features]
        kernel = self.param('kernel', self.kernel_init, (x.shape[-1], self.features))
        x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
        y = jax.lax.dot_general(x, kernel, (((x.ndim - 1,), (0,)), ((), ())))
        return _plus_bias(y, self.param('bias', self.bias_init, (self.features,))) if self.use_bias else y


class Conv(nn.Module):
    """flax.linen.Conv of images, whose bias is added in the precision of the parameters, see `_plus_bias`.

    Attributes:
      features: filters.
      kernel_size: (height, width).
      strides: distance in the input between neighbouring outputs.
      padding: pixels to add at each side of the input, or 'SAME'.
      use_bias, kernel_init, bias_init: as in flax.linen.Conv.
      dtype: of the computation; None: that of inputs and parameters.
      convolution: gives the function that convolves, for the backend in use.
    """

    features: int
    kernel_size: tuple[int, int]
    strides: int = 1
    padding: int | str = 'SAME'
    use_bias: bool = True
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    bias_init: nn.initializers.Initializer = nn.initializers.zeros
    dtype: jnp.dtype | None = None
    convolution: Callable[[], Callable[..., jax.Array]] = convolutions.convolution

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:  # [B, H, W, C] -> [B, rows, columns, features]
        kernel = self.param('kernel', self.kernel_init, (*self.kernel_size, x.shape[-1], self.features))
        x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
        padding = self.padding if isinstance(self.padding, str) else [(self.padding, self.padding)] * 2
        y = self.convolution()(x, kernel, (self.strides,) * 2, padding, dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
        return _plus_bias(y, self.param('bias', self.bias_init, (self.features,))) if self.use_bias else y


def _plus_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """The sum of x and a bias, with the type of x.

    The bias is not cast to that type, so that its gradient, a sum over pixels and examples, is computed in float32. A sum in
    bfloat16, as flax.linen.Conv has it, stops growing at some hundred times its terms.
    """
    return (x + bias.reshape((1,) * (x.ndim - 1) + (-1,))).astype(x.dtype)


class TransposedConv(nn.Module):
    """A transposed convolution without bias; see convolutions/cpu.py for the meaning of its kernel and padding.

    Attributes:
      features: filters.
      kernel_size: (height, width).
      stride: distance in the output between neighbouring input pixels.
      padding: pixels to cut off at each side of the output.
      kernel_init: initialiser of the kernel [height, width, channels, features].
      dtype: of the computation; None: that of inputs and kernel.
    """

    features: int
    kernel_size: tuple[int, int]
    stride: int = 1
    padding: int = 0
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param('kernel', self.kernel_init, (*self.kernel_size, x.shape[-1], self.features))
        x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
        return convolutions.transposed_convolution()(x, kernel, self.stride, self.padding)


def doublings(network: str, image_shape: tuple[int, ...]) -> int:
    """The number of doublings from 4x4 to the image: 2 for 16x16, up to 6 for 256x256.

    Raises:
      ValueError: the image is not square, or its side is not 16, 32, 64, 128 or 256.
    """
    known = {(4 * 2**n, 4 * 2**n): n for n in range(2, 7)}
    size = tuple(image_shape[:-1])
    if size not in known:
        raise ValueError(f'{network} takes square images with a side of 16, 32, 64, 128 or 256')
    return known[size]


def torch_uniform(fan_in: int) -> nn.initializers.Initializer:
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)): PyTorch's initialisation of linear and convolution layers, biases included."""
    bound = float(np.sqrt(1.0 / fan_in))

    def init(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def normalize(
    norm: str,
    x: jax.Array,
    train: bool,
    axis_name: str | None,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    scale_init: nn.initializers.Initializer = nn.initializers.ones,
) -> jax.Array:
    """Applies one of NORMS, with a scale and a shift for the last axis; to be called inside a compact module.

    Batch norm uses the statistics of the global batch, averaged over `axis_name` unless that is None. Layer norm takes its
    statistics over all axes except the first, as the WGAN-GP authors do. Statistics have at least float32 precision.
    """
    if norm == 'batch':
        return nn.BatchNorm(
            use_running_average=not train,
            momentum=momentum,
            epsilon=epsilon,
            scale_init=scale_init,
            axis_name=axis_name,
            dtype=x.dtype,
        )(x)
    if norm == 'layer':
        axes = tuple(range(1, x.ndim))
        return nn.LayerNorm(epsilon=epsilon, scale_init=scale_init, reduction_axes=axes, feature_axes=-1, dtype=x.dtype)(x)
    if norm == 'none':
        return x
    raise ValueError(f'unknown norm {norm!r}; known: {", ".join(NORMS)}')


def at_least_float32(x: jax.Array) -> jax.Array:
    """Casts a narrower x to float32: bfloat16 would round images and scores to 1/256 of their size."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def upsample_nearest(x: jax.Array) -> jax.Array:  # [B, H, W, C] -> [B, 2H, 2W, C]
    """Doubles height and width by repeating each pixel."""
    batch, height, width, channels = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None, :], (batch, height, 2, width, 2, channels))
    return x.reshape(batch, 2 * height, 2 * width, channels)


def upsample_bilinear(x: jax.Array) -> jax.Array:  # [B, H, W, C] -> [B, 2H, 2W, C]
    """Doubles height and width by bilinear interpolation with aligned corners.

    The corner pixels keep their values, as with PyTorch's `align_corners=True`; `jax.image.resize` only has half-pixel centres.
    """
    x = jnp.einsum('oh,bhwc->bowc', _aligned_corners(x.shape[1]).astype(x.dtype), x)
    return jnp.einsum('ow,bhwc->bhoc', _aligned_corners(x.shape[2]).astype(x.dtype), x)


def max_pool(x: jax.Array) -> jax.Array:  # [B, H, W, C] -> [B, H // 2, W // 2, C]
    """Halves height and width by the maximum of each 2x2 pixels; equal maxima share its gradient.

    A last row or column without a partner is left out, as in PyTorch.

    On CPU, the gradient of flax.linen.max_pool takes twice as long as everything else in a narrow critic.
    """
    if x.shape[1] % 2 or x.shape[2] % 2:
        x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
    x = jnp.maximum(x[:, ::2], x[:, 1::2])
    return jnp.maximum(x[:, :, ::2], x[:, :, 1::2])


def mean_pool(x: jax.Array) -> jax.Array:  # [B, 2H, 2W, C] -> [B, H, W, C]
    """Halves height and width by the mean of each 2x2 pixels."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))


def _aligned_corners(size: int) -> np.ndarray:  # [2 * size, size]
    """The matrix that interpolates `size` samples at 2 * size positions, with the first and the last in place."""
    positions = np.arange(2 * size) * (size - 1) / (2 * size - 1)
    return np.maximum(0.0, 1.0 - np.abs(positions[:, None] - np.arange(size)[None, :]))


def _repeated(size: int) -> np.ndarray:  # [2 * size, size]
    """The matrix that repeats each sample."""
    return np.repeat(np.eye(size, dtype=np.float32), 2, axis=0)


# Convolutions of upsampled inputs, and one with pooled outputs, each computed as one operation; see convolutions/fused.py.
ConvAfterNearest = functools.partial(Conv, convolution=functools.partial(fused.convolution_after, upsample_nearest, _repeated))
ConvAfterBilinear = functools.partial(
    Conv, convolution=functools.partial(fused.convolution_after, upsample_bilinear, _aligned_corners)
)
ConvBeforeMeanPool = functools.partial(Conv, convolution=fused.convolution_before_mean_pool)
