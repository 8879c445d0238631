"""ResNet: residual blocks of 3x3 convolutions; the networks of the WGAN-GP authors for 64x64 images.

Source: igul222/improved_wgan_training, gan_64x64.py, GoodGenerator and GoodDiscriminator. Images are square, with a side of 16,
32, 64, 128 or 256. Each halving of the image doubles the filters, up to 8 times num_features. There is one difference: in
sampling, the authors' batch norm uses the statistics of the batch, and ours those of many batches of latents.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from wgan_jax.models.layers import (
    Conv,
    ConvAfterNearest,
    ConvBeforeMeanPool,
    Dense,
    at_least_float32,
    doublings,
    mean_pool,
    normalize,
    upsample_nearest,
)

_GLOROT = nn.initializers.glorot_uniform()
_HE = nn.initializers.variance_scaling(2.0, 'fan_avg', 'uniform')  # the authors' He initialisation uses both fans


class ResNetCritic(nn.Module):
    """Scores images; 7,491,841 parameters at 64x64x3.

    Attributes:
      num_features: filters of the first convolution.
      norm: before each convolution of a block; a gradient penalty needs 'layer' or 'none'.
    """

    image_shape: tuple[int, int, int]
    num_features: int = 64
    norm: str = 'layer'
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        first, *others = _widths(self.image_shape, self.num_features)
        x = Conv(first, (3, 3), kernel_init=_GLOROT, dtype=self.dtype)(images)
        for filters in others:
            shortcut = Conv(filters, (1, 1), kernel_init=_GLOROT, dtype=self.dtype)(mean_pool(x))
            y = nn.relu(normalize(self.norm, x, train, axis_name))
            y = Conv(x.shape[-1], (3, 3), use_bias=False, kernel_init=_HE, dtype=self.dtype)(y)
            y = nn.relu(normalize(self.norm, y, train, axis_name))
            x = shortcut + ConvBeforeMeanPool(filters, (3, 3), kernel_init=_HE, dtype=self.dtype)(y)
        return Dense(1, kernel_init=_GLOROT)(at_least_float32(x.reshape(x.shape[0], -1)))[:, 0]  # [B]


class ResNetGenerator(nn.Module):
    """Generates images; 8,540,483 parameters at 64x64x3 with 128 latents.

    Attributes:
      num_features: filters of the last block.
      norm: before each convolution of a block and before the last convolution.
    """

    image_shape: tuple[int, int, int]
    num_features: int = 64
    norm: str = 'batch'
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, latents: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        first, *others = reversed(_widths(self.image_shape, self.num_features))
        x = Dense(4 * 4 * first, kernel_init=_GLOROT, dtype=self.dtype)(latents).reshape(-1, 4, 4, first)
        for filters in others:
            # The source upsamples before this 1x1 convolution, which gives the same values with four times the work.
            shortcut = upsample_nearest(Conv(filters, (1, 1), kernel_init=_GLOROT, dtype=self.dtype)(x))
            y = nn.relu(normalize(self.norm, x, train, axis_name))
            y = ConvAfterNearest(filters, (3, 3), use_bias=False, kernel_init=_HE, dtype=self.dtype)(y)
            y = nn.relu(normalize(self.norm, y, train, axis_name))
            x = shortcut + Conv(filters, (3, 3), kernel_init=_HE, dtype=self.dtype)(y)
        x = nn.relu(normalize(self.norm, x, train, axis_name))
        x = Conv(self.image_shape[-1], (3, 3), kernel_init=_HE, dtype=self.dtype)(x)
        return jnp.tanh(at_least_float32(x))


def _widths(image_shape: tuple[int, ...], num_features: int) -> list[int]:
    """Filters at each resolution, from that of the image down to 4x4."""
    return [num_features * min(8, 2**i) for i in range(doublings('resnet', image_shape) + 1)]
