"""Kills runs again and again, and compares their results with those of undisturbed runs.

    python benchmarks/torture.py [--kills 100] [--scenarios digits,own_images,mnist] [--mnist=DIR] [--seed 0]

Each run is started, killed with SIGKILL, and started again until it completes. A process is killed in one of three ways:

- just before an operation on a file (it is created, opened for writing, renamed or removed) of the prepared data set, the compiled
  programs, checkpoints, pictures, logs, scores, report or config; or after half a line of metrics or scores
- at a random moment
- a random time after it starts to write a checkpoint, which threads do that no hook sees

Each start may place the images elsewhere, on the device or on the host. Meanwhile a thread reads the run as the commands do: its
logs, and its newest checkpoint, which it exports. Then each array of the last checkpoint, each line of metrics.jsonl except its
timing, the scores and each picture are compared bit by bit, and nothing half-written may remain.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from measuring import ROOT
from PIL import Image

from wgan_jax.errors import UserError
from wgan_jax.export.__main__ import parse
from wgan_jax.export.command import export
from wgan_jax.report.read_runs import read_runs
from wgan_jax.runs.checkpoint import Checkpoints
from wgan_jax.runs.record import read_evaluations

PLACEMENTS = ('auto', 'device', 'host')  # a key that may change when a run is resumed
TIMING = ('seconds', 'images_per_second')
_COMMON = 'num_steps=60 batch_size=8 n_critic=2 latent_dim=3 num_samples=4 log_every=4 sample_every=6 checkpoint_every=5 '
_COMMON += 'eval_num_samples=60 '
_MLP = ' '.join(f'{player}.network=mlp {player}.num_features=4 {player}.num_layers=1 ' for player in ('generator', 'critic'))
SCENARIOS = {
    'digits': ('digits_wgan_gp', _COMMON + _MLP + 'ema_decay=0.9 eval_every=15'),
    'own_images': ('folder_wgan_gp', _COMMON + _MLP + 'critic.norm=none data.image_size=16 data.folder={images}'),
    'mnist': ('mnist_gan', _COMMON + 'num_steps=30 generator.num_features=2 critic.num_features=2 data.manual_dir={mnist}'),
}


class Run:
    """A run with its own data directory and compilation cache."""

    def __init__(self, scenario: str, directory: Path, places: dict[str, Path], more: str = '') -> None:
        self.directory, self.workdir = directory, directory / 'run'
        config, keys = SCENARIOS[scenario]
        flags = [f'--config.{key.format(**places)}' for key in f'{keys} {more}'.split()]
        self._command = ['train.py', f'--config=configs/{config}.py', f'--workdir={self.workdir}', *flags]
        self._command.append(f'--config.data.dir={directory / "data"}')
        directory.mkdir()

    def start(self, kind: str = '', number: int = 0, limit: int | None = None, more: str = '') -> subprocess.Popen:
        """Starts a process.

        Args:
          kind: kind of operation before which it kills itself; '' for none.
          number: number of that operation among those of its kind, from 1.
          limit: largest size of a file in kB; None for no limit.
          more: another flag.
        """
        environment = {
            **os.environ,
            'JAX_PLATFORMS': 'cpu',
            'XLA_FLAGS': '--xla_backend_optimization_level=0',  # the programs run for milliseconds
            'XDG_CACHE_HOME': str(self.directory / 'cache'),
            'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
        }
        environment.pop('JAX_COMPILATION_CACHE_DIR', None)  # the run writes its own
        limited = ['bash', '-c', f'ulimit -f {limit}; exec "$@"', 'bash'] if limit else []
        command = [*limited, sys.executable, str(ROOT / 'benchmarks' / 'killed.py'), kind, str(number), str(self.directory)]
        command += [*self._command, *more.split()]
        # Output goes to files: a full pipe would stop the process.
        with (self.directory / 'output').open('ab') as output, (self.directory / 'errors').open('wb') as errors:
            return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=errors)

    def last_errors(self) -> str:
        """The standard error of the last process."""
        return (self.directory / 'errors').read_text()

    def outcome(self) -> dict[str, Any]:
        """Everything that the run wrote, without its timing."""
        lines = [json.loads(line) for line in (self.workdir / 'metrics.jsonl').read_text().splitlines()]
        steps = sorted(int(path.name) for path in (self.workdir / 'checkpoints').iterdir() if path.name.isdigit())
        meta = json.loads((self.workdir / 'checkpoints' / str(steps[-1]) / 'meta' / 'metadata').read_text())
        template = {name: np.zeros(shape, kind) for name, (kind, shape, _) in meta['arrays'].items()}
        checkpoints = Checkpoints(self.workdir / 'checkpoints', 3)
        arrays = checkpoints.restore(template, lambda record: None).tree
        checkpoints.close()
        paths = [path.relative_to(self.directory) for path in self.directory.rglob('*')]
        return {
            'config.json': json.loads((self.workdir / 'config.json').read_text())['seed'],
            'metrics.jsonl': [{name: value for name, value in line.items() if name not in TIMING} for line in lines],
            'checkpoints': steps,
            'arrays': {name: array.tobytes() for name, array in arrays.items()},
            'scores': [{**record, 'protocol': None} for record in read_evaluations(self.workdir)],  # it names the place of the data
            'pictures': {path.name: path.read_bytes() for path in (self.workdir / 'samples').iterdir()},
            'half-written files': [str(path) for path in paths if 'tmp' in path.name or 'unfinished' in path.name],
        }


class Reader:
    """A thread that reads a run again and again while it trains."""

    def __init__(self, directory: Path) -> None:
        self._workdir, self._stop, self._error = directory / 'run', threading.Event(), None
        self._export = parse([str(self._workdir), f'--out={directory / "exported"}'])
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; raises what a reading has raised, unless there was nothing to read yet."""
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        while not self._stop.wait(1.0):
            for read in (lambda: read_runs([self._workdir]), lambda: export(self._export)):
                try:
                    read()
                except UserError as error:
                    if not re.search('is no directory|holds no run|has no checkpoints yet', str(error)):
                        self._error = error
                except Exception as error:
                    self._error = error


