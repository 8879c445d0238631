r"""Trains configs at full size one after another, and gathers what a page of results shows: pictures, curves, scores, generators.

    python benchmarks/full_size.py --mnist=DIR --celeba=DIR [--configs celeba_wgan,mnist_wgan_gp] [--minutes 600] \
        [--workdir runs] [--out results] [--config.KEY=VALUE ...]

DIR is the value of --config.data.manual_dir. The keys are for all configs. --minutes is for one config: its run is then stopped, as
by SIGTERM, and what it has is gathered. The same command continues all runs that have not ended, so that it can be given in many
short sessions on a borrowed machine. Training may download data, as always; the pictures and the scores need nothing else.

OUT/<config> gets grid.png and training.png (wgan_jax.sample), the scores as JSON with their protocol (wgan_jax.evaluate), of the
averaged generator and of the raw one if there is an average, the exported generator, metrics.jsonl, evaluations.jsonl, config.json
and starts.jsonl, which names machine, versions and commit. A config that fails is named at the end, and the others go on.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from measuring import ROOT

from wgan_jax.runs.record import read_metrics

CONFIGS = 'celeba_wgan,celeba_wgan_gp,celeba_gan,mnist_wgan_gp,mnist_wgan,mnist_gan'
_RECORDS = ('metrics.jsonl', 'evaluations.jsonl', 'config.json', 'starts.jsonl')
_GOOD = 0, 128 + signal.SIGTERM, -signal.SIGTERM  # it ended; it was stopped, and has saved; it was stopped before it began


def train(name: str, workdir: Path, minutes: float, flags: Sequence[str]) -> bool:
    """Trains, for some minutes at most; returns whether there is something to gather."""
    process = subprocess.Popen([sys.executable, 'train.py', name, f'--workdir={workdir}', *flags], cwd=ROOT)
    try:
        status = process.wait(60 * minutes)
    except subprocess.TimeoutExpired:
        process.terminate()
        status = process.wait()
    except KeyboardInterrupt:  # the run gets Ctrl-C as well, and saves
        process.wait()
        raise
    return status in _GOOD and (workdir / 'checkpoints').exists() and bool(read_metrics(workdir))


def gather(workdir: Path, out: Path) -> None:
    """Makes the pictures, the exported generator and the scores, and copies the records.

    Raises:
      SystemExit: a command failed.
    """
    from wgan_jax.evaluate.__main__ import main as evaluate
    from wgan_jax.export.__main__ import main as export
    from wgan_jax.sample.__main__ import main as sample

    out.mkdir(parents=True, exist_ok=True)
    for record in _RECORDS:
        if (workdir / record).exists():
            shutil.copyfile(workdir / record, out / record)
    places = [str(workdir), f'--out={out}']
    sample(places)
    sample([*places, '--training'])
    export(places)
    evaluate(places)
    if json.loads((workdir / 'config.json').read_text())['ema_decay'] is not None:
        evaluate([*places, '--raw'])


def gathered(workdir: Path, out: Path) -> bool:
    """Gathers in a process of its own, since one that uses a GPU leaves no memory there to the next run."""
    command = [sys.executable, __file__, f'--workdir={workdir}', f'--out={out}', '--gather']
    return subprocess.run(command, check=False).returncode == 0


def main() -> None:
    """Trains and gathers; ends with status 1 if a config failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--configs', default=CONFIGS)
    parser.add_argument('--mnist', help='directory of the four files of MNIST; default: download')
    parser.add_argument('--celeba', help='directory of the images of CelebA; default: download')
    parser.add_argument('--minutes', type=float, default=600.0, help='for each config, with preparing and compiling')
    parser.add_argument('--workdir', type=Path, default=ROOT / 'runs')
    parser.add_argument('--out', type=Path, default=ROOT / 'results')
    parser.add_argument('--gather', action='store_true', help=argparse.SUPPRESS)
    arguments, flags = parser.parse_known_args()
    if arguments.gather:
        gather(arguments.workdir, arguments.out)
        return
    failed = []
    for name in arguments.configs.split(','):
        workdir, out = arguments.workdir.resolve() / name, arguments.out.resolve() / name
        place = vars(arguments).get(name.split('_')[0])
        data = [f'--config.data.manual_dir={Path(place).resolve()}'] if place else []
        print(f'{name}:', flush=True)
        if not train(name, workdir, arguments.minutes, [*data, *flags]):
            print(f'{name}: nothing to gather: it failed, as said above, or was stopped before its first log point.', flush=True)
            failed.append(name)
            continue
        if not gathered(workdir, out):
            failed.append(name)
            continue
        last = read_metrics(workdir)[-1]
        print(f'{name}: step {last["step"]:,} after {last["seconds"]:,.0f} s of training; see {out}', flush=True)
    if failed:
        sys.exit(f'Failed: {", ".join(failed)}; the reasons are above.')


if __name__ == '__main__':
    main()
