"""MLP: ReLU layers of equal width, for points, small images and the fully connected networks of the WGAN paper."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from wgan_jax.models.layers import at_least_float32, normalize, torch_uniform


class MLPCritic(nn.Module):
    """Scores flattened images.

    Attributes:
      num_features: units of each hidden layer.
      num_layers: hidden layers.
      norm: after each hidden linear map.
    """

    image_shape: tuple[int, ...]
    num_features: int = 512
    num_layers: int = 3
    norm: str = 'none'
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        x = images.reshape(images.shape[0], -1)
        x = _hidden(x, self.num_features, self.num_layers, self.norm, train, axis_name, self.dtype)
        return _linear(at_least_float32(x), 1)[:, 0]  # [B]


class MLPGenerator(nn.Module):
    """Generates images; the attributes are those of MLPCritic and one more.

    Attributes:
      bounded: whether tanh keeps the output in [-1, 1]; set it to False for points in the plane.
    """

    image_shape: tuple[int, ...]
    num_features: int = 512
    num_layers: int = 3
    norm: str = 'none'
    bounded: bool = True
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, latents: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        x = _hidden(latents, self.num_features, self.num_layers, self.norm, train, axis_name, self.dtype)
        x = at_least_float32(_linear(x, math.prod(self.image_shape), self.dtype))
        return (jnp.tanh(x) if self.bounded else x).reshape(-1, *self.image_shape)


def _hidden(
    x: jax.Array, width: int, depth: int, norm: str, train: bool, axis_name: str | None, dtype: jnp.dtype | None
) -> jax.Array:
    for _ in range(depth):
        x = nn.relu(normalize(norm, _linear(x, width, dtype), train, axis_name))
    return x


def _linear(x: jax.Array, width: int, dtype: jnp.dtype | None = None) -> jax.Array:
    init = torch_uniform(x.shape[-1])
    return nn.Dense(width, kernel_init=init, bias_init=init, dtype=dtype)(x)
