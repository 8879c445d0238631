"""Seconds per round of each config's compiled program, without data set or disk.

    python benchmarks/rounds.py [--configs mnist_gan,mnist_wgan] [--rounds 5] [--batch_size 64]

Random images replace the data set. Prints the median over blocks of rounds, the seconds to compile, and the time of the check for
finite numbers that training adds to each call, as a share of a call of half a second, or of a round if that is longer.
"""

import argparse

import jax
from measuring import BLOCK_SECONDS, OurRounds, load_config, median_seconds, seconds_per_round

from wgan_jax.devices import compiling
from wgan_jax.training.not_finite import all_finite


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--configs', default='digits_gan,digits_wgan,digits_wgan_gp,mnist_gan,mnist_wgan,mnist_wgan_gp')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--batch_size', type=int)
    arguments = parser.parse_args()
    print(f'jax {jax.__version__} on {jax.device_count()} x {jax.devices()[0].device_kind}')
    print(f'{"config":22}{"batch":>6}{"seconds per round":>20}{"seconds to compile":>20}{"check, % of a call":>20}')
    check = compiling.compiled(all_finite)
    for name in arguments.configs.split(','):
        config = load_config(name, arguments.batch_size)
        rounds = OurRounds(config)
        seconds = seconds_per_round(rounds.run, arguments.rounds, 0.0)
        to_check = median_seconds(lambda state: bool(check(state)), rounds.state, calls=9)
        share = 100 * to_check / max(seconds, BLOCK_SECONDS)
        print(f'{name:22}{config.batch_size:6}{seconds:20.4f}{rounds.compile_seconds:20.1f}{share:20.2f}', flush=True)


if __name__ == '__main__':
    main()
