"""Images per second of the whole training program over those of its bare compiled rounds.

    python benchmarks/end_to_end.py --celeba=DIR --mnist=DIR [--configs celeba_wgan,mnist_wgan] [--repeats 3] [--seconds 20]

DIR is what --config.data.manual_dir takes. The program reads the data set, logs, draws and saves as usual; its rate is taken from
its metrics.jsonl, from one log point after the start to the end. The bare rounds have random images on the device. The sides
take turns, each time in a process of its own; the table has the median of each and the shares of the program, which would
be 1 if nothing ever waited.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import OurRounds, load_config, seconds_per_round

BARE = 'bare rounds'
SIDES = (BARE, 'device', 'host')


def images_per_second(name: str, side: str, manual_dir: str | None, data_dir: str, seconds: float) -> float:
    """One side of one config, in this process."""
    config = load_config(name, None)
    images = config.n_critic * config.batch_size
    bare = seconds_per_round(OurRounds(config).run, 3, seconds if side == BARE else 0.0)
    if side == BARE:
        return images / bare
    from wgan_jax import trainer

    rounds = max(3, int(seconds / bare))
    config.num_steps = 2 * rounds
    config.log_every = rounds
    config.data.placement = side
    config.data.manual_dir, config.data.dir = manual_dir, data_dir
    with tempfile.TemporaryDirectory() as workdir:
        trainer.train(config, workdir)
        lines = [json.loads(line) for line in (Path(workdir) / 'metrics.jsonl').read_text().splitlines()]
    return rounds * images / (lines[-1]['seconds'] - lines[-2]['seconds'])


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--configs', default='mnist_gan,mnist_wgan,celeba_gan,celeba_wgan')
    parser.add_argument('--mnist')
    parser.add_argument('--celeba')
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=20.0)
    parser.add_argument('--side', help=argparse.SUPPRESS)
    parser.add_argument('--data_dir', help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    manual_dirs = {'mnist': arguments.mnist, 'celeba': arguments.celeba}
    if arguments.side:
        manual_dir = manual_dirs.get(arguments.configs.split('_')[0])
        print(images_per_second(arguments.configs, arguments.side, manual_dir, arguments.data_dir, arguments.seconds))
        return
    print(f'{"config":18}{"bare, images/s":>16}{"device":>10}{"host":>10}{"share, device":>16}{"share, host":>14}')
    with tempfile.TemporaryDirectory() as data_dir:
        for name in arguments.configs.split(','):
            rates: dict[str, list[float]] = {side: [] for side in SIDES}
            for side in SIDES * arguments.repeats:
                command = [sys.executable, __file__, f'--configs={name}', f'--side={side}', f'--data_dir={data_dir}']
                command += [f'--{key}={value}' for key, value in manual_dirs.items() if value]
                command += [f'--seconds={arguments.seconds}']
                output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
                rates[side].append(float(output.splitlines()[-1]))
            bare, device, host = (statistics.median(rates[side]) for side in SIDES)
            print(f'{name:18}{bare:16.0f}{device:10.0f}{host:10.0f}{device / bare:16.3f}{host / bare:14.3f}', flush=True)


if __name__ == '__main__':
    main()
