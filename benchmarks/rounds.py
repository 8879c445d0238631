"""Seconds per round of each config's compiled program, without data set or disk.

    python benchmarks/rounds.py [--configs mnist_gan,mnist_wgan] [--rounds 5] [--batch_size 64]

Random images stand in for the data set. Prints the median over the rounds, one call each, after the one that warms up, and the
seconds that compiling took.
"""

import argparse
import importlib
import statistics
import sys
import time
from pathlib import Path

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from wgan_jax import parallel, steps
from wgan_jax.data import source_of
from wgan_jax.data.plan import index_plan
from wgan_jax.experiment import make_experiment

NUM_IMAGES = 4096


def measure(name: str, rounds: int, batch_size: int | None) -> tuple[float, float, int]:
    """(seconds per round, seconds to compile, batch size) of configs/<name>.py."""
    config = importlib.import_module(f'configs.{name}').get_config()
    if batch_size:
        config.batch_size = batch_size
    experiment = make_experiment(config)
    shape = (NUM_IMAGES, *source_of(config.data).image_shape)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    state, sums, images, key = parallel.replicate(
        (experiment.create_state(), steps.zero_sums(config.gp_weight), images, experiment.train_key)
    )
    indices = parallel.split_batch(index_plan(0, 0, 1, config.n_critic, config.batch_size, NUM_IMAGES))
    began = time.perf_counter()
    run = parallel.map_rounds(steps.train_rounds, **experiment.round_settings)
    run = run.lower(state, sums, images, indices, np.int32(1), key).compile()
    compile_seconds = time.perf_counter() - began
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        state, sums = run(state, sums, images, indices, np.int32(1), key)
        jax.block_until_ready(sums)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:]), compile_seconds, config.batch_size


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--configs', default='digits_gan,digits_wgan,digits_wgan_gp,mnist_gan,mnist_wgan,mnist_wgan_gp')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--batch_size', type=int)
    arguments = parser.parse_args()
    print(f'jax {jax.__version__} on {jax.device_count()} x {jax.devices()[0].device_kind}')
    print(f'{"config":18}{"batch":>6}{"seconds per round":>20}{"seconds to compile":>20}')
    for name in arguments.configs.split(','):
        seconds, compile_seconds, batch_size = measure(name, arguments.rounds, arguments.batch_size)
        print(f'{name:18}{batch_size:6}{seconds:20.4f}{compile_seconds:20.1f}', flush=True)


if __name__ == '__main__':
    main()
