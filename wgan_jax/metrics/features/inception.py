"""The network of the Frechet inception distance: Inception v3 as TensorFlow published it on 2015-12-05.

Szegedy et al., "Rethinking the Inception Architecture for Computer Vision" (2015), table 1, with the peculiarities of that file,
which the distance depends on: average pools do not count the padding, the last block has a maximum pool instead of an average pool,
and there are 1,008 classes. Layers have the names that torchvision gave them, as in the file of weights.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.errors import UserError
from wgan_jax.metrics.features import inception_weights
from wgan_jax.metrics.features.network import FeatureNetwork, apply_in_batches

SIDE = 299  # pixels of the images that the network takes
_BATCH = 32
# The default is TF32 on recent GPUs and bfloat16 on TPUs: the distance would depend on the machine in its third digit.
_PRECISION = jax.lax.Precision.HIGHEST
_average_pool = functools.partial(nn.avg_pool, window_shape=(3, 3), padding='SAME', count_include_pad=False)


def inception(weights: Path) -> FeatureNetwork:
    """Loads the network from the file that inception_weights.find returns; it is compiled when it is first applied.

    Raises:
      UserError: the file is not the original; from `apply`, the images have neither 1 nor 3 channels.
    """
    variables = jax.device_put(inception_weights.convert(inception_weights.read(weights)))
    run = jax.jit(lambda variables, images: Inception().apply(variables, resize(images)))

    return FeatureNetwork(
        name='inception',
        image_shape=None,
        num_features=2048,
        num_classes=1008,
        weights_sha256=inception_weights.SHA256,
        preprocessing=(
            'the whole uint8 image, grey repeated to three channels, resized to 299x299 bilinearly as in TensorFlow 1.x '
            '(corners not aligned, no half-pixel centres, no antialiasing), (x - 128) / 128.'
        ),
        apply=lambda images: apply_in_batches(functools.partial(run, variables), images, _BATCH),
    )


def resize(images: jax.Array) -> jax.Array:  # [B, H, W, 1 or 3] -> [B, 299, 299, 3]
    """Resizes images in 0..255, uint8 or float, and scales them to float32 in [-1, 1).

    This is `tf.image.resize_bilinear(align_corners=False)` of TensorFlow 1.x (core/kernels/image_resizer_state.h): pixel i of the
    result lies at i * H / 299 of the image. There is no antialiasing: a large image is sampled, not averaged.

    Raises:
      UserError: there are neither 1 nor 3 channels.
    """
    channels = images.shape[3]
    if channels not in (1, 3):
        raise UserError(f'The Inception network takes images with 1 or 3 channels, not {channels}: choose another feature network.')
    x = images.astype(jnp.float32)
    x = jnp.einsum('oh,bhwc->bowc', _bilinear(x.shape[1]), x, precision=_PRECISION)
    x = jnp.einsum('ow,bhwc->bhoc', _bilinear(x.shape[2]), x, precision=_PRECISION)
    if channels == 1:
        x = jnp.repeat(x, 3, axis=3)  # grey
    return (x - 128.0) / 128.0


def _bilinear(size: int) -> np.ndarray:  # [299, size]
    """The matrix that interpolates `size` samples at 299 positions, computed in float32 as in TensorFlow."""
    positions = np.arange(SIDE, dtype=np.float32) * np.float32(size / SIDE)
    below = positions.astype(int)
    above = np.minimum(below + 1, size - 1)  # the last sample is repeated
    share = positions - below.astype(np.float32)
    matrix = np.zeros((SIDE, size), np.float32)
    np.add.at(matrix, (np.arange(SIDE), below), 1 - share)
    np.add.at(matrix, (np.arange(SIDE), above), share)
    return matrix


class Inception(nn.Module):
    """Images [B, 299, 299, 3] in [-1, 1] -> features [B, 2048], the last average pool (`pool_3`), and logits [B, 1008].

    The logits have no bias, as in the Inception score of Salimans et al., "Improved Techniques for Training GANs" (2016). The
    convolutions include batch norm: see inception_weights.convert.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        x = _conv(x, 'Conv2d_1a_3x3', 32, 3, stride=2, padding='VALID')
        x = _conv(x, 'Conv2d_2a_3x3', 32, 3, padding='VALID')
        x = _conv(x, 'Conv2d_2b_3x3', 64, 3)
        x = nn.max_pool(x, (3, 3), (2, 2))  # [B, 73, 73, 64]
        x = _conv(x, 'Conv2d_3b_1x1', 80, 1)
        x = _conv(x, 'Conv2d_4a_3x3', 192, 3, padding='VALID')
        x = nn.max_pool(x, (3, 3), (2, 2))  # [B, 35, 35, 192]
        for letter, pool_features in zip('bcd', (32, 64, 64), strict=True):
            x = _BlockA(pool_features, name=f'Mixed_5{letter}')(x)
        x = _BlockB(name='Mixed_6a')(x)  # [B, 17, 17, 768]
        for letter, width in zip('bcde', (128, 160, 160, 192), strict=True):
            x = _BlockC(width, name=f'Mixed_6{letter}')(x)
        x = _BlockD(name='Mixed_7a')(x)  # [B, 8, 8, 1280]
        x = _BlockE(_average_pool, name='Mixed_7b')(x)
        x = _BlockE(functools.partial(nn.max_pool, window_shape=(3, 3), padding='SAME'), name='Mixed_7c')(x)  # [B, 8, 8, 2048]
        features = x.mean(axis=(1, 2))
        return features, nn.Dense(1008, use_bias=False, precision=_PRECISION, name='fc')(features)


