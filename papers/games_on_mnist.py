"""Trains GAN, WGAN, WGAN-GP and WGAN-LP on MNIST under one protocol, several seeds each, and writes the table of their scores.

    python benchmarks/table.py --manual_dir=DIR                 # DIR: the four files of MNIST; without it they are downloaded
    python benchmarks/table.py --data=celeba --size=full --manual_dir=DIR --features=inception      # for a GPU

All games have the same networks (KerasCNN), latents, batch size and number of generator updates; each has its own paper's optimizer
and number of critic updates. Small: a quarter of the networks' width, batch 64, 1,000 generator updates: an hour on 2 cores. Full:
as in configs/. A run that was stopped goes on, and one that is complete is only scored, when the same command is given again.

Into --out it writes table.md (mean and standard deviation over the seeds of every score, at the last step; the scores of real
images; the Frechet distance over training), the grids of the first seed as grids.png, and runs/.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.measuring import machine
from wgan_jax.data import source_of
from wgan_jax.evaluate.scoring import Evaluation
from wgan_jax.metrics import frechet
from wgan_jax.metrics.scores import Scorer, without_count
from wgan_jax.runs import files, terminal
from wgan_jax.runs.saved_run import open_run

ROOT = Path(__file__).parent.parent
_RMSPROP = [f'{player}_optimizer.{key}' for player in ('generator', 'critic') for key in ('name=rmsprop', 'learning_rate=5e-5')]
GAMES = {  # what differs from WGAN-GP; n_critic is that of the papers
    'GAN': ['loss=non_saturating', 'gp_weight=0.0', 'n_critic=1'],
    'WGAN': ['gp_weight=0.0', 'clip_value=0.01', 'n_critic=5', *_RMSPROP],
    'WGAN-GP': ['n_critic=5'],
    'WGAN-LP': ['n_critic=5', 'gp_one_sided=True'],
}
SIZES = {  # (data set, size): the config, and what differs from it
    ('mnist', 'small'): (
        'mnist_wgan_gp',
        ['num_steps=1000', 'batch_size=64', 'generator.num_features=16', 'critic.num_features=16', 'sample_every=200'],
    ),
    ('mnist', 'full'): ('mnist_wgan_gp', ['num_steps=20000', 'sample_every=4000']),
    ('celeba', 'full'): ('celeba_wgan_gp', ['num_steps=100000', 'sample_every=20000']),
}
NUM_CHECKPOINTS = 5
_SHOWN = 20  # samples of each game


def train(jobs: list[tuple[str, int]], arguments: argparse.Namespace, cores: set[int]) -> None:
    """Trains one after the other, on some of the machine's cores."""
    config, changes = SIZES[arguments.data, arguments.size]
    steps = int(next(change for change in changes if change.startswith('num_steps=')).partition('=')[2])
    every = steps // NUM_CHECKPOINTS
    changes = [*changes, f'checkpoint_every={every}', f'checkpoints_to_keep={NUM_CHECKPOINTS}', 'log_every=20']
    data = [f'data.{name}={getattr(arguments, name)}' for name in ('dir', 'manual_dir') if getattr(arguments, name)]
    while jobs:
        game, seed = jobs.pop(0)
        flags = [f'--config.{change}' for change in (*changes, *GAMES[game], f'seed={seed}', *data)]
        workdir = workdir_of(arguments.out, game, seed)
        command = [sys.executable, str(ROOT / 'train.py'), f'--config={ROOT}/configs/{config}.py', f'--workdir={workdir}', *flags]
        print(f'{game}, seed {seed}', flush=True)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        if hasattr(os, 'sched_setaffinity'):
            os.sched_setaffinity(process.pid, cores)
        if process.wait():
            jobs.clear()  # the other threads end with what they are at
            raise SystemExit(f'Error: training of {game}, seed {seed}, ended with status {process.returncode}; see above.')


def workdir_of(out: Path, game: str, seed: int) -> Path:
    """Where a run is."""
    return out / 'runs' / f'{game.lower().replace("-", "_")}_{seed}'


def train_all(arguments: argparse.Namespace) -> None:
    """Trains all, as many at a time as there are parts of the machine: small networks use one core better than two."""
    jobs = [(game, seed) for seed in range(arguments.seeds) for game in GAMES]
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else [0]
    shares = [set(cores[part :: arguments.jobs]) for part in range(arguments.jobs)]
    with ThreadPoolExecutor(arguments.jobs) as pool:  # a plain thread would end in silence, and scoring begin
        for trained in [pool.submit(train, jobs, arguments, share) for share in shares]:
            trained.result()


