"""DCGAN: strided convolutions with batch norm; the networks of the WGAN paper.

Source: martinarjovsky/WassersteinGAN, models/dcgan.py, with the initialisation of its main.py. Images are square, with a side of
16, 32, 64, 128 or 256, and any number of channels.
"""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from wgan_jax.models.bounded import ACTIVATIONS, Bounded, start_of_orthogonal
from wgan_jax.models.layers import Conv, Dense, TransposedConv, at_least_float32, doublings, normalize

_KERNEL = nn.initializers.normal(0.02)


class DCGANCritic(nn.Module):
    """Scores images; 2,765,568 parameters at 64x64x3 with batch norm.

    Attributes:
      num_features: filters of the first convolution; each later halving of the image doubles them.
      num_extra_layers: 3x3 convolutions after the first layer.
      norm: after each convolution except the first and the last. With batch norm no layer has a bias, as in the authors' code.
        Otherwise all have, as in the DCGAN critic of the WGAN-GP authors: without biases f(a x) = a f(x), so no critic could score
        images above the same images with less and with more contrast, and one with layer norm would not see contrast at all. Batch
        norm has this effect on a whole batch: it divides by the scale of the batch, so in training the critic does not see the
        contrast that all its images have in common.
      constant_width: every hidden layer has num_features filters (the ablation of the WGAN paper).
      norm_after_activation: convolution, activation, normalisation, instead of convolution, normalisation, activation.
      weights, power_iterations: see bounded.Bounded.
      activation: a name in bounded.ACTIVATIONS.
    """

    image_shape: tuple[int, int, int]
    num_features: int = 64
    num_extra_layers: int = 0
    norm: str = 'batch'
    constant_width: bool = False
    norm_after_activation: bool = False
    weights: str = 'plain'
    power_iterations: int = 1
    activation: str = 'leaky_relu'
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        first, *others = _widths(self.image_shape, self.num_features, self.constant_width)
        activation = ACTIVATIONS[self.activation]
        kernel_init = start_of_orthogonal if self.weights == 'orthogonal' else _KERNEL
        has_bias = self.norm != 'batch'
        conv = functools.partial(Conv, padding=1, use_bias=has_bias, kernel_init=kernel_init, dtype=self.dtype)

        def apply(layer: nn.Module, x: jax.Array) -> jax.Array:
            return Bounded(layer, self.weights, self.power_iterations)(x, train=train)

        def activate(x: jax.Array) -> jax.Array:
            return _activate(x, activation, self.norm, self.norm_after_activation, train, axis_name)

        x = activation(apply(conv(first, (4, 4), strides=2), images))
        for _ in range(self.num_extra_layers):
            x = activate(apply(conv(first, (3, 3)), x))
        for filters in others:
            x = activate(apply(conv(filters, (4, 4), strides=2), x))
        # The last convolution covers its whole 4x4 input, so it is a dot product.
        x = at_least_float32(x.reshape(x.shape[0], -1))
        return apply(Dense(1, use_bias=has_bias, kernel_init=kernel_init), x)[:, 0]  # [B]


class DCGANGenerator(nn.Module):
    """Generates images; 3,576,704 parameters at 64x64x3 with 100 latents and batch norm.

    Attributes:
      num_features: filters of the last hidden layer; each earlier layer has twice as many as the next.
      num_extra_layers: 3x3 convolutions before the last layer.
      norm: after each convolution except the last. There are no biases, as in the authors' code, so without a norm the images
        before tanh scale with the latents.
      constant_width, norm_after_activation: see DCGANCritic.
      transposed_extra_layers: the extra layers are transposed convolutions.
    """

    image_shape: tuple[int, int, int]
    num_features: int = 64
    num_extra_layers: int = 0
    norm: str = 'batch'
    constant_width: bool = False
    norm_after_activation: bool = False
    transposed_extra_layers: bool = False
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, latents: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        last, *others = _widths(self.image_shape, self.num_features, self.constant_width)
        first, *middle = reversed([last, *others])
        transposed = functools.partial(TransposedConv, kernel_init=_KERNEL, dtype=self.dtype)

        def activate(x: jax.Array) -> jax.Array:
            return _activate(x, nn.relu, self.norm, self.norm_after_activation, train, axis_name)

        x = latents[:, None, None, :]  # [B, 1, 1, latent_dim]
        x = activate(transposed(first, (4, 4))(x))  # [B, 4, 4, first]
        for filters in middle:
            x = activate(transposed(filters, (4, 4), stride=2, padding=1)(x))
        conv = functools.partial(Conv, use_bias=False, kernel_init=_KERNEL, dtype=self.dtype)
        for _ in range(self.num_extra_layers):
            x = activate((transposed if self.transposed_extra_layers else conv)(last, (3, 3), padding=1)(x))
        x = transposed(self.image_shape[-1], (4, 4), stride=2, padding=1)(x)
        return jnp.tanh(at_least_float32(x))


def _activate(
    x: jax.Array,
    activation: Callable[[jax.Array], jax.Array],
    norm: str,
    norm_after_activation: bool,
    train: bool,
    axis_name: str | None,
) -> jax.Array:
    if norm_after_activation:
        return normalize(norm, activation(x), train, axis_name, scale_init=_scale)
    return activation(normalize(norm, x, train, axis_name, scale_init=_scale))


def _widths(image_shape: tuple[int, ...], num_features: int, constant: bool) -> list[int]:
    """Filters of the critic's strided layers, the one next to the image first; the generator has them in reverse order."""
    return [num_features * (1 if constant else 2**i) for i in range(doublings('dcgan', image_shape))]


def _scale(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    return 1.0 + 0.02 * jax.random.normal(key, shape, dtype)
