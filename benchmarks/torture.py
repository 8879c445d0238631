"""Kills runs again and again, and compares their results with those of undisturbed runs.

    python benchmarks/torture.py [--kills 100] [--scenarios digits,own_images,mnist] [--mnist=DIR] [--seed 0]

Each run is started, killed with SIGKILL, and started again until it completes. A process is killed in one of three ways:

- just before an operation on a file (it is created, opened for writing, renamed or removed) of the prepared data set, the compiled
  programs, checkpoints, pictures, logs or config; or after half a line of metrics
- at a random moment
- a random time after it starts to write a checkpoint, which threads do that no hook sees

Then each array of the last checkpoint, each line of metrics.jsonl except its timing, and each picture is compared bit by bit, and
nothing half-written may remain.
"""

import argparse
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from measuring import ROOT
from PIL import Image

from wgan_jax.runs.checkpoint import Checkpoints
from wgan_jax.runs.record import RunWriter

TIMING = ('seconds', 'images_per_second')
_EVENTS = ('open', 'os.rename', 'os.remove', 'os.mkdir', 'os.rmdir', 'os.truncate')
_COMMON = 'num_steps=60 batch_size=8 n_critic=2 latent_dim=3 num_samples=4 log_every=4 sample_every=6 checkpoint_every=5 '
_MLP = ' '.join(f'{player}.network=mlp {player}.num_features=4 {player}.num_layers=1 ' for player in ('generator', 'critic'))
SCENARIOS = {
    'digits': ('digits_wgan_gp', _COMMON + _MLP + 'ema_decay=0.9'),
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

    def start(self, kind: str = '', number: int = 0, limit: int | None = None) -> subprocess.Popen:
        """Starts a process.

        Args:
          kind: kind of operation before which it kills itself; '' for none.
          number: number of that operation among those of its kind, from 1.
          limit: largest size of a file in kB; None for no limit.
        """
        environment = {
            **os.environ,
            'JAX_PLATFORMS': 'cpu',
            'XLA_FLAGS': '--xla_backend_optimization_level=0',  # the programs run for milliseconds
            'XDG_CACHE_HOME': str(self.directory / 'cache'),
            'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
        }
        limited = ['bash', '-c', f'ulimit -f {limit}; exec "$@"', 'bash'] if limit else []
        command = [*limited, sys.executable, __file__, '--child', kind, str(number), str(self.directory), *self._command]
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
            'pictures': {path.name: path.read_bytes() for path in (self.workdir / 'samples').iterdir()},
            'half-written files': [str(path) for path in paths if 'tmp' in path.name or 'unfinished' in path.name],
        }


def child(kind: str, number: int, directory: str, command: list[str]) -> None:
    """Runs train.py and counts its operations on files in `directory`; kills itself before one of them."""
    counts: Counter = Counter()

    def is_due(operation: str) -> bool:
        counts[operation] += 1
        return operation == kind and counts[operation] == number

    def die() -> None:
        os.write(2, f'before {kind}'.encode())
        os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple) -> None:
        if event not in _EVENTS or not str(arguments[0]).startswith(directory):
            return
        if event == 'open' and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        if is_due(kind_of(str(arguments[0]).removeprefix(directory))):
            die()

    def metrics(self: RunWriter, step: int, *arguments: Any) -> None:
        if is_due('half a line of metrics'):
            self._metrics_file.write(f'{{"step": {step}, "critic_l')
            self._metrics_file.flush()
            die()
        write_metrics(self, step, *arguments)

    write_metrics, RunWriter.metrics = RunWriter.metrics, metrics
    sys.addaudithook(hook)
    sys.argv = command
    try:
        runpy.run_path(command[0], run_name='__main__')
    finally:
        os.write(2, f'did {json.dumps(counts)}'.encode())


def kind_of(path: str) -> str:
    """The kind of a file that a run writes."""
    parts = path.strip('/').split('/')
    kinds = {'data': 'data set', 'cache': 'compiled programs', 'checkpoints': 'checkpoint', 'samples': 'picture'}
    return kinds.get(parts[0]) or kinds.get(parts[1] if len(parts) > 1 else '', 'log and config')


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
        code = -signal.SIGKILL
        while code == -signal.SIGKILL:
            way = generator.choice([*operations, 'any moment', 'saving']) if moments.total() < kills else ''
            process = run.start(way, generator.randint(1, operations[way])) if way in operations else run.start()
            if way == 'any moment':
                kill_after(process, generator.uniform(0, duration))
            elif way == 'saving':
                kill_while_saving(process, run, generator.randint(1, 8), generator.uniform(0, 0.03))
            code = process.wait()
            if code == -signal.SIGKILL:
                moments[moment(run.last_errors(), run)] += 1
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
    if sys.argv[1:2] == ['--child']:
        child(sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5:])
        return
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
