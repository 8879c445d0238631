"""Seconds per round of each config's compiled program, without data set or disk.

    python benchmarks/rounds.py [--configs mnist_gan,mnist_wgan] [--rounds 5] [--batch_size 64]

Random images stand in for the data set. Prints the median over blocks of rounds, after those that warm up, and the seconds that
compiling took.
"""

import argparse

import jax
from measuring import OurRounds, load_config, seconds_per_round


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--configs', default='digits_gan,digits_wgan,digits_wgan_gp,mnist_gan,mnist_wgan,mnist_wgan_gp')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--batch_size', type=int)
    arguments = parser.parse_args()
    print(f'jax {jax.__version__} on {jax.device_count()} x {jax.devices()[0].device_kind}')
    print(f'{"config":22}{"batch":>6}{"seconds per round":>20}{"seconds to compile":>20}')
    for name in arguments.configs.split(','):
        config = load_config(name, arguments.batch_size)
        rounds = OurRounds(config)
        seconds = seconds_per_round(rounds.run, arguments.rounds, 0.0)
        print(f'{name:22}{config.batch_size:6}{seconds:20.4f}{rounds.compile_seconds:20.1f}', flush=True)


if __name__ == '__main__':
    main()
