"""Images per second of the whole training program over those of its bare compiled rounds.

    python benchmarks/end_to_end.py --celeba=DIR --mnist=DIR [--configs celeba_wgan,mnist_wgan] [--repeats 3] [--seconds 20]

DIR is what --config.data.manual_dir takes. The program reads the data set, logs, draws and saves as usual; its rate is taken from
its metrics.jsonl, from one log point after the start to the end. The bare rounds have random images on the device. They take turns
in one process, bare rounds first and last, and each run of the program is compared with the mean of those before and after it. The
table has the median of the rates and of the shares, which would be 1 if nothing ever waited.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from measuring import OurRounds, load_config, seconds_per_round

PLACEMENTS = ('device', 'host')


def of_program(config: Any, placement: str, rounds: int) -> float:
    """Images per second of the training program over so many rounds, after as many."""
    from wgan_jax.training import trainer

    config.num_steps = 2 * rounds
    config.log_every = rounds
    config.data.placement = placement
    with tempfile.TemporaryDirectory() as workdir:
        trainer.train(config, workdir)
        lines = [json.loads(line) for line in (Path(workdir) / 'metrics.jsonl').read_text().splitlines()]
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
            rounds = OurRounds(config)

            def bare(rounds: OurRounds = rounds, images: int = config.n_critic * config.batch_size) -> float:
                return images / seconds_per_round(rounds.run, 3, arguments.seconds)

            rates = [bare()]
            length = max(3, int(arguments.seconds * rates[0] / (config.n_critic * config.batch_size)))
            for placement in PLACEMENTS * arguments.repeats:
                rates += [of_program(config, placement, length), bare()]
            shares = [2.0 * rates[i] / (rates[i - 1] + rates[i + 1]) for i in range(1, len(rates), 2)]
            columns = [f'{statistics.median(rates[0::2]):16.0f}']
            columns += [f'{statistics.median(rates[1 + 2 * i :: 4]):10.0f}' for i in range(2)]
            columns += [f'{statistics.median(shares[i::2]):15.3f}' for i in range(2)]
            lines.append(f'{name:18}{"".join(columns)}   {" ".join(f"{share:.2f}" for share in shares)}')
    print(f'{"config":18}{"bare, images/s":>16}{"device":>10}{"host":>10}{"share, device":>15}{"share, host":>15}   all shares')
    print('\n'.join(lines))


if __name__ == '__main__':
    main()
