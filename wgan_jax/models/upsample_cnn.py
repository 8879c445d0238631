"""UpsampleCNN: three convolutions with batch norm per player, bilinear upsampling in the generator.

The networks of the PyTorch MNIST tutorials for GAN and WGAN. Those feed images in [0, 1]; here images are in [-1, 1] everywhere
outside the networks, so the critic maps its input to [0, 1] and the generator its sigmoid to [-1, 1]: the same functions.
"""

import flax.linen as nn
import jax

from wgan_jax.models.layers import Conv, normalize, torch_uniform, upsample_bilinear


class UpsampleCNNCritic(nn.Module):
    """Scores images; 26,545 parameters at 28x28x1.

    Attributes:
      image_shape: (height, width, channels); height and width must be multiples of 4.
      num_features: filters of the first convolution; the second and third have 2 and 4 times as many.
      norm: 'batch', 'layer' or 'none'.
    """

    image_shape: tuple[int, int, int]
    num_features: int = 16
    norm: str = 'batch'

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        x = (images + 1.0) / 2.0  # [B, H, W, C] in [0, 1]
        for i in range(3):
            filters = self.num_features * 2**i
            init = torch_uniform(9 * x.shape[-1])
            x = Conv(filters, (3, 3), padding=1, use_bias=False, kernel_init=init)(x)
            x = nn.relu(normalize(self.norm, x, train, axis_name))
            if i < 2:
                x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = x.reshape(x.shape[0], -1)
        init = torch_uniform(x.shape[-1])
        return nn.Dense(1, kernel_init=init, bias_init=init)(x)[:, 0]  # [B]


class UpsampleCNNGenerator(nn.Module):
    """Makes images from latents; 1,636,033 parameters at 28x28x1 and 100 latents.

    Attributes:
      image_shape: (height, width, channels); height and width must be multiples of 4.
      num_features: filters of the last 3x3 convolution; the layers before have 2 and 4 times as many.
      norm: 'batch', 'layer' or 'none'.
    """

    image_shape: tuple[int, int, int]
    num_features: int = 64
    norm: str = 'batch'

    @nn.compact
    def __call__(self, latents: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        height, width, channels = self.image_shape
        if height % 4 or width % 4:
            raise ValueError(f'upsample_cnn makes images whose sides are multiples of 4, not {height}x{width}')
        init = torch_uniform(latents.shape[-1])
        x = nn.Dense(height // 4 * (width // 4) * 4 * self.num_features, kernel_init=init, bias_init=init)(latents)
        x = x.reshape(-1, height // 4, width // 4, 4 * self.num_features)
        for filters in (2 * self.num_features, self.num_features):
            init = torch_uniform(9 * x.shape[-1])
            x = Conv(filters, (3, 3), padding=1, use_bias=False, kernel_init=init)(upsample_bilinear(x))
            x = nn.relu(normalize(self.norm, x, train, axis_name))
        init = torch_uniform(x.shape[-1])
        x = Conv(channels, (1, 1), kernel_init=init, bias_init=init)(x)
        return 2.0 * nn.sigmoid(x) - 1.0
