"""MLP: ReLU layers of equal width, for small images and for the fully connected players of the WGAN paper."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from wgan_jax.models.layers import normalize, torch_uniform


class MLPCritic(nn.Module):
    """Scores images, flattened.

    Attributes:
      image_shape: (height, width, channels).
      num_features: units of each hidden layer.
      num_layers: hidden layers.
      norm: 'batch', 'layer' or 'none', after each hidden linear map.
    """

    image_shape: tuple[int, ...]
    num_features: int = 512
    num_layers: int = 3
    norm: str = 'none'

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        x = images.reshape(images.shape[0], -1)
        x = _hidden(x, self.num_features, self.num_layers, self.norm, train, axis_name)
        return _linear(x, 1)[:, 0]  # [B]


class MLPGenerator(nn.Module):
    """Makes images from latents through hidden layers and tanh. Attributes as in MLPCritic."""

    image_shape: tuple[int, ...]
    num_features: int = 512
    num_layers: int = 3
    norm: str = 'none'

    @nn.compact
    def __call__(self, latents: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        x = _hidden(latents, self.num_features, self.num_layers, self.norm, train, axis_name)
        return jnp.tanh(_linear(x, math.prod(self.image_shape))).reshape(-1, *self.image_shape)


def _hidden(x: jax.Array, width: int, depth: int, norm: str, train: bool, axis_name: str | None) -> jax.Array:
    for _ in range(depth):
        x = nn.relu(normalize(norm, _linear(x, width), train, axis_name))
    return x


def _linear(x: jax.Array, width: int) -> jax.Array:
    init = torch_uniform(x.shape[-1])
    return nn.Dense(width, kernel_init=init, bias_init=init)(x)
