"""The layers of a network as a table: name, shape of the output, numbers of parameters and of batch statistics."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from wgan_jax.algorithm.state import PlayerState
from wgan_jax.convolutions import fused
from wgan_jax.models.bounded import Bounded

_GAP = '  '


class Layer(NamedTuple):
    """One Flax module of a network. Activations, pooling and reshapes are functions here, and are not listed.

    A layer with spectral or orthogonal weights follows the module that bounds it.
    """

    name: str  # of the module; for parameters that belong to no layer, the class of the network
    operation: (
        str  # of a convolution: its kernel, its stride, and the resizing that is computed with it; what bounds the next layer
    )
    output: tuple[int, ...]  # shape without the batch
    parameters: int
    statistics: int  # running means and variances of batch norm, and singular vectors of spectral weights


def layers_of(player: PlayerState, input_shape: tuple[int, ...]) -> list[Layer]:
    """The layers of a player's network in the order in which they are called; nothing is computed.

    Args:
      player: arrays or shapes.
      input_shape: without the batch.
    """
    called: dict[tuple[str, ...], tuple[nn.Module, tuple[int, ...]]] = {}  # path of a module -> (it, shape of its output)

    def note(call: Callable[..., Any], args: tuple, kwargs: dict, context: nn.module.InterceptorContext) -> Any:
        if context.method_name != '__call__' or context.module.path in called:
            return call(*args, **kwargs)
        called[context.module.path] = context.module, ()  # before the layers inside of this one
        outputs = call(*args, **kwargs)
        first, *_ = [*jax.tree.leaves(outputs), None]  # an own module may return several arrays, or none
        called[context.module.path] = context.module, getattr(first, 'shape', ())[1:]
        return outputs

    inputs = jax.ShapeDtypeStruct((1, *input_shape), np.float32)
    with nn.intercept_methods(note):
        jax.eval_shape(lambda variables, inputs: player.apply_fn(variables, inputs, train=False), player.variables, inputs)
    parameters, statistics = (_by_layer(tree, list(called)) for tree in (player.params, player.batch_stats))
    return [
        Layer('.'.join(path) or type(module).__name__, _operation(module), output, parameters[path], statistics[path])
        for path, (module, output) in called.items()
        if (path or parameters[path] or statistics[path]) and not (isinstance(module, Bounded) and module.weights == 'plain')
    ]


def table(title: str, inputs: str, input_shape: tuple[int, ...], layers: Sequence[Layer]) -> str:
    """The layers as lines of text, from the input to the sums."""
    totals = [sum(layer.parameters for layer in layers), sum(layer.statistics for layer in layers)]
    rows = [
        [title, '', 'output', 'parameters', 'statistics'],
        [inputs, '', _shape(input_shape), '', ''],
        *([name, operation, _shape(output), f'{of_layer:,}', f'{kept:,}'] for name, operation, output, of_layer, kept in layers),
        ['total', '', '', *(f'{total:,}' for total in totals)],
    ]
    if not totals[1]:
        rows = [row[:-1] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        left = (cell.ljust(width) for cell, width in zip(row[:3], widths, strict=False))
        right = (cell.rjust(width) for cell, width in zip(row[3:], widths[3:], strict=True))
        lines.append(_GAP.join((*left, *right)).rstrip())
    return '\n'.join(lines)


def _by_layer(tree: Any, paths: list[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    """The number of values of each layer, without those of the layers inside of it."""
    counts = dict.fromkeys(paths, 0)
    for keys, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        names = tuple(key.key for key in keys)
        counts[max((path for path in paths if names[: len(path)] == path), key=len)] += math.prod(leaf.shape)
    return counts


def _operation(module: nn.Module) -> str:
    if isinstance(module, Bounded):
        return f'{module.weights} weights'
    if not hasattr(module, 'kernel_size'):
        return ''
    operation = 'x'.join(map(str, module.kernel_size))
    stride = getattr(module, 'stride', None) or getattr(module, 'strides', None) or 1
    if stride != 1:
        operation += f', stride {stride}'
    convolution = getattr(module, 'convolution', None)
    if isinstance(convolution, functools.partial) and convolution.func is fused.convolution_after:
        operation += f' after {convolution.args[0].__name__}'
    elif convolution is fused.convolution_before_mean_pool:
        operation += ', then mean_pool'
    return operation


def _shape(shape: tuple[int, ...]) -> str:
    return f'[{", ".join(map(str, ("B", *shape)))}]'
