"""Trains GAN, WGAN, WGAN-GP and WGAN-LP under one protocol, with several seeds each, and writes the table of their scores.

    python -m papers games_on_mnist --manual_dir=DIR                 # DIR: the four files of MNIST; downloaded if not given
    python -m papers games_on_mnist --games=tutorials --manual_dir=DIR
    python -m papers games_on_mnist --data=celeba --size=full --manual_dir=DIR --features=inception      # for a GPU

All games have the same networks, latents, batch size and number of generator updates. WGAN has RMSProp with 5e-5, as in its paper,
and the others the Adam of configs/mnist_wgan_gp.py (celeba_wgan_gp.py); n_critic is 1 for the GAN and 5 for the others. With
--games=tutorials the games are WGAN-GP with that Adam and the critic updates of that config, three for MNIST, with each thing that
tutorials do otherwise, and as Keras's example combines them. Size small: MLPs with two layers of 256, batch 64, 20,000 generator
updates. Size full: KerasCNN as in configs/. The same command continues runs that were stopped, and only scores complete ones; the
table names those that have diverged.

It writes table.md (mean and standard deviation over the seeds of every score at the last step, the scores of real images, and the
Frechet distance over training), grids.png (samples of the first seed) and runs/ into --out.
"""

import argparse
import importlib
import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import machine
from wgan_jax.devices import parallel
from wgan_jax.devices.compiling import use_compilation_cache
from wgan_jax.disk import replace_file
from wgan_jax.errors import UserError
from wgan_jax.evaluate.scoring import Scoring
from wgan_jax.metrics import frechet
from wgan_jax.metrics.scores import Scorer, without_count
from wgan_jax.runs.build import prepare_group
from wgan_jax.runs.files import expand, save_png
from wgan_jax.runs.members import combine
from wgan_jax.runs.saved_run import open_run
from wgan_jax.training.group import train_group

Keys = dict[str, Any]  # keys of a config with their values
_RMSPROP = {
    f'{player}_optimizer.{key}': value
    for player in ('generator', 'critic')
    for key, value in {'name': 'rmsprop', 'learning_rate': 5e-5}.items()
}
_ADAM_OF_KERAS = {f'{player}_optimizer.eps': 1e-7 for player in ('generator', 'critic')}
GAMES: dict[str, dict[str, Keys]] = {  # differences from WGAN-GP
    'papers': {  # n_critic is that of the papers
        'GAN': {'loss': 'non_saturating', 'gp_weight': 0.0, 'n_critic': 1},
        'WGAN': {'gp_weight': 0.0, 'clip_value': 0.01, 'n_critic': 5, **_RMSPROP},
        'WGAN-GP': {'n_critic': 5},
        'WGAN-LP': {'n_critic': 5, 'gp_one_sided': True},
    },
    'tutorials': {  # n_critic is that of the config, 3, as in Keras's example
        'WGAN-GP': {},
        'shared images': {'shared_images': True},
        'shared latents': {'shared_latents': True},
        'normal alpha': {'gp_alpha': 'normal'},
        'as Keras': {'shared_images': True, 'gp_alpha': 'normal', **_ADAM_OF_KERAS},
    },
}
_SMALL = {'batch_size': 64, 'generator.norm': 'batch'} | {
    f'{player}.{key}': value
    for player in ('generator', 'critic')
    for key, value in {'network': 'mlp', 'num_features': 256, 'num_layers': 2}.items()
}
SIZES: dict[tuple[str, str], tuple[str, Keys]] = {  # (data set, size): (config, differences from it)
    ('mnist', 'small'): ('mnist_wgan_gp', {'num_steps': 20_000, **_SMALL}),
    ('mnist', 'full'): ('mnist_wgan_gp', {'num_steps': 20_000}),
    ('celeba', 'full'): ('celeba_wgan_gp', {'num_steps': 100_000}),
}
NUM_CHECKPOINTS = 10
_SHOWN = 20  # samples of each game


def main(arguments: Sequence[str]) -> None:
    """Trains, scores, and writes and prints the table."""
    parser = argparse.ArgumentParser(prog='python -m papers games_on_mnist', description=__doc__.splitlines()[0])
    parser.add_argument('--games', choices=GAMES, default='papers', help='default: papers')
    parser.add_argument('--data', choices=('mnist', 'celeba'), default='mnist')
    parser.add_argument('--size', choices=('small', 'full'), default='small')
    parser.add_argument('--seeds', type=int, default=3, help='runs of each game')
    parser.add_argument('--out', type=expand, default=Path('runs/table'), help='output directory; default: runs/table')
    parser.add_argument('--dir', help='directory of the data sets, like --config.data.dir')
    parser.add_argument('--manual_dir', help='directory of files fetched by hand, like --config.data.manual_dir')
    parser.add_argument('--features', help='like --config.eval_features')
    parser.add_argument('--weights', help='like --config.eval_weights')
    options = parser.parse_args(arguments)
    if (options.data, options.size) not in SIZES:
        parser.error(f'--data={options.data} has no --size={options.size}: networks that small make no faces')
    train_all(options)
    scores = Scores(options)
    final: dict[str, list[dict[str, float]]] = {game: [] for game in GAMES[options.games]}  # a dictionary of scores per seed
    over_training: dict[str, list[dict[str, float]]] = {game: [] for game in GAMES[options.games]}
    rows: dict[str, np.ndarray] = {}  # samples of the first complete run of a game
    diverged = []
    for game in final:
        for seed in range(options.seeds):
            workdir = options.out / 'runs' / name_of(game, seed)
            if saved_steps(workdir)[-1:] != [SIZES[options.data, options.size][1]['num_steps']]:
                diverged.append(name_of(game, seed))
                continue
            measured, distances, samples = scores.of(workdir)
            final[game].append(measured)
            over_training[game].append({f'step {step}': value for step, value in distances.items()})
            rows.setdefault(game, samples)
            print(f'{game}, seed {seed}: {json.dumps(distances)}', flush=True)
    if not rows:
        raise UserError('No run is complete: all have diverged.')
    _save_grids([*rows.values()], options.out / 'grids.png')
    text = [
        f'{machine()}; mean ± standard deviation over {options.seeds} seeds.',
        *([f'Diverged, and left out: {", ".join(diverged)}.'] if diverged else []),
        '',
        *table(final, scores.floor),
        '',
        'The Frechet distance over training:',
        '',
        *table(over_training, {}),
        '',
        f'Protocol: `{json.dumps(scores.protocol)}`',
    ]
    replace_file(options.out / 'table.md', ('\n'.join(text) + '\n').encode())
    print('\n'.join(text))
    print(f'\nWritten: {options.out / "table.md"}, {options.out / "grids.png"}')


