"""Rounds of training in plain PyTorch, with given images, latents and alphas."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from tests.reference import cases
from tests.reference.pytorch_bounded import bounded
from tests.reference.pytorch_layout import in_our_layout, load
from tests.reference.pytorch_networks import make_players

Variables = dict[str, np.ndarray]  # by the names of in_our_layout


def critic_loss(loss: str, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """The critic's loss without penalty."""
    if loss == 'wasserstein':
        return fake.mean() - real.mean()
    if loss == 'hinge':
        return (1 - real).clamp(min=0).mean() + (1 + fake).clamp(min=0).mean()
    ones, zeros = torch.ones_like(real), torch.zeros_like(fake)
    return binary_cross_entropy_with_logits(real, ones) + binary_cross_entropy_with_logits(fake, zeros)


def generator_loss(loss: str, fake: torch.Tensor) -> torch.Tensor:
    """The generator's loss."""
    if loss in ('wasserstein', 'hinge'):
        return -fake.mean()
    if loss == 'minimax':
        return -binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    return binary_cross_entropy_with_logits(fake, torch.ones_like(fake))


def penalty(
    critic: Callable[[torch.Tensor], torch.Tensor], real: torch.Tensor, fake: torch.Tensor, alpha: torch.Tensor, one_sided: bool
) -> torch.Tensor:
    """The gradient penalty, without its weight."""
    points = ((1 - alpha) * real + alpha * fake).requires_grad_(True)
    (gradients,) = torch.autograd.grad(critic(points), points, torch.ones(len(points), dtype=points.dtype), create_graph=True)
    excess = gradients.flatten(1).norm(2, dim=1) - 1
    return (excess.clamp(min=0) if one_sided else excess).pow(2).mean()


@contextlib.contextmanager
def frozen_statistics(player: nn.Module) -> Iterator[None]:
    """Lets a player pass in train mode without a change of its running statistics and singular vectors.

    By default, PyTorch also updates those of the player that is not being trained.
    """
    layers = [layer for layer in player.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    vectors = {name: value.clone() for name, value in player.named_buffers() if name.endswith(('_u', '_v'))}
    for layer in layers:
        layer.track_running_stats = False
    yield
    for layer in layers:
        layer.track_running_stats = True
    with torch.no_grad():
        for name, value in vectors.items():
            player.get_buffer(name).copy_(value)


class Training:
    """The training of one case."""

    def __init__(self, inputs: Variables, networks: cases.Networks, objective: cases.Objective) -> None:
        self._inputs = {name: torch.from_numpy(inputs[name]).double() for name in ('latents', 'alpha')}
        self._inputs['real'] = images_of(inputs).double()
        self._dropout = cases.below(inputs, 'dropout')
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
            passes = [functools.partial(self._scores, number, cases.PASSES * update + i) for i in range(cases.PASSES)]
            real_scores, fake_scores = passes[0](real), passes[1](fake)
            value = critic_loss(objective.loss, real_scores, fake_scores)
            of_penalty = torch.zeros(())
            if objective.gp_weight:
                of_penalty = penalty(passes[2], real, fake, alpha, objective.gp_one_sided)
                value = value + objective.gp_weight * of_penalty
            critic_norm = self._update('critic', value)
            if objective.clip_value is not None:
                with torch.no_grad():
                    for parameter in self.critic.parameters():
                        parameter.clamp_(-objective.clip_value, objective.clip_value)
        estimate = (real_scores.mean() - fake_scores.mean()).item()
        numbers = [value.item(), estimate, of_penalty.item(), critic_norm]
        with frozen_statistics(self.critic):
            fake = self.generator(inputs['latents'][number, -1])
            value = generator_loss(objective.loss, self._scores(number, -1, fake))
        return [*numbers, value.item(), self._update('generator', value)]

    def players(self) -> dict[str, nn.Sequential]:
        """Both players by name."""
        return {'generator': self.generator, 'critic': self.critic}

    def _scores(self, number: int, which: int, images: torch.Tensor) -> torch.Tensor:
        """The critic's scores in one of its passes of a round; the last one belongs to the generator's update."""
        give_masks(self.critic, self._dropout, number, which)
        return self.critic(images)

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


class MaskedDropout(nn.Module):
    """Dropout with given random numbers instead of its own, which differ between libraries; without numbers, the identity."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.uniforms: torch.Tensor | None = None  # in (0, 1), of the shape of the inputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.uniforms is None or not self.training:
            return x
        return torch.where(self.uniforms < 1 - self.rate, x / (1 - self.rate), torch.zeros_like(x))


def masked_layers(player: nn.Module) -> list[MaskedDropout]:
    """The layers of dropout, in order."""
    return [layer for layer in player.modules() if isinstance(layer, MaskedDropout)]


def give_masks(critic: nn.Module, dropout: Variables, number: int, which: int) -> None:
    """Gives all layers of dropout their random numbers for one pass of a round, if there are any."""
    for i, layer in enumerate(masked_layers(critic)):
        if dropout:
            layer.uniforms = torch.from_numpy(cases.uniforms(dropout[str(i)][number, which])).movedim(-1, 1)


def images_of(inputs: Variables) -> torch.Tensor:  # [rounds, n_critic, B, C, H, W]
    """The real images of the inputs, float32 in [-1, 1]."""
    return torch.from_numpy(cases.real_images(inputs)).movedim(-1, -3)


def players_of(networks: cases.Networks) -> tuple[nn.Module, nn.Module]:
    """(generator, critic), with given masks in place of dropout, or with none."""
    bounds = {name: value for name, value in networks.critic.items() if name in ('weights', 'power_iterations', 'activation')}
    critic = {name: value for name, value in networks.critic.items() if name not in bounds}
    players = make_players(networks.image_shape, cases.LATENT_DIM, networks.generator, critic)
    bounded(players[1], **bounds)
    for player in players:
        for i, layer in enumerate(player):
            if isinstance(layer, nn.Dropout):
                player[i] = MaskedDropout(layer.p if networks.dropout else 0.0)
    return players
