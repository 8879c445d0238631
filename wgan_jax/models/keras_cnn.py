"""KerasCNN: the networks of the keras-io WGAN-GP example, whose critic has dropout and no normalisation.

Source: keras-team/keras-io, examples/generative/wgan_gp.py. Initialisation and batch norm constants are Keras's defaults.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from wgan_jax.models.layers import Conv, ConvAfterNearest, Dense, at_least_float32, normalize

_GLOROT = nn.initializers.glorot_uniform()


class KerasCNNCritic(nn.Module):
    """Scores images; 4,305,409 parameters at 28x28x1.

    Images are padded with zeros (mid-grey) to a multiple of 8.

    Attributes:
      num_features: filters of the first convolution; each of the other three doubles them.
    """

    image_shape: tuple[int, int, int]
    num_features: int = 64
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        del axis_name  # no batch statistics
        x = jnp.pad(images, [(0, 0), *(_margins(size) for size in self.image_shape[:2]), (0, 0)])
        for i in range(4):
            x = Conv(self.num_features * 2**i, (5, 5), strides=2, kernel_init=_GLOROT, dtype=self.dtype)(x)
            x = nn.leaky_relu(x, 0.2)
            if i in (1, 2):
                x = nn.Dropout(0.3, deterministic=not train)(x)
        x = nn.Dropout(0.2, deterministic=not train)(at_least_float32(x.reshape(x.shape[0], -1)))
        return Dense(1, kernel_init=_GLOROT)(x)[:, 0]  # [B]


class KerasCNNGenerator(nn.Module):
    """Generates images; 902,082 parameters and 8,578 batch statistics at 28x28x1 and 128 latents.

    Images are generated with sides that are multiples of 8, then cropped.

    Attributes:
      num_features: filters of the second convolution; the input and the first have 4 and 2 times as many.
    """

    image_shape: tuple[int, int, int]
    num_features: int = 64
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, latents: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        height, width, channels = self.image_shape
        (top, bottom), (left, right) = _margins(height), _margins(width)
        rows, columns = (top + height + bottom) // 8, (left + width + right) // 8

        def norm(x: jax.Array) -> jax.Array:
            return normalize('batch', x, train, axis_name, epsilon=1e-3, momentum=0.99)

        # The norm comes before the reshape, so its statistics are per value and not per channel, as in the source.
        x = Dense(rows * columns * 4 * self.num_features, use_bias=False, kernel_init=_GLOROT, dtype=self.dtype)(latents)
        x = nn.leaky_relu(norm(x), 0.2).reshape(-1, rows, columns, 4 * self.num_features)
        conv = functools.partial(ConvAfterNearest, kernel_size=(3, 3), use_bias=False, kernel_init=_GLOROT, dtype=self.dtype)
        for filters in (2 * self.num_features, self.num_features):
            x = nn.leaky_relu(norm(conv(filters)(x)), 0.2)
        x = jnp.tanh(at_least_float32(norm(conv(channels)(x))))
        return x[:, top : top + height, left : left + width]


def _margins(size: int) -> tuple[int, int]:
    """Pixels to add on both sides of `size` to reach the next multiple of 8."""
    missing = -size % 8
    return missing // 2, missing - missing // 2
