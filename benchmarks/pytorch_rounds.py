"""The networks and the round of training in PyTorch, written as a good PyTorch user would: what vs_pytorch.py compares with.

Every network is the same function as the one of its name in wgan_jax/models, with the same parameters.
"""

import contextlib
import itertools
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import softplus

LOSSES = {  # name: (critic loss of real and fake scores, generator loss of fake scores)
    'wasserstein': (lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean()),
    'non_saturating': (lambda real, fake: softplus(-real).mean() + softplus(fake).mean(), lambda fake: softplus(-fake).mean()),
    'minimax': (lambda real, fake: softplus(-real).mean() + softplus(fake).mean(), lambda fake: -softplus(fake).mean()),
}


class Scaled(nn.Module):
    """A linear map of values, `scale * x + shift`."""

    def __init__(self, scale: float, shift: float) -> None:
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps."""
        return self.scale * x + self.shift


def dcgan(side: int, channels: int, latent_dim: int, critic_norm: str) -> tuple[nn.Sequential, nn.Sequential]:
    """DCGAN, as (generator, critic)."""
    widths = [64 * 2**i for i in range(side.bit_length() - 3)]
    critic: list[nn.Module] = [nn.Conv2d(channels, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
    for before, after in itertools.pairwise(widths):
        norm = {'batch': [nn.BatchNorm2d(after)], 'none': []}[critic_norm]
        critic += [nn.Conv2d(before, after, 4, 2, 1, bias=False), *norm, nn.LeakyReLU(0.2, inplace=True)]
    critic += [nn.Flatten(), nn.Linear(widths[-1] * 16, 1, bias=False), nn.Flatten(0)]
    widths.reverse()
    generator: list[nn.Module] = [nn.Unflatten(1, (latent_dim, 1, 1)), nn.ConvTranspose2d(latent_dim, widths[0], 4, bias=False)]
    for before, after in itertools.pairwise(widths):
        generator += [nn.BatchNorm2d(before), nn.ReLU(inplace=True), nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
    generator += [nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.ConvTranspose2d(64, channels, 4, 2, 1, bias=False), nn.Tanh()]
    players = nn.Sequential(*generator), nn.Sequential(*critic)
    for parameter in (parameter for player in players for parameter in player.parameters()):
        if parameter.ndim > 1:
            nn.init.normal_(parameter, 0.0, 0.02)
    return players


def upsample_cnn(side: int, channels: int, latent_dim: int, critic_norm: str) -> tuple[nn.Sequential, nn.Sequential]:
    """UpsampleCNN, as (generator, critic)."""
    if critic_norm != 'batch':
        raise ValueError('upsample_cnn is written with batch norm only')
    quarter, critic, generator = side // 4, [Scaled(0.5, 0.5)], []
    for i, (before, after) in enumerate([(channels, 16), (16, 32), (32, 64)]):
        critic += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        critic += [nn.MaxPool2d(2)] if i < 2 else []
    critic += [nn.Flatten(), nn.Linear(quarter**2 * 64, 1), nn.Flatten(0)]
    generator = [nn.Linear(latent_dim, quarter**2 * 256), nn.Unflatten(1, (256, quarter, quarter))]
    for before, after in [(256, 128), (128, 64)]:
        generator += [nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True)]
        generator += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    generator += [nn.Conv2d(64, channels, 1), nn.Sigmoid(), Scaled(2.0, -1.0)]
    return nn.Sequential(*generator), nn.Sequential(*critic)


def keras_cnn(side: int, channels: int, latent_dim: int, critic_norm: str) -> tuple[nn.Sequential, nn.Sequential]:
    """KerasCNN, as (generator, critic); images are padded to a multiple of 8, which must be possible evenly."""
    del critic_norm  # its critic has none
    margin, start, critic = (-side % 8) // 2, (side + 7) // 8, []
    for i, (before, after) in enumerate([(channels, 64), (64, 128), (128, 256), (256, 512)]):
        # 'Same' padding for strides of 2 is lopsided, which PyTorch's convolution cannot do by itself.
        extra = margin if i == 0 else 0
        critic += [nn.ZeroPad2d((1 + extra, 2 + extra, 1 + extra, 2 + extra)), nn.Conv2d(before, after, 5, 2)]
        critic += [nn.LeakyReLU(0.2, inplace=True), *([nn.Dropout(0.3)] if i in (1, 2) else [])]
    critic += [nn.Flatten(), nn.Dropout(0.2), nn.Linear((start // 2) ** 2 * 512, 1), nn.Flatten(0)]
    generator = [nn.Linear(latent_dim, start**2 * 256, bias=False), nn.BatchNorm1d(start**2 * 256, eps=1e-3, momentum=0.01)]
    generator += [nn.LeakyReLU(0.2, inplace=True), nn.Unflatten(1, (256, start, start))]
    for before, after in [(256, 128), (128, 64), (64, channels)]:
        generator += [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, padding=1, bias=False)]
        generator += [nn.BatchNorm2d(after, eps=1e-3, momentum=0.01)]
        generator += [nn.Tanh() if after == channels else nn.LeakyReLU(0.2, inplace=True)]
    generator += [nn.ZeroPad2d(-margin)]
    return nn.Sequential(*generator), nn.Sequential(*critic)


NETWORKS = {'dcgan': dcgan, 'keras_cnn': keras_cnn, 'upsample_cnn': upsample_cnn}


class TorchRounds:
    """Rounds of training; the images are on the device.

    Args:
      config: one of configs/*.py.
      images: uint8 [N, H, W, C].
      mode: 'eager', 'compile', or 'reduce-overhead', which is torch.compile with CUDA graphs.
      channels_last: the layout of images and weights in memory.
      dtype: 'float32', or 'bfloat16' for autocast.
    """

    def __init__(self, config: Any, images: np.ndarray, mode: str, channels_last: bool, dtype: str) -> None:
        if config.generator.network != config.critic.network or config.gp_one_sided or not config.clip_batch_norm:
            raise ValueError('not written in PyTorch: two kinds of networks, one-sided penalties, unclipped batch norm')
        self.device = 'cuda' if torch.cuda.is_available() else 'cpu'
        self._config, self._mode, self._channels_last, self._dtype = config, mode, channels_last, getattr(torch, dtype)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        images = torch.from_numpy(images).to(self.device)
        self._images = images if channels_last else images.permute(0, 3, 1, 2).contiguous()
        players = NETWORKS[config.critic.network](
            images.shape[1], images.shape[3], config.latent_dim, config.critic.norm or 'batch'
        )
        self.generator, self.critic = (player.to(self.device, memory_format=layout).train() for player in players)
        self.num_parameters = [sum(p.numel() for p in player.parameters()) for player in (self.generator, self.critic)]
        self._generator_optimizer = self._optimizer(self.generator, config.generator_optimizer)
        self._critic_optimizer = self._optimizer(self.critic, config.critic_optimizer)
        self._losses = self.critic_loss, self.generator_loss
        self._updates = self._update_critic, self._generator_optimizer.step
        if mode != 'eager':
            options = {'mode': mode} if mode == 'reduce-overhead' else {}
            self._losses = tuple(torch.compile(loss, fullgraph=True, **options) for loss in self._losses)
            self._updates = tuple(torch.compile(update) for update in self._updates)

    def run(self, rounds: int) -> None:
        """Does some rounds and waits for them."""
        (critic_loss, generator_loss), (update_critic, update_generator) = self._losses, self._updates
        batch_size, shape = self._config.batch_size, (self._config.batch_size, self._config.latent_dim)
        for _ in range(rounds):
            for _ in range(self._config.n_critic):
                self._begin(self._critic_optimizer)
                indices = torch.randint(len(self._images), (batch_size,), device=self.device)
                alpha = torch.rand(batch_size, 1, 1, 1, device=self.device)
                critic_loss(indices, torch.randn(shape, device=self.device), alpha).backward()
                update_critic()
            self.critic.requires_grad_(False)
            self._begin(self._generator_optimizer)
            generator_loss(torch.randn(shape, device=self.device)).backward()
            update_generator()
            self.critic.requires_grad_(True)
        if self.device == 'cuda':
            torch.cuda.synchronize()

    def critic_loss(self, indices: torch.Tensor, latents: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
        """The critic's loss on the images at `indices`."""
        with self._autocast():
            with torch.no_grad():
                fake = self.generator(latents)
            real = self._images[indices]
            real = real.permute(0, 3, 1, 2) if self._channels_last else real
            real = real.to(torch.float32) / 127.5 - 1.0
            # Two passes: batch norm never mixes real and fake images.
            loss = LOSSES[self._config.loss][0](self.critic(real).float(), self.critic(fake).float())
            if self._config.gp_weight:
                loss = loss + self._config.gp_weight * self._penalty(real + alpha * (fake.float() - real))
        return loss

    def generator_loss(self, latents: torch.Tensor) -> torch.Tensor:
        """The generator's loss."""
        with self._autocast():
            return LOSSES[self._config.loss][1](self.critic(self.generator(latents)).float())

    def _penalty(self, interpolates: torch.Tensor) -> torch.Tensor:
        if self._mode == 'eager':
            interpolates.requires_grad_(True)
            (gradients,) = torch.autograd.grad(self.critic(interpolates).sum(), interpolates, create_graph=True)
        else:  # what torch.compile can differentiate once more
            gradients = torch.func.grad(lambda images: self.critic(images).float().sum())(interpolates)
        return (gradients.float().flatten(1).norm(dim=1) - 1.0).square().mean()

    def _update_critic(self) -> None:
        self._critic_optimizer.step()
        if self._config.clip_value is not None:
            with torch.no_grad():
                parameters = list(self.critic.parameters())
                torch._foreach_clamp_min_(parameters, -self._config.clip_value)
                torch._foreach_clamp_max_(parameters, self._config.clip_value)

    def _begin(self, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad(set_to_none=True)
        if self._mode == 'reduce-overhead':
            torch.compiler.cudagraph_mark_step_begin()

    def _optimizer(self, player: nn.Module, options: Any) -> torch.optim.Optimizer:
        if options.name == 'rmsprop':
            return torch.optim.RMSprop(player.parameters(), options.learning_rate, alpha=0.99, eps=1e-8, foreach=True)
        # An optimizer that is compiled is fused by the compiler.
        how = {'fused': True} if self._mode == 'eager' else {'foreach': True}
        betas, amsgrad = (options.b1, options.b2), options.name == 'amsgrad'
        return torch.optim.Adam(player.parameters(), options.learning_rate, betas, eps=1e-8, amsgrad=amsgrad, **how)

    def _autocast(self) -> contextlib.AbstractContextManager:
        return torch.autocast(self.device, self._dtype, enabled=self._dtype != torch.float32)


def load_weights(player: nn.Sequential, params: Any) -> None:
    """Copies the parameters of the network of the same name in wgan_jax/models."""
    kinds = {'Conv': nn.Conv2d, 'TransposedConv': nn.ConvTranspose2d, 'Dense': nn.Linear}
    kinds['BatchNorm'] = (nn.BatchNorm1d, nn.BatchNorm2d)
    first, *_, last = (layer for layer in player if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d))

    def to_torch(name: str, layer: nn.Module, values: torch.Tensor) -> torch.Tensor:
        if values.ndim == 4:
            return values.permute(3, 2, 0, 1) if name == 'Conv' else values.permute(2, 3, 0, 1)
        # Between dense layers and images, channels are the last axis of ours and the first in PyTorch.
        if name == 'Dense' and layer.out_features == 1:
            return _channels_first(values.T, last.out_channels) if values.ndim == 2 else values
        if name == 'Dense' or isinstance(layer, nn.BatchNorm1d):
            values = _channels_first(values, first.in_channels)
            return values.T if values.ndim == 2 else values
        return values

    with torch.no_grad():
        for name, kind in kinds.items():
            for i, layer in enumerate(layer for layer in player if isinstance(layer, kind)):
                values = {key: torch.from_numpy(np.array(value)) for key, value in params[f'{name}_{i}'].items()}
                layer.weight.copy_(to_torch(name, layer, values.get('kernel', values.get('scale'))))
                if layer.bias is not None:
                    layer.bias.copy_(to_torch(name, layer, values['bias']))


def _channels_first(values: torch.Tensor, channels: int) -> torch.Tensor:  # [..., pixels * channels]
    return values.unflatten(-1, (-1, channels)).transpose(-1, -2).flatten(-2)