class Scores:
    """The scores of all runs, which share the features of the real images."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._scorer: Scorer | None = None
        self.floor: dict[str, float] = {}
        self.protocol: dict[str, Any] = {}

    def of(self, workdir: Path) -> tuple[dict[str, float], dict[int, float], np.ndarray]:
        """(scores and what the critic tells at the last step, Frechet distance of every checkpoint, some samples)."""
        changes = {'eval_features': self._arguments.features, 'eval_weights': self._arguments.weights}
        changes |= {'data.dir': self._arguments.dir, 'data.manual_dir': self._arguments.manual_dir}
        steps = sorted(int(path.name) for path in (workdir / 'checkpoints').iterdir() if path.name.isdecimal())
        curve, report, samples = {}, {}, np.empty(0)
        for step in steps:
            run = open_run(str(workdir), str(step), changes)
            images = source_of(run.config.data).load()
            evaluate = Evaluation(run.config, run.experiment, images, scorer=self._scorer)
            self._scorer = evaluate.scorer
            samples = evaluate.samples(run.state)
            if self._scorer.network is not None:
                moments = frechet.Moments.of(self._scorer.network.apply(samples)[0])
                curve[step] = frechet.frechet_distance(moments, self._scorer.moments)
            if step == steps[-1]:
                report = evaluate(run.state, samples)
        self.floor, self.protocol = report['floor'], report['protocol']
        critic = {name: value for name, value in report['critic'].items() if isinstance(value, float)}
        return {**report['scores'], **critic}, curve, samples[:_SHOWN]


def spread(values: Iterable[float | None]) -> str:
    """Mean and standard deviation."""
    known = [value for value in values if value is not None]
    if not known:
        return ''
    deviation = f' ± {statistics.stdev(known):.2g}' if len(known) > 1 else ''
    return f'{statistics.mean(known):.4g}{deviation}'


def table(columns: dict[str, list[dict[str, float]]], real: dict[str, float]) -> list[str]:
    """Lines of a table with a row per name, a column per game, and the scores of real images."""
    names = list(dict.fromkeys(name for runs in columns.values() for run in runs for name in run))
    floor = {without_count(name): value for name, value in real.items()}
    lines = [f'| | {" | ".join(columns)} |{" real, held out |" if real else ""}', f'|---|{"---|" * (len(columns) + bool(real))}']
    for name in names:
        cells = [spread(run.get(name) for run in runs) for runs in columns.values()]
        reals = [spread([floor.get(without_count(name))])] if real else []
        lines.append(f'| {name} | {" | ".join([*cells, *reals])} |')
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', choices=('mnist', 'celeba'), default='mnist')
    parser.add_argument('--size', choices=('small', 'full'), default='small')
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--jobs', type=int, default=os.cpu_count() if os.cpu_count() == 2 else 1, help='runs at a time')
    parser.add_argument('--out', type=Path, default=Path('runs/table'))
    for name in ('dir', 'manual_dir', 'features', 'weights'):
        parser.add_argument(f'--{name}')
    arguments = parser.parse_args()
    if (arguments.data, arguments.size) not in SIZES:
        parser.error(f'--data={arguments.data} has no --size={arguments.size}: networks that small make no faces')
    terminal.keep_orbax_quiet()
    train_all(arguments)
    scores = Scores(arguments)
    finals: dict[str, list[dict[str, float]]] = {}
    curves: dict[str, list[dict[str, float]]] = {}
    rows = []
    for game in GAMES:
        finals[game], curves[game] = [], []
        for seed in range(arguments.seeds):
            final, curve, samples = scores.of(workdir_of(arguments.out, game, seed))
            finals[game].append(final)
            curves[game].append({f'step {step}': value for step, value in curve.items()})
            rows += [samples] if seed == 0 else []
            print(f'{game}, seed {seed}: {json.dumps(curve)}', flush=True)
    line = np.full((4, rows[0].shape[2] * _SHOWN, rows[0].shape[3]), 96, np.uint8)
    picture = [np.concatenate([np.concatenate(list(row), axis=1), line]) for row in rows]
    files.save_png(np.concatenate(picture)[: -len(line)].repeat(2, axis=0).repeat(2, axis=1), arguments.out / 'grids.png')
    text = '\n'.join(
        [
            f'{machine()}; mean ± standard deviation over {arguments.seeds} seeds.',
            '',
            *table(finals, scores.floor),
            '',
            'The Frechet distance over training:',
            '',
            *table(curves, {}),
            '',
            f'Protocol: `{json.dumps(scores.protocol)}`',
        ]
    )
    files.replace_file(arguments.out / 'table.md', (text + '\n').encode())
    print(text)


if __name__ == '__main__':
    main()
