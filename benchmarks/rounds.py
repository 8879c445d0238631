"""Seconds per round of each config's compiled program, without data set or disk.

    python benchmarks/rounds.py [--configs mnist_gan,mnist_wgan] [--rounds 5] [--batch_size 64]

Random images stand in for the data set. Prints the median over blocks of rounds, after those that warm up, the seconds that
compiling took, and what training adds to each call: to see whether all numbers are finite, as a share of half a second or of a
round that takes longer.
"""

import argparse
import statistics
import time

import jax
from measuring import BLOCK_SECONDS, OurRounds, load_config, seconds_per_round

from wgan_jax.algorithm import steps
from wgan_jax.devices import compiling


def seconds_to_check(state: object) -> float:
    """Median of what one look at all numbers of the state takes."""
    all_finite, times = compiling.compiled(steps.all_finite), []
    bool(all_finite(state))
    for _ in range(9):
        began = time.perf_counter()
        bool(all_finite(state))
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--configs', default='digits_gan,digits_wgan,digits_wgan_gp,mnist_gan,mnist_wgan,mnist_wgan_gp')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--batch_size', type=int)
    arguments = parser.parse_args()
    print(f'jax {jax.__version__} on {jax.device_count()} x {jax.devices()[0].device_kind}')
    print(f'{"config":22}{"batch":>6}{"seconds per round":>20}{"seconds to compile":>20}{"check, % of a call":>20}')
    for name in arguments.configs.split(','):
        config = load_config(name, arguments.batch_size)
        rounds = OurRounds(config)
        seconds = seconds_per_round(rounds.run, arguments.rounds, 0.0)
        share = 100 * seconds_to_check(rounds.state) / max(seconds, BLOCK_SECONDS)
        print(f'{name:22}{config.batch_size:6}{seconds:20.4f}{rounds.compile_seconds:20.1f}{share:20.2f}', flush=True)


if __name__ == '__main__':
    main()
