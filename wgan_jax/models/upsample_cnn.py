"""UpsampleCNN: the networks of the PyTorch MNIST tutorials for GAN and WGAN, with bilinear upsampling in the generator.

The tutorials use images in [0, 1]. Here, images are in [-1, 1] outside the networks: the critic maps its input to [0, 1], and the
generator maps the output of its sigmoid to [-1, 1].
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from wgan_jax.models.bounded import ACTIVATIONS, Bounded, start_of_orthogonal
from wgan_jax.models.layers import Conv, ConvAfterBilinear, Dense, at_least_float32, max_pool, normalize, torch_uniform


class UpsampleCNNCritic(nn.Module):
    """Scores images with height and width of at least 4; 26,545 parameters at 28x28x1.

    Attributes:
      num_features: filters of the first convolution; the second and third have 2 and 4 times as many.
      norm: after each convolution. With batch norm convolutions have no biases, as in the tutorials; otherwise they have, see
        dcgan.DCGANCritic.
      weights, power_iterations: see bounded.Bounded.
      activation: a name in bounded.ACTIVATIONS.
    """

    image_shape: tuple[int, int, int]
    num_features: int = 16
    norm: str = 'batch'
    weights: str = 'plain'
    power_iterations: int = 1
    activation: str = 'relu'
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        height, width, _ = self.image_shape
        if min(height, width) < 4:
            raise ValueError(f'upsample_cnn scores images with sides of 4 or more, not {height}x{width}')
        has_bias = self.norm != 'batch'

        def initialiser(fan_in: int) -> nn.initializers.Initializer:
            return start_of_orthogonal if self.weights == 'orthogonal' else torch_uniform(fan_in)

        def apply(layer: nn.Module, x: jax.Array) -> jax.Array:
            return Bounded(layer, self.weights, self.power_iterations)(x, train=train)

        x = (images + 1.0) / 2.0  # [B, H, W, C] in [0, 1]
        for i in range(3):
            inits = {'kernel_init': initialiser(9 * x.shape[-1]), 'bias_init': torch_uniform(9 * x.shape[-1])}
            conv = Conv(self.num_features * 2**i, (3, 3), padding=1, use_bias=has_bias, **inits, dtype=self.dtype)
            x = ACTIVATIONS[self.activation](normalize(self.norm, apply(conv, x), train, axis_name))
            if i < 2:
                x = max_pool(x)
        x = at_least_float32(x.reshape(x.shape[0], -1))
        last = Dense(1, kernel_init=initialiser(x.shape[-1]), bias_init=torch_uniform(x.shape[-1]))
        return apply(last, x)[:, 0]  # [B]


class UpsampleCNNGenerator(nn.Module):
    """Generates images whose height and width are multiples of 4; 1,636,033 parameters at 28x28x1 and 100 latents.

    Attributes:
      num_features: filters of the last 3x3 convolution; the two layers before it have 2 and 4 times as many.
      norm: after each 3x3 convolution.
    """

    image_shape: tuple[int, int, int]
    num_features: int = 64
    norm: str = 'batch'
    dtype: jnp.dtype | None = None

    @nn.compact
    def __call__(self, latents: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        height, width, channels = self.image_shape
        if height % 4 or width % 4:
            raise ValueError(f'upsample_cnn generates images with sides that are multiples of 4, not {height}x{width}')
        init = torch_uniform(latents.shape[-1])
        units = height // 4 * (width // 4) * 4 * self.num_features
        x = Dense(units, kernel_init=init, bias_init=init, dtype=self.dtype)(latents)
        x = x.reshape(-1, height // 4, width // 4, 4 * self.num_features)
        for filters in (2 * self.num_features, self.num_features):
            init = torch_uniform(9 * x.shape[-1])
            x = ConvAfterBilinear(filters, (3, 3), padding=1, use_bias=False, kernel_init=init, dtype=self.dtype)(x)
            x = nn.relu(normalize(self.norm, x, train, axis_name))
        init = torch_uniform(x.shape[-1])
        x = Conv(channels, (1, 1), kernel_init=init, bias_init=init, dtype=self.dtype)(x)
        return 2.0 * nn.sigmoid(at_least_float32(x)) - 1.0
