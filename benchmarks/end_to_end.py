"""Images per second of the whole training program, relative to its compiled rounds alone.

    python benchmarks/end_to_end.py --celeba=DIR --mnist=DIR [--configs celeba_wgan,mnist_wgan] [--repeats 3] [--seconds 20]

DIR is the value of --config.data.manual_dir. The program reads the data set, and logs, draws and saves as usual; its rate is taken
from metrics.jsonl, from the middle of the run to the end. The rounds alone use random images on the device. Both take turns in one
process, and each run of the program is compared with the mean of the rounds before and after it. The table has the median of the
rates and of these shares; a share of 1 means that the rounds never wait.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from measuring import OurRounds, load_config, seconds_per_round
from ml_collections import ConfigDict

from wgan_jax.runs.build import build
from wgan_jax.runs.record import read_metrics
from wgan_jax.training import trainer

PLACEMENTS = ('device', 'host')


def program_rate(config: ConfigDict, placement: str, rounds: int) -> float:
    """Images per second of the training program over `rounds` rounds, after as many."""
    config.num_steps = 2 * rounds
    config.log_every = rounds
    config.data.placement = placement
    with tempfile.TemporaryDirectory() as workdir:
        trainer.train(build(config), workdir)
        lines = read_metrics(Path(workdir))
    return rounds * config.n_critic * config.batch_size / (lines[-1]['seconds'] - lines[-2]['seconds'])


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--configs', default='mnist_gan,mnist_wgan,celeba_gan,celeba_wgan')
    parser.add_argument('--mnist')
    parser.add_argument('--celeba')
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=20.0)
    arguments = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as data_dir:
        for name in arguments.configs.split(','):
            config = load_config(name, None)
            config.data.manual_dir, config.data.dir = vars(arguments).get(name.split('_')[0]), data_dir
            rounds, images = OurRounds(config), config.n_critic * config.batch_size

            def rounds_rate(rounds: OurRounds = rounds, images: int = images) -> float:
                return images / seconds_per_round(rounds.run, 3, arguments.seconds)

            rates = [rounds_rate()]
            length = max(3, int(arguments.seconds * rates[0] / images))
            for placement in PLACEMENTS * arguments.repeats:
                rates += [program_rate(config, placement, length), rounds_rate()]
            shares = [2.0 * rates[i] / (rates[i - 1] + rates[i + 1]) for i in range(1, len(rates), 2)]
            columns = [f'{statistics.median(rates[0::2]):16.0f}']
            columns += [f'{statistics.median(rates[1 + 2 * i :: 4]):10.0f}' for i in range(2)]
            columns += [f'{statistics.median(shares[i::2]):15.3f}' for i in range(2)]
            lines.append(f'{name:18}{"".join(columns)}   {" ".join(f"{share:.2f}" for share in shares)}')
    print(f'{"config":18}{"rounds, images/s":>16}{"device":>10}{"host":>10}{"share, device":>15}{"share, host":>15}   all shares')
    print('\n'.join(lines))


if __name__ == '__main__':
    main()