def moment(errors: str, run: Run) -> str:
    """What a process was doing when it was killed."""
    if 'before ' in errors:
        return errors.rsplit('before ', 1)[1]
    return 'threads write a checkpoint' if any((run.workdir / 'checkpoints').glob('*tmp')) else 'any other moment'


def torture(scenario: str, kills: int, directory: Path, places: dict[str, Path], seed: int) -> tuple[Counter, int]:
    """Kills runs of one scenario.

    Returns:
      The number of kills by moment, and the number of runs.

    Raises:
      AssertionError: the result of a run differs from that of an undisturbed one.
    """
    generator = random.Random(seed)
    straight = Run(scenario, directory / 'straight', places)
    start = time.perf_counter()
    if straight.start().wait():
        raise AssertionError(straight.last_errors())
    duration, expected = time.perf_counter() - start, straight.outcome()
    operations = json.loads(straight.last_errors().rsplit('did ', 1)[1])
    moments: Counter = Counter()
    runs = 0
    while moments.total() < kills:
        run, runs = Run(scenario, directory / f'run_{runs}', places), runs + 1
        code, reader = -signal.SIGKILL, Reader(run.directory)
        while code == -signal.SIGKILL:
            way = generator.choice([*operations, 'any moment', 'saving']) if moments.total() < kills else ''
            placement = f'--config.data.placement={generator.choice(PLACEMENTS)}'
            number = generator.randint(1, operations.get(way, 1))
            process = run.start(way if way in operations else '', number, more=placement)
            if way == 'any moment':
                kill_after(process, generator.uniform(0, duration))
            elif way == 'saving':
                kill_while_saving(process, run, generator.randint(1, 8), generator.uniform(0, 0.03))
            code = process.wait()
            if code == -signal.SIGKILL:
                moments[moment(run.last_errors(), run)] += 1
        reader.close()
        assert code == 0, f'{scenario}, run {runs}: {run.last_errors()}'
        outcome = run.outcome()
        for what, value in expected.items():
            assert outcome[what] == value, f'{scenario}, run {runs}: {what} differ'
    return moments, runs


def kill_after(process: subprocess.Popen, seconds: float) -> None:
    """Kills a process after some seconds, unless it ends first."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()


def kill_while_saving(process: subprocess.Popen, run: Run, number: int, seconds: float) -> None:
    """Kills a process some seconds after it starts to write its checkpoint `number`, unless it ends first."""
    unfinished: set[str] = set()
    while process.poll() is None and len(unfinished) < number:
        unfinished |= {path.name for path in (run.workdir / 'checkpoints').glob('*tmp')}
        time.sleep(0.001)
    kill_after(process, seconds)


def write_images(directory: Path) -> Path:
    """Writes a folder of images to train on."""
    directory.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (100, 20, 20, 3), dtype=np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(directory / f'{number}.png')
    return directory


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=100, help='in all scenarios together')
    parser.add_argument('--scenarios', default='digits,own_images,mnist')
    parser.add_argument('--mnist', help='directory with the four original files')
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args()
    names = [name for name in arguments.scenarios.split(',') if name != 'mnist' or arguments.mnist]
    print('| scenario | runs | kills | at which moments | all bits as in the run never killed |\n|---|---|---|---|---|')
    with tempfile.TemporaryDirectory() as directory:
        images = write_images(Path(directory, 'images'))
        for name in names:
            place = Path(directory, name)
            place.mkdir()
            kills = -(-arguments.kills // len(names))
            moments, runs = torture(name, kills, place, {'images': images, 'mnist': Path(arguments.mnist or '.')}, arguments.seed)
            what = ', '.join(f'{moment} {count}' for moment, count in moments.most_common())
            print(f'| {name} | {runs} | {moments.total()} | {what} | yes |', flush=True)


if __name__ == '__main__':
    main()
