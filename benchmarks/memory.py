"""Memory at the peak of a run against what --dry_run says of it.

    python benchmarks/memory.py --mnist=DIR --celeba=DIR [--configs mnist_gan,celeba_wgan] [--rounds 6]

DIR is what --config.data.manual_dir takes. Each run is a process of its own, with an empty store of compiled programs and a
data set that has been prepared before; it does a few rounds and writes pictures and checkpoints on the way. On Linux and CPU: the
peak of the process's own memory (RssAnon, looked at every 5 ms), files that it maps left out.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import load_config

from wgan_jax.data import source_of
from wgan_jax.runs.experiment import make_experiment
from wgan_jax.training import dry_run

ROOT = Path(__file__).parent.parent


def peak(command: list[str], environment: dict[str, str]) -> int:
    """Most bytes of its own memory that a process ever had, until it ended."""
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    most, status = 0, Path(f'/proc/{process.pid}/status')
    while process.poll() is None:
        found = re.search(r'RssAnon:\s+(\d+) kB', status.read_text())
        most = max(most, int(found[1]) if found else 0)
        time.sleep(0.005)
    if process.returncode:
        raise SystemExit(f'{" ".join(command)} failed.')
    return 1024 * most


def estimate(config: Any) -> None:
    """Prints what --dry_run would say if it knew how many images there are."""
    shape = source_of(config.data).load().shape  # prepared before: what preparing takes would come on top
    print(dry_run.of_run(config, make_experiment(config), shape).process)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--configs', default='digits_wgan_gp,mnist_gan,mnist_wgan,celeba_gan,celeba_wgan,celeba_wgan_gp')
    parser.add_argument('--mnist')
    parser.add_argument('--celeba')
    parser.add_argument('--rounds', type=int, default=6)
    parser.add_argument('--data_dir', help=argparse.SUPPRESS)
    parser.add_argument('--prepare', action='store_true', help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.data_dir:
        config = load_config(arguments.configs, None)
        config.data.dir, config.data.manual_dir = arguments.data_dir, vars(arguments).get(arguments.configs.split('_')[0])
        if arguments.prepare:
            source_of(config.data).load()
        else:
            estimate(config)
        return
    print(f'{"config":18}{"measured, MiB":>15}{"told, MiB":>12}{"told / measured":>17}', flush=True)
    with tempfile.TemporaryDirectory() as data_dir:
        for name in arguments.configs.split(','):
            manual_dir = vars(arguments).get(name.split('_')[0])
            ask = [sys.executable, __file__, f'--configs={name}', f'--data_dir={data_dir}']
            train = [sys.executable, 'train.py', f'--config=configs/{name}.py', f'--config.data.dir={data_dir}']
            train += [f'--config.num_steps={arguments.rounds}', '--config.checkpoint_every=2', '--config.sample_every=3']
            if manual_dir:
                manual_dir = str(Path(manual_dir).resolve())
                train += [f'--config.data.manual_dir={manual_dir}']
                ask += [f'--{name.split("_")[0]}={manual_dir}']
            with tempfile.TemporaryDirectory() as empty:
                subprocess.run([*ask, '--prepare'], check=True, stdout=subprocess.DEVNULL)
                told = int(subprocess.run(ask, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
                measured = peak([*train, f'--workdir={empty}/run'], {'JAX_COMPILATION_CACHE_DIR': f'{empty}/compiled'})
            print(f'{name:18}{measured / 2**20:15.0f}{told / 2**20:12.0f}{told / measured:17.2f}', flush=True)


if __name__ == '__main__':
    main()
