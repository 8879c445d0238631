"""Our convolution for CPU against XLA's own, layer by layer, outside and inside a loop.

    python benchmarks/convolutions.py [--batch 64]

Prints milliseconds, the median of five: the output and both gradients, of each convolution of the MNIST networks. Both are
timed in the same run, one after the other; compare them with each other, not with another machine. The last column is XLA's
time over ours, inside a loop, where training runs.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
from jax import lax

sys.path.insert(0, str(Path(__file__).parent.parent))
from wgan_jax.ops import convolution_on_cpu

LAYERS = {  # name: (side, channels, filters, kernel size, stride)
    'UpsampleCNN critic 1': (28, 1, 16, 3, 1),
    'UpsampleCNN critic 3': (7, 32, 64, 3, 1),
    'UpsampleCNN generator 1': (14, 256, 128, 3, 1),
    'UpsampleCNN generator 2': (28, 128, 64, 3, 1),
    'KerasCNN critic 2': (16, 64, 128, 5, 2),
    'KerasCNN critic 3': (8, 128, 256, 5, 2),
    'KerasCNN critic 4': (4, 256, 512, 5, 2),
}


def training(function: Callable[..., jax.Array], stride: int, loop: bool) -> Callable[..., jax.Array]:
    """Output and both gradients; `loop` puts them into a loop whose number of turns is an argument, as in training."""

    def value(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
        outputs = function(inputs, kernel, (stride, stride), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
        return jnp.sum(outputs**2)

    def once(inputs: jax.Array, kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.grad(value, argnums=(0, 1))(inputs, kernel)

    def looped(inputs: jax.Array, kernel: jax.Array, turns: int) -> tuple[jax.Array, jax.Array]:
        return lax.fori_loop(0, turns, lambda _, gradients: once(*gradients), (inputs, kernel))

    return jax.jit(looped if loop else once)


def milliseconds(function: Callable[..., jax.Array], *arguments: object) -> float:
    """Median of five calls, after two that warm up."""
    times = []
    for _ in range(7):
        began = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times[2:])


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--batch', type=int, default=64)
    batch = parser.parse_args().batch
    print(f'jax {jax.__version__}, {jax.default_backend()}, batch {batch}; milliseconds for output and gradients')
    print(f'{"layer":26}{"XLA":>10}{"ours":>10}{"XLA, loop":>12}{"ours, loop":>12}{"ratio":>8}')
    for name, (side, channels, filters, size, stride) in LAYERS.items():
        inputs = jax.random.normal(jax.random.key(0), (batch, side, side, channels))
        kernel = jax.random.normal(jax.random.key(1), (size, size, channels, filters)) / 100.0
        row = [
            milliseconds(training(function, stride, loop), inputs, kernel, *([1] if loop else []))
            for loop in (False, True)
            for function in (lax.conv_general_dilated, convolution_on_cpu)
        ]
        print(f'{name:26}{row[0]:10.1f}{row[1]:10.1f}{row[2]:12.1f}{row[3]:12.1f}{row[2] / row[3]:8.1f}', flush=True)


if __name__ == '__main__':
    main()
