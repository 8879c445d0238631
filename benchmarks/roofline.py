"""Each config's rounds against the limits of the machine: operations, bytes and seconds.

    python benchmarks/roofline.py [--configs celeba_wgan,mnist_gan] [--batch_size 64] [--rounds 3]

Operations are counted twice. "GFLOP" counts convolutions and dense layers by their definition, from the shapes of inputs and
outputs, with a multiplication and its addition as two operations. Taps that fall on padding or outside the output of a transposed
convolution are included, and what wgan_jax/convolutions saves is not subtracted, so a share can exceed 100 %. With F the
operations of one forward pass of a batch through a player, and F1 those of its first layer:

    critic step      generator forward                 F(generator)
                     real and fake: forward, gradients 2 x (3 F(critic) - F1(critic))
                     of weights and of inputs except
                     images
                     penalty: forward, gradient of     4 F(critic)
                     images, and both derivatives of
                     each product of that gradient
                     (layer norm: the forward pass of the penalty is differentiated too: + 2 F(critic) - F1(critic))
    generator step   generator forward and backward    3 F(generator) - F1(generator)
                     critic forward, gradient of       2 F(critic)
                     images

The activations are piecewise linear, so without layer norm no other part of the penalty has a derivative.

"XLA" is the cost analysis of one compiled critic step and one compiled generator step, separately, because XLA counts the body of
a loop once. It includes other layers and the optimizers, and leaves out taps on padding and calls to libraries. Its bytes are those
that each fused operation reads and writes. Data in a cache are read faster than the copies that give the machine's rate, so the
seconds by bytes are a guide and not a bound: measured seconds can be fewer.
"""

import argparse
import functools
import inspect
import math
import time
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from measuring import OurRounds, load_config, machine, seconds_per_round

from wgan_jax.algorithm import steps
from wgan_jax.algorithm.state import GANState, PlayerState
from wgan_jax.runs.build import build

CONFIGS = 'celeba_wgan,celeba_gan,celeba_wgan_gp,mnist_gan,mnist_wgan,mnist_wgan_gp'


def layer_operations(player: PlayerState, inputs: jax.ShapeDtypeStruct) -> list[int]:
    """Operations of each layer with a kernel in one forward pass, in the order of the calls."""
    counts = []

    def count(call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        outputs = call(*args, **kwargs)
        kernel = context.module.variables.get('params', {}).get('kernel') if context.method_name == '__call__' else None
        if kernel is not None:
            # An output of a convolution or dense layer sums over the other axes of the kernel; an input of a transposed
            # convolution contributes to as many outputs.
            transposed = 'Transpose' in type(context.module).__name__
            places = math.prod((args[0] if transposed else outputs).shape[:-1])
            counts.append(2 * places * math.prod(kernel.shape))
        return outputs

    variables = {'params': player.params, 'batch_stats': player.batch_stats}
    with nn.intercept_methods(count):
        jax.eval_shape(functools.partial(player.apply_fn, train=False), variables, inputs)
    return counts


def counted(state: GANState, config: Any, images: jax.ShapeDtypeStruct) -> int:
    """Operations of a round, by the formula in the docstring of the module."""
    latents = jax.ShapeDtypeStruct((config.batch_size, config.latent_dim), jnp.float32)
    of_generator, of_critic = layer_operations(state.generator, latents), layer_operations(state.critic, images)
    generator, critic = sum(of_generator), sum(of_critic)
    critic_step = generator + 2 * (3 * critic - of_critic[0])
    if config.gp_weight:
        critic_step += 4 * critic
        if any('LayerNorm' in name for name in state.critic.params):
            critic_step += 2 * critic - of_critic[0]
    return config.n_critic * critic_step + 3 * generator - of_generator[0] + 2 * critic


def analysed(state: GANState, config: Any, images: jax.ShapeDtypeStruct) -> tuple[float, float]:
    """(operations, bytes) of a round, by XLA."""
    experiment = build(config)
    key, settings = experiment.train_key, experiment.round_settings

    def cost(step: Callable[..., Any], *arguments: Any, **others: Any) -> tuple[float, float]:
        known = inspect.signature(step).parameters
        step = functools.partial(step, **{name: value for name, value in settings.items() if name in known}, **others)
        analysis = jax.jit(step, donate_argnums=0).lower(*arguments).compile().cost_analysis()
        return analysis.get('flops', math.nan), analysis.get('bytes accessed', math.nan)

    critic = cost(steps.critic_step, state, images, key)
    generator = cost(steps.generator_step, state, key, batch_size=config.batch_size)
    return tuple(config.n_critic * one + other for one, other in zip(critic, generator, strict=True))


def best_seconds(function: Callable[..., jax.Array], *arguments: jax.Array, least: float = 1.0) -> float:
    """Seconds of the fastest call, from at least 3 calls and `least` seconds, after one that compiles."""
    function = jax.jit(function)
    jax.block_until_ready(function(*arguments))
    times = []
    while len(times) < 3 or sum(times) < least:
        began = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - began)
    return min(times)


def machine_rates() -> tuple[float, float]:
    """(operations per second of the fastest float32 matrix product, bytes per second that a copy reads and writes)."""
    products = []
    for size in (512, 1024, 2048) if jax.default_backend() == 'cpu' else (4096, 8192, 16384):
        matrix = jnp.ones((size, size))
        products.append(2 * size**3 / best_seconds(jnp.matmul, matrix, matrix))
    array, repeats = jnp.ones(2**26), 10  # larger than any cache; the first copy goes to memory that is not mapped yet

    def copies(values: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, repeats, lambda _, x: 0.5 * x + 1.0, values)

    return max(products), 2 * array.nbytes * repeats / best_seconds(copies, array)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--configs', default=CONFIGS)
    parser.add_argument('--batch_size', type=int, help="default: the config's")
    parser.add_argument('--rounds', type=int, default=3, help='minimum number of rounds to time')
    parser.add_argument('--seconds', type=float, default=4.0, help='minimum number of seconds to time')
    arguments = parser.parse_args()
    cpu = jax.default_backend() == 'cpu'
    print(f'jax {jax.__version__}; {machine() if cpu else jax.devices()[0].device_kind}')
    rate, bandwidth = machine_rates()
    print(f'float32 matrix products: {rate / 1e9:.0f} GFLOP/s; copies: {bandwidth / 1e9:.1f} GB/s.')
    titles = ('batch', 'GFLOP', 'XLA GFLOP', 'XLA GB', 'seconds', 'GFLOP/s', 'share', 'by FLOP, s', 'by bytes, s')
    print(f'{"a round of":18}{titles[0]:>6}' + ''.join(f'{title:>12}' for title in titles[1:]))
    for name in arguments.configs.split(','):
        config = load_config(name, arguments.batch_size)
        experiment = build(config)
        images = jax.ShapeDtypeStruct((config.batch_size, *experiment.data.source.image_shape), jnp.float32)
        state = jax.eval_shape(experiment.create_state)
        operations = counted(state, config, images)
        xla_operations, xla_bytes = analysed(state, config, images)
        seconds = seconds_per_round(OurRounds(config).run, arguments.rounds, arguments.seconds)
        print(
            f'{name:18}{config.batch_size:6}{operations / 1e9:12.2f}{xla_operations / 1e9:12.2f}{xla_bytes / 1e9:12.2f}'
            f'{seconds:12.4f}{operations / seconds / 1e9:12.1f}{operations / seconds / rate:12.0%}'
            f'{operations / rate:12.4f}{xla_bytes / bandwidth:12.4f}',
            flush=True,
        )


if __name__ == '__main__':
    main()