def name_of(game: str, seed: int) -> str:
    """The name of a run, and of its directory."""
    return f'{game},seed_{seed}'


def saved_steps(workdir: Path) -> list[int]:
    """The steps of a run that have a checkpoint, in rising order."""
    return sorted(int(path.name) for path in (workdir / 'checkpoints').iterdir() if path.name.isdecimal())


def train_all(options: argparse.Namespace) -> None:
    """Trains all runs, the seeds of a game in one program.

    Raises:
      UserError: see train_group; or a signal has stopped it.
    """
    parallel.use_a_device_per_core(options.seeds)
    use_compilation_cache()
    name, size = SIZES[options.data, options.size]
    every = size['num_steps'] // NUM_CHECKPOINTS
    keys = {**size, 'sample_every': every, 'checkpoint_every': every, 'checkpoints_to_keep': NUM_CHECKPOINTS}
    keys |= {'log_every': every // 10, 'eval_every': None}
    keys |= {f'data.{key}': getattr(options, key) for key in ('dir', 'manual_dir') if getattr(options, key)}
    config = importlib.import_module(f'configs.{name}').get_config()
    config.update_from_flattened_dict(keys)
    stopped_by = train_group(prepare_group(combine(config, GAMES[options.games], options.seeds)), str(options.out / 'runs'))
    if stopped_by is not None:
        raise UserError(f'Stopped by {stopped_by.name}: the same command continues from here.')


class Scores:
    """The scores of all runs, with the features of the real images computed once."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._changes = {'eval_features': options.features, 'eval_weights': options.weights}
        self._changes |= {'data.dir': options.dir, 'data.manual_dir': options.manual_dir}
        self._scorer: Scorer | None = None
        self.floor: dict[str, float] = {}
        self.protocol: dict[str, Any] = {}

    def of(self, workdir: Path) -> tuple[dict[str, float], dict[int, float], np.ndarray]:
        """Scores and critic diagnostics of the last checkpoint, the Frechet distance of each by step, and some samples."""
        steps = saved_steps(workdir)
        distances, report, samples = {}, {}, np.empty(0)
        for step in steps:
            run = open_run(str(workdir), str(step), self._changes)
            scoring = Scoring(run.experiment, run.experiment.data.source.load(), scorer=self._scorer)
            self._scorer = scoring.scorer
            samples = scoring.samples(run.state)
            if self._scorer.network is not None:
                moments = frechet.Moments.of(self._scorer.network.apply(samples)[0])
                distances[step] = frechet.frechet_distance(moments, self._scorer.moments)
            if step == steps[-1]:
                report = scoring(run.state, samples)
        self.floor, self.protocol = report['floor'], report['protocol']
        critic = {name: value for name, value in report['critic'].items() if isinstance(value, float)}
        return {**report['scores'], **critic}, distances, samples[:_SHOWN]


def table(columns: dict[str, list[dict[str, float]]], real: dict[str, float]) -> list[str]:
    """The lines of a table with a row per score, a column per game, and, if given, a column with the scores of real images."""
    names = list(dict.fromkeys(name for runs in columns.values() for run in runs for name in run))
    floor = {without_count(name): value for name, value in real.items()}
    lines = [f'| | {" | ".join(columns)} |{" real, held out |" if real else ""}', f'|---|{"---|" * (len(columns) + bool(real))}']
    for name in names:
        cells = [_mean_and_deviation(run.get(name) for run in runs) for runs in columns.values()]
        cells += [_mean_and_deviation([floor.get(without_count(name))])] if real else []
        lines.append(f'| {name} | {" | ".join(cells)} |')
    return lines


def _mean_and_deviation(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ''
    deviation = f' ± {statistics.stdev(known):.2g}' if len(known) > 1 else ''
    return f'{statistics.mean(known):.4g}{deviation}'


def _save_grids(rows: list[np.ndarray], path: Path) -> None:
    """Saves one row of images per game, with lines between the rows, in twice their size."""
    line = np.full((4, rows[0].shape[2] * _SHOWN, rows[0].shape[3]), 96, np.uint8)
    picture = np.concatenate([part for row in rows for part in (np.concatenate(list(row), axis=1), line)])
    save_png(picture[: -len(line)].repeat(2, axis=0).repeat(2, axis=1), path)
