"""Seconds from the command to the first round, with an empty and with a filled compilation cache.

    python benchmarks/startup.py --mnist=DIR --celeba=DIR [--configs digits_wgan_gp,mnist_gan,celeba_wgan]

DIR is the value of --config.data.manual_dir. Prints the seconds of the imports of the training program and, for each config, of
compiling (as the program prints it) and of the whole command for one round, in a new directory and with an empty compilation
cache; then the same for a second round, which continues the first. The data set is already prepared, and the batch size is 8, so
that the round itself is short.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import ROOT


def seconds(command: list[str], environment: dict[str, str]) -> tuple[float, str]:
    """The seconds of a command, and its output."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f'{" ".join(command)} failed:\n{done.stdout}{done.stderr}')
    return time.perf_counter() - start, done.stdout


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--configs', default='digits_wgan_gp,mnist_gan,mnist_wgan_gp,celeba_wgan,celeba_wgan_gp')
    parser.add_argument('--mnist')
    parser.add_argument('--celeba')
    arguments = parser.parse_args()
    imports = min(seconds([sys.executable, '-c', 'import wgan_jax.training.trainer'], {})[0] for _ in range(3))
    print(f'Imports of the training program: {imports:.1f} s.')
    print(f'{"config":18}{"first: compiling":>18}{"whole command":>15}{"second: compiling":>19}{"whole command":>15}', flush=True)
    with tempfile.TemporaryDirectory() as data_dir:
        for name in arguments.configs.split(','):
            command = [sys.executable, 'train.py', f'--config=configs/{name}.py', f'--config.data.dir={data_dir}']
            command += ['--config.batch_size=8', '--config.num_samples=4', '--config.eval_every=None']
            manual_dir = vars(arguments).get(name.split('_')[0])
            command += [f'--config.data.manual_dir={Path(manual_dir).resolve()}'] if manual_dir else []
            columns = []
            with tempfile.TemporaryDirectory() as before, tempfile.TemporaryDirectory() as workdir:
                seconds([*command, '--config.num_steps=1', f'--workdir={before}'], {})  # prepares the data set
                for steps in (1, 2):
                    run = [*command, f'--config.num_steps={steps}', f'--workdir={workdir}/run']
                    whole, output = seconds(run, {'JAX_COMPILATION_CACHE_DIR': f'{workdir}/compiled'})
                    columns += [re.search(r'Compiled in (\d+) s', output)[1], f'{whole:.1f}']
            print(f'{name:18}{columns[0]:>18}{columns[1]:>15}{columns[2]:>19}{columns[3]:>15}', flush=True)


if __name__ == '__main__':
    main()
