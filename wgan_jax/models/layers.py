"""Layers that more than one family of networks uses."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.ops import convolution

Conv = functools.partial(nn.Conv, conv_general_dilated_cls=convolution)
NORMS = ('batch', 'layer', 'none')


def torch_uniform(fan_in: int) -> nn.initializers.Initializer:
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)): what PyTorch gives the kernels and biases of linear and convolution layers."""
    bound = float(np.sqrt(1.0 / fan_in))

    def init(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def normalize(
    norm: str, x: jax.Array, train: bool, axis_name: str | None, epsilon: float = 1e-5, momentum: float = 0.9
) -> jax.Array:
    """Applies one of NORMS over the last axis; call it inside a compact module.

    Batch norm uses the statistics of the global batch: they are averaged over `axis_name` when that is given. Layer norm
    takes its statistics over all axes but the first, as the WGAN-GP authors do.
    """
    if norm == 'batch':
        return nn.BatchNorm(use_running_average=not train, momentum=momentum, epsilon=epsilon, axis_name=axis_name)(x)
    if norm == 'layer':
        return nn.LayerNorm(epsilon=epsilon, reduction_axes=tuple(range(1, x.ndim)), feature_axes=-1)(x)
    if norm == 'none':
        return x
    raise ValueError(f'unknown norm {norm!r}; known: {", ".join(NORMS)}')


def upsample_nearest(x: jax.Array) -> jax.Array:  # [B, H, W, C] -> [B, 2H, 2W, C]
    """Doubles height and width by repeating each pixel."""
    batch, height, width, channels = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None, :], (batch, height, 2, width, 2, channels))
    return x.reshape(batch, 2 * height, 2 * width, channels)


def upsample_bilinear(x: jax.Array) -> jax.Array:  # [B, H, W, C] -> [B, 2H, 2W, C]
    """Doubles height and width, bilinearly with aligned corners.

    The corner pixels keep their values, as in PyTorch's `align_corners=True`; `jax.image.resize` knows half-pixel centres only.
    """
    x = jnp.einsum('oh,bhwc->bowc', _aligned_corners(x.shape[1]), x)
    return jnp.einsum('ow,bhwc->bhoc', _aligned_corners(x.shape[2]), x)


def _aligned_corners(size: int) -> np.ndarray:  # [2 * size, size]
    """The matrix that interpolates `size` samples at 2 * size positions, ends on ends."""
    positions = np.arange(2 * size) * (size - 1) / (2 * size - 1)
    weights = np.maximum(0.0, 1.0 - np.abs(positions[:, None] - np.arange(size)[None, :]))
    return weights.astype(np.float32)
