"""Rounds of training in plain PyTorch, with given images, latents and alphas."""

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from tests.reference import cases
from tests.reference.pytorch_layout import in_our_layout, load
from tests.reference.pytorch_networks import make_players

Variables = dict[str, np.ndarray]  # by the names of in_our_layout


def critic_loss(loss: str, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """The critic's loss without penalty."""
    if loss == 'wasserstein':
        return fake.mean() - real.mean()
    ones, zeros = torch.ones_like(real), torch.zeros_like(fake)
    return binary_cross_entropy_with_logits(real, ones) + binary_cross_entropy_with_logits(fake, zeros)


def generator_loss(loss: str, fake: torch.Tensor) -> torch.Tensor:
    """The generator's loss."""
    if loss == 'wasserstein':
        return -fake.mean()
    if loss == 'minimax':
        return -binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    return binary_cross_entropy_with_logits(fake, torch.ones_like(fake))


def penalty(critic: nn.Module, real: torch.Tensor, fake: torch.Tensor, alpha: torch.Tensor, one_sided: bool) -> torch.Tensor:
    """The gradient penalty, without its weight."""
    points = ((1 - alpha) * real + alpha * fake).requires_grad_(True)
    (gradients,) = torch.autograd.grad(critic(points), points, torch.ones(len(points), dtype=points.dtype), create_graph=True)
    excess = gradients.flatten(1).norm(2, dim=1) - 1
    return (excess.clamp(min=0) if one_sided else excess).pow(2).mean()


@contextlib.contextmanager
def frozen_statistics(player: nn.Module) -> Iterator[None]:
    """Lets the batch norm of a player use the statistics of the batch without a change of its running statistics.

    By default, PyTorch also updates the running statistics of the player that is not being trained.
    """
    layers = [layer for layer in player.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    for layer in layers:
        layer.track_running_stats = False
    yield
    for layer in layers:
        layer.track_running_stats = True


class Training:
    """The training of one case."""

    def __init__(self, inputs: Variables, networks: cases.Networks, objective: cases.Objective) -> None:
        self._inputs = {name: torch.from_numpy(inputs[name]).double() for name in ('real', 'latents', 'alpha')}
        self._inputs['real'] = self._inputs['real'].movedim(-1, -3)
        self._objective = objective
        self.generator, self.critic = players_of(networks)
        for name, player in self.players().items():
            load(player.double(), cases.below(inputs, name))
        self.gradients: dict[str, Variables] = {}  # of each player's last update
        self._optimizers = {name: make_optimizer(player, objective.optimizer) for name, player in self.players().items()}

    def round(self, number: int, n_critic: int) -> list[float]:
        """Runs one round and returns cases.NUMBERS."""
        objective, inputs = self._objective, self._inputs
        for update in range(n_critic):
            real, alpha = inputs['real'][number, update], inputs['alpha'][number, update].view(-1, 1, 1, 1)
            with torch.no_grad(), frozen_statistics(self.generator):
                fake = self.generator(inputs['latents'][number, update])
            real_scores, fake_scores = self.critic(real), self.critic(fake)
            value = critic_loss(objective.loss, real_scores, fake_scores)
            of_penalty = torch.zeros(())
            if objective.gp_weight:
                of_penalty = penalty(self.critic, real, fake, alpha, objective.gp_one_sided)
                value = value + objective.gp_weight * of_penalty
            critic_norm = self._update('critic', value)
            if objective.clip_value is not None:
                with torch.no_grad():
                    for parameter in self.critic.parameters():
                        parameter.clamp_(-objective.clip_value, objective.clip_value)
        estimate = (real_scores.mean() - fake_scores.mean()).item()
        numbers = [value.item(), estimate, of_penalty.item(), critic_norm]
        with frozen_statistics(self.critic):
            value = generator_loss(objective.loss, self.critic(self.generator(inputs['latents'][number, -1])))
        return [*numbers, value.item(), self._update('generator', value)]

    def players(self) -> dict[str, nn.Sequential]:
        """Both players by name."""
        return {'generator': self.generator, 'critic': self.critic}

    def _update(self, player: str, value: torch.Tensor) -> float:
        optimizer, network = self._optimizers[player], self.players()[player]
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        gradients = {name: to_ours(t.grad).numpy().copy() for name, t, to_ours in in_our_layout(network) if t.requires_grad}
        self.gradients[player] = cases.below(gradients, 'params')
        return torch.cat([parameter.grad.flatten() for parameter in network.parameters()]).norm().item()


def make_optimizer(player: nn.Module, options: dict[str, Any]) -> torch.optim.Optimizer:
    """PyTorch's optimizer, with its defaults for options that a config does not have."""
    if options['name'] == 'rmsprop':
        return torch.optim.RMSprop(player.parameters(), lr=options['learning_rate'])
    betas = options['b1'], options['b2']
    return torch.optim.Adam(player.parameters(), lr=options['learning_rate'], betas=betas, amsgrad=options['name'] == 'amsgrad')


def players_of(networks: cases.Networks) -> tuple[nn.Module, nn.Module]:
    """(generator, critic), without dropout, whose masks differ between libraries."""
    players = make_players(networks.image_shape, cases.LATENT_DIM, networks.generator, networks.critic)
    for layer in itertools.chain(*(player.modules() for player in players)):
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    return players
