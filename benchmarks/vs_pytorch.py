"""Seconds per round of our configs and of the same rounds in PyTorch, on an otherwise idle machine.

    pip install torch
    python benchmarks/vs_pytorch.py [--configs celeba_wgan,mnist_gan] [--batch_size 64] [--repeats 5] [--rounds 3] [--no-compile]

A first pass finds the best of PyTorch: eager or torch.compile (on a GPU also with CUDA graphs), each with both memory layouts. Then
both sides take turns, each time in a new process. Prints medians and their ratio; below 1, ours is faster. Both sides compute full
rounds on random images that are already on the device. --dtypes float32,bfloat16 adds our key `dtype` against PyTorch's autocast;
--tf32 lets a GPU round the inputs of float32 products, on both sides.

    python benchmarks/vs_pytorch.py --check

compares the losses and gradients of both sides instead, with the same weights and inputs.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
from typing import Any

import numpy as np
from measuring import OurRounds, load_config, machine, random_images, seconds_per_round

CONFIGS = 'celeba_wgan,celeba_gan,celeba_wgan_gp,mnist_gan,mnist_wgan,mnist_wgan_gp'
OURS = 'ours'


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures one side of one config in this process."""
    config = load_config(arguments.configs, arguments.batch_size, arguments.dtypes if arguments.side == OURS else 'float32')
    if arguments.side == OURS:
        import jax

        if jax.default_backend() != 'cpu':
            jax.config.update('jax_default_matmul_precision', 'tensorfloat32' if arguments.tf32 else 'float32')
        rounds = OurRounds(config)
    else:
        import torch
        from pytorch_rounds import TorchRounds

        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = arguments.tf32
        torch.backends.cudnn.benchmark = True
        torch.set_flush_denormal(True)  # as XLA does
        mode, layout = arguments.side.split()
        rounds = TorchRounds(config, random_images(config), mode, layout == 'channels_last', arguments.dtypes)
    seconds = seconds_per_round(rounds.run, arguments.rounds, arguments.seconds)
    return {'seconds': seconds, 'parameters': rounds.num_parameters}


def in_process(arguments: argparse.Namespace, name: str, dtype: str, side: str, seconds: float) -> dict[str, Any] | None:
    """Runs measure() in a new process; returns None, and prints the last line of its errors, if it fails."""
    command = [sys.executable, __file__, f'--configs={name}', f'--dtypes={dtype}', f'--side={side}', f'--seconds={seconds}']
    command += [f'--rounds={arguments.rounds}', *(['--tf32'] if arguments.tf32 else [])]
    command += [f'--batch_size={arguments.batch_size}'] if arguments.batch_size else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f'  {side} failed: {(done.stderr.strip().splitlines() or ["no message"])[-1]}', flush=True)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def compare(arguments: argparse.Namespace, name: str, dtype: str) -> str:
    """Measures one config and returns its line of the table."""
    import torch

    batch_size = load_config(name, arguments.batch_size).batch_size
    cuda = torch.cuda.is_available()
    modes = ['eager', *([] if arguments.no_compile else ['compile', *(['reduce-overhead'] if cuda else [])])]
    found = {}
    for side in map(' '.join, itertools.product(modes, ('contiguous', 'channels_last'))):
        result = in_process(arguments, name, dtype, side, arguments.seconds / 2)
        if result:
            found[side] = result['seconds']
            print(f'  {name} {dtype}: PyTorch {side} {found[side]:.4f} s', flush=True)
    if not found:
        raise SystemExit(f'{name} cannot be measured in PyTorch.')
    best = min(found, key=found.__getitem__)
    times: dict[str, list[float]] = {OURS: [], best: []}
    counts = {}
    for side in [OURS, best] * arguments.repeats:
        result = in_process(arguments, name, dtype, side, arguments.seconds)
        if result is None:
            raise SystemExit(f'{name} cannot be measured.')
        times[side].append(result['seconds'])
        counts[side] = result['parameters']
        print(f'  {name} {dtype}: {side} {times[side][-1]:.4f} s', flush=True)
    if counts[OURS] != counts[best]:
        raise SystemExit(f'{name}: our networks have {counts[OURS]} parameters, and those in PyTorch {counts[best]}.')
    ours, theirs = (statistics.median(times[side]) for side in (OURS, best))
    return f'{name:18}{dtype:10}{batch_size:6}{ours:12.4f}{theirs:12.4f}{ours / theirs:8.2f}  {best}'


