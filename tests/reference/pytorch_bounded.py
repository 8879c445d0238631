"""Critics of wgan_jax/models/bounded.py in PyTorch: its own spectral normalisation, and Cayley transforms by linear systems."""

import math

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from tests.reference.pytorch_layout import layout_of_weights


class MaxMin(nn.Module):
    """Sorts pairs of neighbouring channels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pairs = x.unflatten(1, (-1, 2))
        return pairs.sort(dim=2).values.flatten(1, 2)


ACTIVATIONS = {'relu': nn.ReLU, 'leaky_relu': lambda: nn.LeakyReLU(0.2), 'max_min': MaxMin}


class Orthogonal(nn.Module):
    """Makes the weights of a layer from a matrix, as wgan_jax.models.bounded.orthogonal does, with rows in the same order."""

    def __init__(self, layer: nn.Linear | nn.Conv2d) -> None:
        super().__init__()
        numbers = torch.arange(layer.weight.numel()).view(layer.weight.shape)
        self.places = layout_of_weights(layer)(numbers).reshape(-1)
        self.scale = 1.0
        if isinstance(layer, nn.Conv2d):
            shared = math.prod(-(-side // step) for side, step in zip(layer.kernel_size, layer.stride, strict=True))
            self.scale = 1 / math.sqrt(shared)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        matrix = weight.reshape(-1)[self.places].view(-1, len(weight))
        made = _orthonormal_columns(matrix) if len(matrix) >= len(weight) else _orthonormal_columns(matrix.T).T
        return self.scale * made.reshape(-1)[self.places.argsort()].view(weight.shape)


def bounded(
    critic: nn.Sequential, weights: str = 'plain', power_iterations: int = 1, activation: str | None = None
) -> nn.Sequential:
    """Replaces the activations of a critic, and bounds its layers unless its weights are plain."""
    for i, layer in enumerate(critic):
        if activation is not None and isinstance(layer, nn.ReLU | nn.LeakyReLU):
            critic[i] = ACTIVATIONS[activation]()
        if weights == 'plain' or not isinstance(layer, nn.Linear | nn.Conv2d):
            continue
        if weights == 'spectral':
            spectral_norm(layer, n_power_iterations=power_iterations)
        else:
            parametrize.register_parametrization(layer, 'weight', Orthogonal(layer))
    return critic


def _orthonormal_columns(matrix: torch.Tensor) -> torch.Tensor:
    count = matrix.shape[1]
    upper, lower, identity = matrix[:count], matrix[count:], torch.eye(count, dtype=matrix.dtype)
    skew = upper - upper.T + lower.T @ lower
    top = torch.linalg.solve(identity + skew, identity - skew)
    return torch.cat([top, -2 * torch.linalg.solve((identity + skew).T, lower.T).T])
