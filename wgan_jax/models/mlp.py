"""MLP: ReLU layers of equal width, for points, small images and the fully connected networks of the WGAN paper."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from wgan_jax.models.bounded import ACTIVATIONS, Bounded, start_of_orthogonal
from wgan_jax.models.layers import Dense, at_least_float32, normalize, torch_uniform


class MLPCritic(nn.Module):
    """Scores flattened images.

    Attributes:
      num_features: units of each hidden layer.
      num_layers: hidden layers.
      norm: after each hidden linear map.
      weights, power_iterations: see bounded.Bounded.
      activation: a name in bounded.ACTIVATIONS.
    """

    image_shape: tuple[int, ...]
    num_features: int = 512
    num_layers: int = 3
    norm: str = 'none'
    weights: str = 'plain'
    power_iterations: int = 1
    activation: str = 'relu'
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        x = images.reshape(images.shape[0], -1)
        activate = ACTIVATIONS[self.activation]

        def linear(x: jax.Array, width: int, dtype: jnp.dtype | None = None) -> jax.Array:
            init = start_of_orthogonal if self.weights == 'orthogonal' else None
            return Bounded(_dense(x, width, dtype, init), self.weights, self.power_iterations)(x, train=train)

        for _ in range(self.num_layers):
            x = activate(normalize(self.norm, linear(x, self.num_features, self.dtype), train, axis_name))
        return linear(at_least_float32(x), 1)[:, 0]  # [B]


class MLPGenerator(nn.Module):
    """Generates images.

    Attributes:
      num_features, num_layers, norm: see MLPCritic.
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
        x = latents
        for _ in range(self.num_layers):
            x = nn.relu(normalize(self.norm, _dense(x, self.num_features, self.dtype)(x), train, axis_name))
        x = at_least_float32(_dense(x, math.prod(self.image_shape), self.dtype)(x))
        return (jnp.tanh(x) if self.bounded else x).reshape(-1, *self.image_shape)


def _dense(x: jax.Array, width: int, dtype: jnp.dtype | None, kernel_init: nn.initializers.Initializer | None = None) -> Dense:
    init = torch_uniform(x.shape[-1])
    return Dense(width, kernel_init=kernel_init or init, bias_init=init, dtype=dtype)