def check(name: str, batch_size: int) -> None:
    """Compares both losses and the norms of their gradients, ours and PyTorch's with our weights, and prints them."""
    import torch
    from flax.traverse_util import flatten_dict
    from pytorch_rounds import TorchRounds

    from tests.reference.pytorch_layout import load
    from wgan_jax.runs.build import build

    config = load_config(name, batch_size)
    state, images, generator = build(config).create_state(), random_images(config), np.random.default_rng(1)
    theirs = TorchRounds(config, images, 'eager', False, 'float32')
    for player, ours in ((theirs.generator, state.generator), (theirs.critic, state.critic)):
        load(player, flatten_dict({'params': ours.params, 'batch_stats': ours.batch_stats}, sep='/'))
    for layer in theirs.critic.modules():  # the two libraries draw different masks
        layer.train(not isinstance(layer, torch.nn.Dropout))
    indices = generator.integers(0, len(images), batch_size)
    latents = generator.normal(size=(batch_size, config.latent_dim)).astype(np.float32)
    alpha = generator.random((batch_size, 1, 1, 1), np.float32)
    indices_of, latents_of, alpha_of = (torch.from_numpy(array).to(theirs.device) for array in (indices, latents, alpha))
    losses = [theirs.critic_loss(indices_of, latents_of, alpha_of)]
    losses[0].backward()
    norms = [_norm(parameter.grad.cpu().numpy() for parameter in theirs.critic.parameters())]
    losses.append(theirs.generator_loss(latents_of))
    losses[1].backward()
    norms.append(_norm(parameter.grad.cpu().numpy() for parameter in theirs.generator.parameters()))
    measured = [value.item() for value in losses] + norms
    expected = _our_losses(state, config, images[indices], latents, alpha)
    print(f'{name:18}{"ours":9}' + ''.join(f'{value:16.8f}' for value in expected))
    print(f'{name:18}{"PyTorch":9}' + ''.join(f'{value:16.8f}' for value in measured), flush=True)
    np.testing.assert_allclose(measured, expected, rtol=2e-3, atol=1e-5)


def _our_losses(state: Any, config: Any, real: np.ndarray, latents: np.ndarray, alpha: np.ndarray) -> list[float]:
    import jax

    from wgan_jax.algorithm import losses, steps

    loss, real = losses.LOSSES[config.loss], steps.to_float(jax.numpy.asarray(real))

    def apply(player: Any, params: Any, inputs: jax.Array, train: bool) -> jax.Array:
        variables = {'params': params, 'batch_stats': player.batch_stats}
        return player.apply_fn(variables, inputs, train=train, mutable=['batch_stats'])[0]

    def score(params: Any, images: jax.Array) -> jax.Array:
        return apply(state.critic, params, images, train=bool(state.critic.batch_stats))  # without dropout

    def fakes(params: Any) -> jax.Array:
        return apply(state.generator, params, latents, train=True)

    def critic_loss(params: Any, generator: Any) -> jax.Array:
        fake = fakes(generator)
        total = loss.critic(score(params, real), score(params, fake))
        if config.gp_weight:
            points = losses.interpolate(real, fake, alpha)
            total += config.gp_weight * losses.gradient_penalty(lambda images: score(params, images), points)
        return total

    def generator_loss(params: Any, critic: Any) -> jax.Array:
        return loss.generator(score(critic, fakes(params)))

    values, gradients = zip(
        jax.jit(jax.value_and_grad(critic_loss))(state.critic.params, state.generator.params),
        jax.jit(jax.value_and_grad(generator_loss))(state.generator.params, state.critic.params),
        strict=True,
    )
    return [*map(float, values), *(_norm(jax.tree.leaves(tree)) for tree in gradients)]


def _norm(arrays: Any) -> float:
    return float(np.sqrt(sum(np.sum(np.square(array, dtype=np.float64)) for array in arrays)))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--configs', default=CONFIGS)
    parser.add_argument('--batch_size', type=int, help="default: the config's")
    parser.add_argument('--dtypes', default='float32')
    parser.add_argument('--repeats', type=int, default=5, help='turns of each side')
    parser.add_argument('--rounds', type=int, default=3, help='minimum rounds of a turn')
    parser.add_argument('--seconds', type=float, default=4.0, help='minimum seconds of a turn')
    parser.add_argument('--no-compile', action='store_true', help='without torch.compile')
    parser.add_argument('--tf32', action='store_true')
    parser.add_argument('--check', action='store_true')
    parser.add_argument('--side', help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(measure(arguments)))
        return
    if arguments.check:
        print(f'{"":27}{"critic loss":>16}{"generator loss":>16}{"critic gradient":>16}{"gen. gradient":>16}')
        for name in arguments.configs.split(','):
            check(name, arguments.batch_size or 8)
        return
    import jax
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else machine()
    print(f'jax {jax.__version__}, torch {torch.__version__} with {torch.get_num_threads()} threads; {device}')
    if os.getloadavg()[0] > 0.5:
        print(f'Warning: the machine is busy (load {os.getloadavg()[0]:.1f}), so the numbers are not reliable.')
    lines = []
    for name, dtype in itertools.product(arguments.configs.split(','), arguments.dtypes.split(',')):
        lines.append(compare(arguments, name, dtype))
    print(f'{"config":18}{"dtype":10}{"batch":>6}{"ours, s":>12}{"PyTorch, s":>12}{"ratio":>8}  best in PyTorch')
    print('\n'.join(lines))


if __name__ == '__main__':
    main()
