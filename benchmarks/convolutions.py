"""Our convolutions for CPU against XLA's, layer by layer, outside and inside a loop.

    python benchmarks/convolutions.py [--batch 64] [--only DCGAN]

Prints milliseconds for the output and both gradients of each convolution of the MNIST networks and of DCGAN for 64x64 images, the
median of five calls. Both are timed in the same run, one after the other; compare them only with each other. The last column is
XLA's time divided by ours inside a loop, where training runs.
"""

import argparse
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from measuring import median_seconds

from wgan_jax.convolutions.cpu import convolution_on_cpu, transposed_convolution_of_xla, transposed_convolution_on_cpu

LAYERS = {  # name: (side, channels, filters, kernel size, stride)
    'UpsampleCNN critic 1': (28, 1, 16, 3, 1),
    'UpsampleCNN critic 3': (7, 32, 64, 3, 1),
    'UpsampleCNN generator 1': (14, 256, 128, 3, 1),
    'UpsampleCNN generator 2': (28, 128, 64, 3, 1),
    'KerasCNN critic 2': (16, 64, 128, 5, 2),
    'KerasCNN critic 3': (8, 128, 256, 5, 2),
    'KerasCNN critic 4': (4, 256, 512, 5, 2),
    'DCGAN critic 1': (64, 3, 64, 4, 2),
    'DCGAN critic 2': (32, 64, 128, 4, 2),
    'DCGAN critic 3': (16, 128, 256, 4, 2),
    'DCGAN critic 4': (8, 256, 512, 4, 2),
}
TRANSPOSED = {  # name: (side, channels, filters), each with a 4x4 kernel, stride 2 and padding 1
    'DCGAN generator 2': (4, 512, 256),
    'DCGAN generator 3': (8, 256, 128),
    'DCGAN generator 4': (16, 128, 64),
    'DCGAN generator 5': (32, 64, 3),
}
Convolution = Callable[[jax.Array, jax.Array], jax.Array]


def strided(function: Callable[..., jax.Array], stride: int) -> Convolution:
    numbers = ('NHWC', 'HWIO', 'NHWC')
    return lambda inputs, kernel: function(inputs, kernel, (stride, stride), 'SAME', dimension_numbers=numbers)


def transposed(function: Callable[..., jax.Array]) -> Convolution:
    return lambda inputs, kernel: function(inputs, kernel, 2, 1)


def training(function: Convolution, loop: bool) -> Callable[..., jax.Array]:
    """Output and both gradients; with `loop`, in a loop whose number of turns is an argument, as in training."""

    def value(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.sum(function(inputs, kernel) ** 2)

    def once(inputs: jax.Array, kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.grad(value, argnums=(0, 1))(inputs, kernel)

    def looped(inputs: jax.Array, kernel: jax.Array, turns: int) -> tuple[jax.Array, jax.Array]:
        return lax.fori_loop(0, turns, lambda _, gradients: once(*gradients), (inputs, kernel))

    compiled = jax.jit(looped if loop else once)
    return lambda *arguments: jax.block_until_ready(compiled(*arguments))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--batch', type=int, default=64)
    parser.add_argument('--only', default='', help='only layers with this in their name')
    options = parser.parse_args()
    print(f'jax {jax.__version__}, {jax.default_backend()}, batch {options.batch}; milliseconds for output and gradients')
    print(f'{"layer":26}{"XLA":>10}{"ours":>10}{"XLA, loop":>12}{"ours, loop":>12}{"ratio":>8}')
    for name, (side, channels, filters, size, stride) in LAYERS.items():
        if options.only in name:
            both = [strided(function, stride) for function in (lax.conv_general_dilated, convolution_on_cpu)]
            compare(name, both, (options.batch, side, side, channels), (size, size, channels, filters))
    for name, (side, channels, filters) in TRANSPOSED.items():
        if options.only in name:
            both = [transposed(function) for function in (transposed_convolution_of_xla, transposed_convolution_on_cpu)]
            compare(name, both, (options.batch, side, side, channels), (4, 4, channels, filters))


def compare(name: str, both: list[Convolution], inputs_shape: tuple[int, ...], kernel_shape: tuple[int, ...]) -> None:
    """Prints one line: XLA's convolution and ours, outside and inside a loop."""
    inputs = jax.random.normal(jax.random.key(0), inputs_shape)
    kernel = jax.random.normal(jax.random.key(1), kernel_shape) / 100.0
    row = [
        1000 * median_seconds(training(function, loop), inputs, kernel, *([1] if loop else []))
        for loop in (False, True)
        for function in both
    ]
    print(f'{name:26}{row[0]:10.1f}{row[1]:10.1f}{row[2]:12.1f}{row[3]:12.1f}{row[2] / row[3]:8.1f}', flush=True)


if __name__ == '__main__':
    main()
