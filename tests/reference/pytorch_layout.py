"""Parameters and running statistics of PyTorch networks, with the names and the layout of wgan_jax."""

import collections
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from tests.reference.pytorch_layers import BatchNormPerValue, FromImage, ToImage


def in_our_layout(player: nn.Module) -> Iterator[tuple[str, torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]]:
    """The tensors of a player with the names of the same network in wgan_jax.

    Yields:
      A name, such as params/Conv_0/kernel or batch_stats/BatchNorm_0/mean; the parameter or running statistic; and a function that
      converts a tensor of its shape to the layout of wgan_jax, with channels last.
    """
    kinds = [('Conv', nn.Conv2d), ('TransposedConv', nn.ConvTranspose2d), ('Dense', nn.Linear), ('LayerNorm', nn.GroupNorm)]
    kinds += [('BatchNorm', (nn.BatchNorm1d, nn.BatchNorm2d))]
    numbers: collections.Counter[str] = collections.Counter()
    for layer in player.modules():
        kind = next((name for name, cls in kinds if isinstance(layer, cls)), None)
        if kind is None:
            continue
        prefix = f'{kind}_{numbers[kind]}'
        numbers[kind] += 1
        weight = 'scale' if kind.endswith('Norm') else 'kernel'
        bound = getattr(layer, 'parametrizations', {'weight': None})['weight']
        to_ours = layout_of_weights(layer)
        yield f'params/{prefix}/{weight}', layer.weight if bound is None else bound.original, to_ours
        if bound is not None and hasattr(bound[0], '_u'):  # of spectral normalisation
            vectors, sides = f'batch_stats/Bounded_{numbers["Bounded"]}', bound.original.shape[1:]
            yield f'{vectors}/left_singular_vector', bound[0]._v, _layout_of_inputs(to_ours, sides)
            yield f'{vectors}/right_singular_vector', bound[0]._u, _layout_of_outputs(layer)
            numbers['Bounded'] += 1
        if layer.bias is not None:
            yield f'params/{prefix}/bias', layer.bias, _layout_of_outputs(layer)
        if kind == 'BatchNorm':
            yield f'batch_stats/{prefix}/mean', layer.running_mean, _layout_of_outputs(layer)
            yield f'batch_stats/{prefix}/var', layer.running_var, _layout_of_outputs(layer)


def load(player: nn.Module, variables: dict[str, np.ndarray]) -> None:
    """Copies values in the layout of wgan_jax, by the names of in_our_layout, into a player.

    Raises:
      ValueError: a name is missing or unknown.
    """
    tensors = list(in_our_layout(player))
    if {name for name, _, _ in tensors} != variables.keys():
        raise ValueError(f'only one of both has these arrays: {sorted({name for name, _, _ in tensors} ^ variables.keys())}')
    with torch.no_grad():
        for name, tensor, to_ours in tensors:
            places = to_ours(torch.arange(tensor.numel()).view(tensor.shape)).reshape(-1)
            values = torch.empty(tensor.numel(), dtype=tensor.dtype)
            values[places] = torch.from_numpy(np.array(variables[name])).reshape(-1).to(tensor.dtype)
            tensor.copy_(values.view(tensor.shape))


def layout_of_weights(layer: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """The function that converts the weights of a layer, or a tensor of their shape, to the layout of wgan_jax."""
    if isinstance(layer, nn.Conv2d):
        return lambda w: w.permute(2, 3, 1, 0)
    if isinstance(layer, nn.ConvTranspose2d):
        return lambda w: w.permute(2, 3, 0, 1)
    if isinstance(layer, FromImage):
        return lambda w: _channels_last(w, layer.channels).T
    if isinstance(layer, nn.Linear):
        outputs = _layout_of_outputs(layer)
        return lambda w: outputs(w.T)
    return _layout_of_outputs(layer)


def _layout_of_outputs(layer: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    if isinstance(layer, ToImage | BatchNormPerValue):
        return lambda values: _channels_last(values, layer.channels)
    return lambda values: values


def _layout_of_inputs(
    of_weights: Callable[[torch.Tensor], torch.Tensor], sides: torch.Size
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The layout of a vector with a value for each input of an output."""
    return lambda values: of_weights(values.reshape(1, *sides)).reshape(-1)


def _channels_last(values: torch.Tensor, channels: int) -> torch.Tensor:  # [..., channels * pixels]
    return values.unflatten(-1, (channels, -1)).transpose(-1, -2).flatten(-2)
