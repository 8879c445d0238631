"""The networks of wgan_jax/models in plain PyTorch: the same functions with the same parameters, for images [B, C, H, W].

The fixtures and the benchmarks use them; no test imports them.
"""

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tests.reference.pytorch_layers import BatchNormPerValue, FromImage, SameConv, Scaled, ToImage

ImageShape = tuple[int, int, int]  # (height, width, channels), as in wgan_jax


class CriticBlock(nn.Module):
    """A residual block that halves the image."""

    def __init__(self, before: int, after: int, norm: str) -> None:
        super().__init__()
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(before, after, 1))
        first = [*_norm(norm, before), nn.ReLU(), nn.Conv2d(before, before, 3, padding=1, bias=False)]
        second = [*_norm(norm, before), nn.ReLU(), nn.Conv2d(before, after, 3, padding=1), nn.AvgPool2d(2)]
        self.residual = nn.Sequential(*first, *second)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shortcut(x) + self.residual(x)


class GeneratorBlock(nn.Module):
    """A residual block that doubles the image."""

    def __init__(self, before: int, after: int, norm: str) -> None:
        super().__init__()
        self.shortcut = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 1))
        first = [*_norm(norm, before), nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, padding=1, bias=False)]
        self.residual = nn.Sequential(*first, *_norm(norm, after), nn.ReLU(), nn.Conv2d(after, after, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shortcut(x) + self.residual(x)


def dcgan_critic(
    shape: ImageShape,
    num_features: int = 64,
    num_extra_layers: int = 0,
    norm: str = 'batch',
    constant_width: bool = False,
    norm_after_activation: bool = False,
) -> nn.Sequential:
    """As wgan_jax.models.dcgan.DCGANCritic."""
    widths, bias = _dcgan_widths(shape, num_features, constant_width), norm != 'batch'
    layers = [nn.Conv2d(shape[2], widths[0], 4, 2, 1, bias=bias), nn.LeakyReLU(0.2, inplace=True)]

    def activation(channels: int) -> list[nn.Module]:
        return _ordered(_norm(norm, channels), nn.LeakyReLU(0.2, inplace=True), norm_after_activation)

    for _ in range(num_extra_layers):
        layers += [nn.Conv2d(widths[0], widths[0], 3, 1, 1, bias=bias), *activation(widths[0])]
    for before, after in itertools.pairwise(widths):
        layers += [nn.Conv2d(before, after, 4, 2, 1, bias=bias), *activation(after)]
    return _dcgan_initialised(nn.Sequential(*layers, FromImage(widths[-1], 16, 1, bias=bias), nn.Flatten(0)))


def dcgan_generator(
    shape: ImageShape,
    latent_dim: int,
    num_features: int = 64,
    num_extra_layers: int = 0,
    norm: str = 'batch',
    constant_width: bool = False,
    norm_after_activation: bool = False,
    transposed_extra_layers: bool = False,
) -> nn.Sequential:
    """As wgan_jax.models.dcgan.DCGANGenerator."""
    widths = _dcgan_widths(shape, num_features, constant_width)[::-1]
    extra = nn.ConvTranspose2d if transposed_extra_layers else nn.Conv2d

    def activation(channels: int) -> list[nn.Module]:
        return _ordered(_norm(norm, channels), nn.ReLU(inplace=True), norm_after_activation)

    layers = [nn.Unflatten(1, (latent_dim, 1, 1)), nn.ConvTranspose2d(latent_dim, widths[0], 4, bias=False), *activation(widths[0])]
    for before, after in itertools.pairwise(widths):
        layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), *activation(after)]
    for _ in range(num_extra_layers):
        layers += [extra(widths[-1], widths[-1], 3, 1, 1, bias=False), *activation(widths[-1])]
    return _dcgan_initialised(nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], shape[2], 4, 2, 1, bias=False), nn.Tanh()))


