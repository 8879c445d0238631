"""A round of training in PyTorch, optimised as is usual there: the other side of vs_pytorch.py."""

import contextlib
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import softplus

from tests.reference.pytorch_networks import make_players

LOSSES = {  # name: (critic loss of real and fake scores, generator loss of fake scores)
    'wasserstein': (lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean()),
    'non_saturating': (lambda real, fake: softplus(-real).mean() + softplus(fake).mean(), lambda fake: softplus(-fake).mean()),
    'minimax': (lambda real, fake: softplus(-real).mean() + softplus(fake).mean(), lambda fake: -softplus(fake).mean()),
}


class TorchRounds:
    """Rounds of training, with the images on the device.

    Args:
      config: one of configs/*.py.
      images: uint8 [N, H, W, C].
      mode: 'eager', 'compile', or 'reduce-overhead' (torch.compile with CUDA graphs).
      channels_last: the layout of images and weights in memory.
      dtype: 'float32', or 'bfloat16' for autocast.
    """

    def __init__(self, config: Any, images: np.ndarray, mode: str, channels_last: bool, dtype: str) -> None:
        others = (config.gp_one_sided, not config.clip_batch_norm, config.shared_images, config.shared_latents, config.image_noise)
        if any(others) or config.gp_alpha != 'uniform' or config.loss not in LOSSES:
            raise ValueError("PyTorch computes only the losses and the penalty of the papers here, without the tutorials' changes")
        self.device = 'cuda' if torch.cuda.is_available() else 'cpu'
        self._config, self._mode, self._channels_last, self._dtype = config, mode, channels_last, getattr(torch, dtype)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        images = torch.from_numpy(images).to(self.device)
        self._images = images if channels_last else images.permute(0, 3, 1, 2).contiguous()
        players = make_players(tuple(images.shape[1:]), config.latent_dim, config.generator, config.critic)
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
        """Runs some rounds and waits for them."""
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
        else:  # torch.compile can differentiate this a second time
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
        # A compiled optimizer is fused by the compiler.
        how = {'fused': True} if self._mode == 'eager' else {'foreach': True}
        betas, amsgrad = (options.b1, options.b2), options.name == 'amsgrad'
        return torch.optim.Adam(player.parameters(), options.learning_rate, betas, eps=1e-8, amsgrad=amsgrad, **how)

    def _autocast(self) -> contextlib.AbstractContextManager:
        return torch.autocast(self.device, self._dtype, enabled=self._dtype != torch.float32)