def _conv(
    x: jax.Array, name: str, features: int, height: int, width: int | None = None, *, stride: int = 1, padding: str = 'SAME'
) -> jax.Array:
    """A convolution, whose kernel and bias include batch norm, and ReLU; to be called in a compact module."""
    return nn.relu(nn.Conv(features, (height, width or height), stride, padding, precision=_PRECISION, name=name)(x))


class _BlockA(nn.Module):  # 35x35
    pool_features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        one = _conv(x, 'branch1x1', 64, 1)
        five = _conv(x, 'branch5x5_1', 48, 1)
        five = _conv(five, 'branch5x5_2', 64, 5)
        double = _conv(x, 'branch3x3dbl_1', 64, 1)
        double = _conv(double, 'branch3x3dbl_2', 96, 3)
        double = _conv(double, 'branch3x3dbl_3', 96, 3)
        pooled = _conv(_average_pool(x), 'branch_pool', self.pool_features, 1)
        return jnp.concatenate([one, five, double, pooled], axis=3)


class _BlockB(nn.Module):  # 35x35 to 17x17
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        three = _conv(x, 'branch3x3', 384, 3, stride=2, padding='VALID')
        double = _conv(x, 'branch3x3dbl_1', 64, 1)
        double = _conv(double, 'branch3x3dbl_2', 96, 3)
        double = _conv(double, 'branch3x3dbl_3', 96, 3, stride=2, padding='VALID')
        return jnp.concatenate([three, double, nn.max_pool(x, (3, 3), (2, 2))], axis=3)


class _BlockC(nn.Module):  # 17x17
    width: int  # channels between the long convolutions

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        one = _conv(x, 'branch1x1', 192, 1)
        seven = _conv(x, 'branch7x7_1', self.width, 1)
        seven = _conv(seven, 'branch7x7_2', self.width, 1, 7)
        seven = _conv(seven, 'branch7x7_3', 192, 7, 1)
        double = _conv(x, 'branch7x7dbl_1', self.width, 1)
        double = _conv(double, 'branch7x7dbl_2', self.width, 7, 1)
        double = _conv(double, 'branch7x7dbl_3', self.width, 1, 7)
        double = _conv(double, 'branch7x7dbl_4', self.width, 7, 1)
        double = _conv(double, 'branch7x7dbl_5', 192, 1, 7)
        pooled = _conv(_average_pool(x), 'branch_pool', 192, 1)
        return jnp.concatenate([one, seven, double, pooled], axis=3)


class _BlockD(nn.Module):  # 17x17 to 8x8
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        three = _conv(x, 'branch3x3_1', 192, 1)
        three = _conv(three, 'branch3x3_2', 320, 3, stride=2, padding='VALID')
        seven = _conv(x, 'branch7x7x3_1', 192, 1)
        seven = _conv(seven, 'branch7x7x3_2', 192, 1, 7)
        seven = _conv(seven, 'branch7x7x3_3', 192, 7, 1)
        seven = _conv(seven, 'branch7x7x3_4', 192, 3, stride=2, padding='VALID')
        return jnp.concatenate([three, seven, nn.max_pool(x, (3, 3), (2, 2))], axis=3)


class _BlockE(nn.Module):  # 8x8
    pool: Callable[[jax.Array], jax.Array]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        one = _conv(x, 'branch1x1', 320, 1)
        three = _conv(x, 'branch3x3_1', 384, 1)
        double = _conv(x, 'branch3x3dbl_1', 448, 1)
        double = _conv(double, 'branch3x3dbl_2', 384, 3)
        split = [
            _conv(three, 'branch3x3_2a', 384, 1, 3),
            _conv(three, 'branch3x3_2b', 384, 3, 1),
            _conv(double, 'branch3x3dbl_3a', 384, 1, 3),
            _conv(double, 'branch3x3dbl_3b', 384, 3, 1),
        ]
        pooled = _conv(self.pool(x), 'branch_pool', 192, 1)
        return jnp.concatenate([one, *split, pooled], axis=3)
