"""Trains every case of cases.py in PyTorch, and writes the expected results for tests/reference/test_reference.py.

    pip install torch
    python -m tests.reference.make_fixtures [--only NAME]

Layers, losses, optimizers and gradients are PyTorch's own. There is one .npz file per network. It has the initial weights, latents
and alphas in float32, so that they are the same in both precisions, the images, and the random numbers of dropout. For each
objective and number of critic updates it has results computed in float64: after each round every loss, the norms of the gradients,
and three checksums and a sample of each player's parameters and running statistics; the gradients of each player's first update;
at the end the outputs of both players in inference mode.
"""

import argparse
import collections
import itertools

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from tests.reference import cases
from tests.reference.pytorch_bounded import MaxMin
from tests.reference.pytorch_layout import in_our_layout, load
from tests.reference.pytorch_training import (
    Training,
    Variables,
    frozen_statistics,
    give_masks,
    images_of,
    masked_layers,
    players_of,
)

SEED = 20170126  # the day on which Wasserstein GAN appeared on arXiv


def variables_of(player: nn.Module, values_of_norm: dict[str, int]) -> Variables:
    """Parameters and running statistics, in our layout.

    PyTorch's running variance is the sample variance, sum / (n - 1); ours and TensorFlow's is sum / n. Each update is linear in it,
    so ours follows from PyTorch's: if ours is (1 - m)^k + s_k after k updates, PyTorch's is (1 - m)^k + n / (n - 1) * s_k.

    Args:
      player: the network.
      values_of_norm: for each layer of batch norm, the number n of values in a mean.
    """
    layers = [layer for layer in player.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    result = {}
    for name, tensor, to_ours in in_our_layout(player):
        values = to_ours(tensor.detach()).numpy().copy()
        if name.endswith('/var'):
            layer, n = layers[int(name.split('/')[1].split('_')[1])], values_of_norm[name]
            start = (1 - layer.momentum) ** layer.num_batches_tracked.item()
            values = start + (values - start) * (n - 1) / n
        result[name] = values
    return result


def count_values_of_norms(player: nn.Module, inputs: torch.Tensor) -> dict[str, int]:
    """{name of a running variance: number of values in each of its variances}."""
    counts: list[int] = []

    def count(layer: nn.Module, arguments: tuple[torch.Tensor], output: torch.Tensor) -> None:
        counts.append(arguments[0].numel() // layer.num_features)

    layers = [layer for layer in player.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad(), frozen_statistics(player):
        player(inputs)
    for hook in hooks:
        hook.remove()
    return {f'batch_stats/BatchNorm_{i}/var': n for i, n in enumerate(counts)}


def make_inputs(networks: cases.Networks) -> Variables:
    """Initial weights and all inputs of training, float32, with the first seed that keeps activations off the kink of ReLU.

    If an activation is within rounding of zero, float32 may have the other sign, and so another gradient.
    """
    for seed in itertools.count(SEED):
        players, inputs = _draw_inputs(networks, seed)
        points = _scale_slopes(*players, inputs)
        if _distance_to_kinks(*players, inputs, points) > 1e-5:
            break
    for prefix, player in zip(cases.PLAYERS, players, strict=True):
        for name, tensor, to_ours in in_our_layout(player):
            inputs[f'{prefix}/{name}'] = to_ours(tensor.detach()).numpy().copy()
    return inputs


def _draw_inputs(networks: cases.Networks, seed: int) -> tuple[tuple[nn.Module, nn.Module], Variables]:
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    n_critic = max(networks.n_critics)
    steps, updates = (networks.rounds, n_critic), (networks.rounds, n_critic + 1)
    inputs = {
        'pixels': draw.integers(0, 256, (*steps, networks.batch_size, *networks.image_shape)).astype(np.uint8),
        'latents': draw.normal(size=(*updates, networks.batch_size, cases.LATENT_DIM)).astype(np.float32),
        'alpha': draw.random((*steps, networks.batch_size), np.float32),
    }
    players = players_of(networks)
    passes = (networks.rounds, cases.PASSES * n_critic + 1, networks.batch_size)
    for i, shape in enumerate(_shapes_of_masks(players[1], networks)):
        inputs[f'dropout/{i}'] = draw.integers(0, 256, (*passes, *shape)).astype(np.uint8)
    for player in players:
        for name, tensor, _ in in_our_layout(player):
            if name.endswith(('scale', 'bias')):  # with equal values an exchange of two would not be noticed
                nn.init.normal_(tensor, float(name.endswith('scale')), 0.1)
    return players, inputs


def _shapes_of_masks(critic: nn.Module, networks: cases.Networks) -> list[tuple[int, ...]]:
    """The shape of one example in each layer of dropout, channels last; none without dropout."""
    shapes: list[tuple[int, ...]] = []
    if not networks.dropout:
        return shapes
    hooks = [
        layer.register_forward_hook(lambda layer, inputs, output: shapes.append(tuple(inputs[0][0].movedim(0, -1).shape)))
        for layer in masked_layers(critic)
    ]
    with torch.no_grad(), frozen_statistics(critic):
        height, width, channels = networks.image_shape
        critic(torch.zeros(2, channels, height, width))
    for hook in hooks:
        hook.remove()
    return shapes


def _distance_to_kinks(generator: nn.Module, critic: nn.Module, inputs: Variables, points: torch.Tensor) -> float:
    """The smallest absolute input of a ReLU, or difference of a pair in MaxMin, in the first updates, relative to its layer."""
    smallest = []

    def measure(layer: nn.Module, arguments: tuple[torch.Tensor]) -> None:
        values = arguments[0].unflatten(1, (-1, 2)).diff(dim=2) if isinstance(layer, MaxMin) else arguments[0]
        smallest.append((values.abs().min() / arguments[0].square().mean().sqrt()).item())

    for layer in itertools.chain(generator.modules(), critic.modules()):
        if isinstance(layer, nn.ReLU | nn.LeakyReLU | MaxMin):
            layer.register_forward_pre_hook(measure)
    with torch.no_grad(), frozen_statistics(generator), frozen_statistics(critic):
        latents = torch.from_numpy(inputs['latents'][0])
        batches = [images_of(inputs)[0, 0], generator(latents[0]), points, generator(latents[-1])]
        for number, batch in zip((0, 1, 2, -1), batches, strict=True):
            give_masks(critic, cases.below(inputs, 'dropout'), 0, number)
            critic(batch)
    return min(smallest)


def _scale_slopes(generator: nn.Module, critic: nn.Module, inputs: Variables) -> torch.Tensor:
    """Scales the critic's weights until half of its slopes are above 1, so that a one-sided penalty ignores the other half.

    A critic whose layers bound its slopes stays as it is.

    Returns:
      The points at which the slopes are taken.
    """
    real, latents, alpha = images_of(inputs)[0, 0], *(torch.from_numpy(inputs[name][0, 0]) for name in ('latents', 'alpha'))
    with torch.no_grad(), frozen_statistics(generator):
        points = torch.lerp(real, generator(latents), alpha.view(-1, 1, 1, 1))
    points.requires_grad_(True)
    if any(parametrize.is_parametrized(layer) for layer in critic.modules()):
        return points.detach()
    give_masks(critic, cases.below(inputs, 'dropout'), 0, 2)
    weights = [layer.weight for layer in critic.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    median = 0.0
    while abs(median - 1) > 0.01:
        with frozen_statistics(critic):
            (gradients,) = torch.autograd.grad(critic(points).sum(), points)
        median = gradients.flatten(1).norm(dim=1).quantile(0.5).item()
        with torch.no_grad():
            for weight in weights:
                weight /= median ** (1 / len(weights))
    return points.detach()


def run(inputs: Variables, networks: cases.Networks, objective: cases.Objective, n_critic: int) -> Variables:
    """The results of one case."""
    training = Training(inputs, networks, objective)
    players, result = training.players(), {}
    batch = {
        'generator': torch.from_numpy(inputs['latents'][0, 0]).double(),
        'critic': images_of(inputs)[0, 0].double(),
    }
    counts = {name: count_values_of_norms(player, batch[name]) for name, player in players.items()}
    numbers, summaries = [], collections.defaultdict(list)
    for number in range(networks.rounds):
        numbers.append(training.round(number, n_critic))
        for name, player in players.items():
            variables = variables_of(player, counts[name])
            summaries[f'{name}/params'].append(cases.summary(cases.below(variables, 'params')))
            if statistics := cases.below(variables, 'batch_stats'):
                summaries[f'{name}/batch_stats'].append(cases.summary(statistics))
            if number == 0 and n_critic == 1:
                result[f'{name}/first_gradients'] = cases.summary(training.gradients[name])
                for leaf, values in training.gradients[name].items():
                    result[f'{name}/gradients/{leaf}'] = values.astype(np.float32)
    for name, player in players.items():
        load(player, variables_of(player, counts[name]))
        with torch.no_grad():
            outputs = player.eval()(batch[name])
        result[f'{name}/eval'] = (outputs.movedim(1, -1) if outputs.ndim > 1 else outputs).reshape(-1)[: cases.SAMPLE].numpy()
    return {'numbers': np.array(numbers), **result, **{name: np.array(rows) for name, rows in summaries.items()}}


def main() -> None:
    """Writes the fixtures."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--only', choices=cases.NETWORKS, help='write one of the files')
    only = parser.parse_args().only
    cases.FIXTURES.mkdir(exist_ok=True)
    torch.set_num_threads(1)  # for the same order of summation on every machine
    for name in [only] if only else cases.NETWORKS:
        networks = cases.NETWORKS[name]
        inputs = make_inputs(networks)
        arrays = {f'inputs/{key}': values for key, values in inputs.items()}
        objectives = [objective for other, objective in cases.pairs() if other == name]
        for objective, n_critic in itertools.product(objectives, networks.n_critics):
            result = run(inputs, networks, cases.OBJECTIVES[objective], n_critic)
            arrays |= {f'{objective}/{n_critic}/{key}': values for key, values in result.items()}
        path = cases.FIXTURES / f'{name}.npz'
        np.savez_compressed(path, **arrays)
        print(f'{path.name}: {path.stat().st_size / 1e3:.0f} kB')


if __name__ == '__main__':
    main()
