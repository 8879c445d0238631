"""Layers of the networks."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax import convolutions
from wgan_jax.convolutions import fused

NORMS = ('batch', 'layer', 'none')


def _promoted(
    x: jax.Array, kernel: jax.Array, bias: jax.Array | None, *, dtype: jnp.dtype | None
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Casts what a product takes. The bias is added before the result is cast, so that its gradient is a sum in float32.

    That gradient has a term per pixel and example, and a sum in bfloat16 stops growing at some hundred times its terms.
    """
    return *nn.dtypes.promote_dtype(x, kernel, dtype=dtype), bias


class Dense(nn.Dense):
    """flax.linen.Dense whose bias has the precision of the parameters."""

    promote_dtype: Callable[..., Any] = _promoted

    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., inputs] -> [..., features]."""
        y = super().__call__(x)
        return y if self.dtype is None else y.astype(self.dtype)


class Conv(nn.Conv):
    """flax.linen.Conv whose bias has the precision of the parameters, with the convolutions of this package."""

    promote_dtype: Callable[..., Any] = _promoted
    conv_general_dilated_cls: Callable[..., Any] | None = convolutions.convolution

    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, H, W, inputs] -> [B, H, W, features], with the height and width that strides and padding give."""
        y = super().__call__(x)
        return y if self.dtype is None else y.astype(self.dtype)


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
ConvAfterNearest = functools.partial(
    Conv, conv_general_dilated_cls=functools.partial(fused.convolution_after, upsample_nearest, _repeated)
)
ConvAfterBilinear = functools.partial(
    Conv, conv_general_dilated_cls=functools.partial(fused.convolution_after, upsample_bilinear, _aligned_corners)
)
ConvBeforeMeanPool = functools.partial(Conv, conv_general_dilated_cls=fused.convolution_before_mean_pool)
