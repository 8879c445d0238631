"""Peak memory of a run against the prediction of --dry_run.

    python benchmarks/memory.py --mnist=DIR --celeba=DIR [--configs mnist_gan,celeba_wgan] [--rounds 6]

DIR is the value of --config.data.manual_dir. Each run is a new process with an empty compilation cache and a data set that is
already prepared; it trains a few rounds and writes pictures and checkpoints. Linux and CPU only: the peak of the anonymous memory
of the process (RssAnon, read every 5 ms), without the files that it maps.
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

from wgan_jax.runs.build import build
from wgan_jax.training import dry_run

ROOT = Path(__file__).parent.parent


def peak(command: list[str], environment: dict[str, str]) -> int:
    """Runs a command and returns the peak of its anonymous memory in bytes."""
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
    """Prints the prediction of --dry_run for the number of images in the data set."""
    experiment = build(config)
    shape = experiment.data.source.load().shape  # already prepared: preparing would take memory too
    print(dry_run.memory_of(experiment, shape).process)


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
            build(config).data.source.load()
        else:
            estimate(config)
        return
    print(f'{"config":18}{"measured, MiB":>15}{"predicted, MiB":>16}{"predicted / measured":>22}', flush=True)
    with tempfile.TemporaryDirectory() as data_dir:
        for name in arguments.configs.split(','):
            manual_dir = vars(arguments).get(name.split('_')[0])
            ask = [sys.executable, __file__, f'--configs={name}', f'--data_dir={data_dir}']
            train = [sys.executable, 'train.py', f'--config=configs/{name}.py', f'--config.data.dir={data_dir}']
            train += [f'--config.num_steps={arguments.rounds}', '--config.checkpoint_every=2', '--config.sample_every=3']
            train += ['--config.eval_every=None']  # the prediction is of training
            if manual_dir:
                manual_dir = str(Path(manual_dir).resolve())
                train += [f'--config.data.manual_dir={manual_dir}']
                ask += [f'--{name.split("_")[0]}={manual_dir}']
            with tempfile.TemporaryDirectory() as empty:
                subprocess.run([*ask, '--prepare'], check=True, stdout=subprocess.DEVNULL)
                predicted = int(subprocess.run(ask, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
                measured = peak([*train, f'--workdir={empty}/run'], {'JAX_COMPILATION_CACHE_DIR': f'{empty}/compiled'})
            print(f'{name:18}{measured / 2**20:15.0f}{predicted / 2**20:16.0f}{predicted / measured:22.2f}', flush=True)


if __name__ == '__main__':
    main()