def keras_cnn_critic(shape: ImageShape, num_features: int = 64) -> nn.Sequential:
    """As wgan_jax.models.keras_cnn.KerasCNNCritic."""
    (top, bottom), (left, right) = _margins(shape[0]), _margins(shape[1])
    layers: list[nn.Module] = [nn.ZeroPad2d((left, right, top, bottom))]
    widths = [shape[2], *(num_features * 2**i for i in range(4))]
    for i, (before, after) in enumerate(itertools.pairwise(widths)):
        layers += [SameConv(before, after, 5, 2), nn.LeakyReLU(0.2, inplace=True), *([nn.Dropout(0.3)] if i in (1, 2) else [])]
    pixels = (-(-shape[0] // 16)) * (-(-shape[1] // 16))
    return nn.Sequential(*layers, nn.Dropout(0.2), FromImage(widths[-1], pixels, 1), nn.Flatten(0))


def keras_cnn_generator(shape: ImageShape, latent_dim: int, num_features: int = 64) -> nn.Sequential:
    """As wgan_jax.models.keras_cnn.KerasCNNGenerator."""
    (top, bottom), (left, right) = _margins(shape[0]), _margins(shape[1])
    sides, constants = (-(-shape[0] // 8), -(-shape[1] // 8)), {'eps': 1e-3, 'momentum': 0.01}
    widths = [4 * num_features, 2 * num_features, num_features, shape[2]]
    layers = [ToImage(latent_dim, widths[0], sides, bias=False), BatchNormPerValue(widths[0], sides[0] * sides[1], **constants)]
    for before, after in itertools.pairwise(widths):
        layers += [nn.LeakyReLU(0.2, inplace=True), nn.Upsample(scale_factor=2)]
        layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after, **constants)]
    return nn.Sequential(*layers, nn.Tanh(), nn.ZeroPad2d((-left, -right, -top, -bottom)))


def mlp_critic(shape: ImageShape, num_features: int = 512, num_layers: int = 3) -> nn.Sequential:
    """As wgan_jax.models.mlp.MLPCritic without norm."""
    layers: list[nn.Module] = [FromImage(shape[2], shape[0] * shape[1], num_features), nn.ReLU()]
    for _ in range(num_layers - 1):
        layers += [nn.Linear(num_features, num_features), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(num_features, 1), nn.Flatten(0))


def mlp_generator(
    shape: ImageShape, latent_dim: int, num_features: int = 512, num_layers: int = 3, norm: str = 'none'
) -> nn.Sequential:
    """As wgan_jax.models.mlp.MLPGenerator."""
    layers: list[nn.Module] = []
    for before in [latent_dim, *[num_features] * (num_layers - 1)]:
        layers += [nn.Linear(before, num_features), *([nn.BatchNorm1d(num_features)] if norm == 'batch' else []), nn.ReLU()]
    return nn.Sequential(*layers, ToImage(num_features, shape[2], shape[:2]), nn.Tanh())


def resnet_critic(shape: ImageShape, num_features: int = 64, norm: str = 'layer') -> nn.Sequential:
    """As wgan_jax.models.resnet.ResNetCritic."""
    widths = _resnet_widths(shape, num_features)
    blocks = [CriticBlock(before, after, norm) for before, after in itertools.pairwise(widths)]
    return nn.Sequential(nn.Conv2d(shape[2], widths[0], 3, padding=1), *blocks, FromImage(widths[-1], 16, 1), nn.Flatten(0))


def resnet_generator(shape: ImageShape, latent_dim: int, num_features: int = 64, norm: str = 'batch') -> nn.Sequential:
    """As wgan_jax.models.resnet.ResNetGenerator."""
    widths = _resnet_widths(shape, num_features)[::-1]
    blocks = [GeneratorBlock(before, after, norm) for before, after in itertools.pairwise(widths)]
    last = [*_norm(norm, widths[-1]), nn.ReLU(), nn.Conv2d(widths[-1], shape[2], 3, padding=1), nn.Tanh()]
    return nn.Sequential(ToImage(latent_dim, widths[0], (4, 4)), *blocks, *last)


def upsample_cnn_critic(shape: ImageShape, num_features: int = 16, norm: str = 'batch') -> nn.Sequential:
    """As wgan_jax.models.upsample_cnn.UpsampleCNNCritic."""
    layers: list[nn.Module] = [Scaled(0.5, 0.5)]
    widths = [shape[2], num_features, 2 * num_features, 4 * num_features]
    for i, (before, after) in enumerate(itertools.pairwise(widths)):
        layers += [nn.Conv2d(before, after, 3, padding=1, bias=norm != 'batch'), *_norm(norm, after), nn.ReLU(inplace=True)]
        layers += [nn.MaxPool2d(2)] if i < 2 else []
    return nn.Sequential(*layers, FromImage(widths[-1], shape[0] // 4 * (shape[1] // 4), 1), nn.Flatten(0))


def upsample_cnn_generator(shape: ImageShape, latent_dim: int, num_features: int = 64, norm: str = 'batch') -> nn.Sequential:
    """As wgan_jax.models.upsample_cnn.UpsampleCNNGenerator."""
    widths = [4 * num_features, 2 * num_features, num_features]
    layers: list[nn.Module] = [ToImage(latent_dim, widths[0], (shape[0] // 4, shape[1] // 4))]
    for before, after in itertools.pairwise(widths):
        layers += [nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True)]
        layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), *_norm(norm, after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], shape[2], 1), nn.Sigmoid(), Scaled(2.0, -1.0))


NETWORKS: dict[str, tuple[Callable[..., nn.Sequential], Callable[..., nn.Sequential]]] = {  # name: (generator, critic)
    'dcgan': (dcgan_generator, dcgan_critic),
    'keras_cnn': (keras_cnn_generator, keras_cnn_critic),
    'mlp': (mlp_generator, mlp_critic),
    'resnet': (resnet_generator, resnet_critic),
    'upsample_cnn': (upsample_cnn_generator, upsample_cnn_critic),
}


def make_players(
    shape: ImageShape, latent_dim: int, generator: dict[str, Any], critic: dict[str, Any]
) -> tuple[nn.Sequential, nn.Sequential]:
    """(generator, critic) from sections of a config, each with a network's name and its options; None is the default."""
    options = [{name: value for name, value in section.items() if value is not None} for section in (generator, critic)]
    make_generator, make_critic = (NETWORKS[section.pop('network')][i] for i, section in enumerate(options))
    return make_generator(shape, latent_dim, **options[0]), make_critic(shape, **options[1])


def _norm(norm: str, channels: int) -> list[nn.Module]:
    """Layer norm over channels and pixels with a scale and a shift per channel is group norm with one group."""
    return {'batch': [nn.BatchNorm2d(channels)], 'layer': [nn.GroupNorm(1, channels)], 'none': []}[norm]


def _ordered(norm: list[nn.Module], activation: nn.Module, norm_after_activation: bool) -> list[nn.Module]:
    return [activation, *norm] if norm_after_activation else [*norm, activation]


def _dcgan_widths(shape: ImageShape, num_features: int, constant: bool) -> list[int]:
    return [num_features * (1 if constant else 2**i) for i in range(shape[0].bit_length() - 3)]


def _dcgan_initialised(player: nn.Sequential) -> nn.Sequential:
    for parameter in player.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, 0.0, 0.02)
    return player


def _resnet_widths(shape: ImageShape, num_features: int) -> list[int]:
    return [num_features * min(8, 2**i) for i in range(shape[0].bit_length() - 2)]


def _margins(size: int) -> tuple[int, int]:
    """Pixels before and after `size` up to the next multiple of 8."""
    return (-size % 8) // 2, (-size % 8) - (-size % 8) // 2
