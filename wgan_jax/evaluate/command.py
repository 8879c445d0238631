"""Scores a checkpoint as the command line says, and writes the numbers and the pictures."""

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

from wgan_jax.data import identity
from wgan_jax.data.source import is_points
from wgan_jax.devices.compiling import use_compilation_cache
from wgan_jax.devices.parallel import check_devices
from wgan_jax.disk import replace_file
from wgan_jax.errors import UserError
from wgan_jax.evaluate import plots
from wgan_jax.evaluate.scoring import Scoring
from wgan_jax.metrics.scores import with_count, without_count
from wgan_jax.runs.files import check_channels, make_directories, run_directory, save_images, save_png
from wgan_jax.runs.record import read_evaluations
from wgan_jax.runs.saved_run import SavedRun, open_run
from wgan_jax.sample.grid import grid

_SHOWN = 64  # samples in the picture; half of them with their nearest training image


def run(arguments: argparse.Namespace) -> None:
    """Scores, and prints the table and what was written."""
    check_devices()
    use_compilation_cache()
    report, path = evaluate(arguments)
    print(f'{table(report)}\n\nWritten: {path} with the protocol, and pictures beside it.')


def images_of(saved: SavedRun) -> np.ndarray:
    """The images that a run was trained on, uint8 [N, H, W, C].

    Raises:
      UserError: they cannot be found, they have changed, or they are points, which have no scores.
    """
    source = saved.experiment.data.source
    if is_points(source.image_shape):
        raise UserError('This run was trained on points, and there are scores for images only: see its samples/.')
    images = source.load()
    if identity(images) != saved.data_set:
        raise UserError(
            f'This run was trained on other images ({saved.data_set}) than are there now ({identity(images)}): give their place '
            'with --data.dir, --data.manual_dir, --data.folder or --data.file.'
        )
    return images


def evaluate(arguments: argparse.Namespace) -> tuple[dict[str, Any], Path]:
    """Scores a checkpoint, writes the numbers and the pictures, and returns the numbers and their file.

    Raises:
      UserError: the run, its images or the weights of the feature network cannot be found.
      OSError: a file cannot be written.
    """
    changes = {
        'eval_num_samples': arguments.num_samples,
        'eval_features': arguments.features,
        'eval_weights': arguments.weights,
        **{f'data.{name}': getattr(arguments, name) for name in ('dir', 'manual_dir', 'folder', 'file')},
    }
    folders = [arguments.images / name for name in ('samples', 'real')] if arguments.images is not None else []
    saved = open_run(arguments.workdir, arguments.step, changes, trust_code=arguments.trust_code)
    run_dir = run_directory(arguments.workdir)
    out = arguments.out or run_dir / 'evaluation'
    images = images_of(saved)
    if folders:
        check_channels(saved.experiment.data.source.image_shape)
    state = saved.state.replace(ema=None) if arguments.raw else saved.state
    scoring = Scoring(saved.experiment, images, seed=arguments.seed)
    make_directories(out, *folders)  # before the samples, which take longest
    samples = scoring.samples(state)
    report = {'run': str(arguments.workdir), 'step': saved.step, **scoring(state, samples)}
    if arguments.raw:
        report['protocol']['generator'] = 'raw'
    path = out / _file_name(report, arguments)
    replace_file(path, (json.dumps(report, indent=1) + '\n').encode())
    _draw(report, saved.experiment.clip_value, samples, scoring, run_dir, out)
    for folder, exported in zip(folders, (samples, scoring.scorer.real(len(samples))), strict=False):
        save_images(exported, (folder / f'{number:06d}.png' for number in itertools.count()))
    return report, path


def _file_name(report: dict[str, Any], arguments: argparse.Namespace) -> str:
    """A name for each choice of the command line, so that evaluations stand beside each other."""
    protocol = report['protocol']
    what = with_count(protocol['features'] or 'pixels', protocol['num_samples'])
    weights = f'weights_{(protocol["weights_sha256"] or "")[:8]}'
    choices = (('raw', arguments.raw), (f'seed_{arguments.seed}', arguments.seed), (weights, arguments.weights))
    others = [name for name, given in choices if given]
    return '_'.join([f'step_{report["step"]:06d}', what, *others]) + '.json'


def table(report: dict[str, Any]) -> str:
    """The scores beside those of real images, and the diagnostics of the critic."""
    protocol = report['protocol']
    beside = [report['floor']]
    headings = [f'real ({protocol["num_held_out"]})']
    if report['as_many']:
        beside, headings = [report['as_many'], *beside], [f'only {protocol["num_held_out"]}', *headings]
    features = protocol['features'] or 'no feature network'
    lines = [
        f'{report["run"]}, step {report["step"]}: {protocol["num_samples"]} samples ({protocol["generator"]} generator) against '
        f'{protocol["num_real"]} training images; {features}',
        f'"real": {protocol["num_held_out"]} held-out images in place of samples',
        f'{"":40}{"samples":>12}{"".join(f"{heading:>14}" for heading in headings)}',
    ]
    for name, value in report['scores'].items():
        others = [{without_count(other): number for other, number in column.items()}.get(without_count(name)) for column in beside]
        cells = [f'{"" if other is None else f"{other:.4g}":>14}' for other in others]
        lines.append(f'{name:40}{value:>12.4g}{"".join(cells)}')
    critic = {name: value for name, value in report['critic'].items() if isinstance(value, float)}
    lines += ['', *(f'{name:40}{value:>12.4g}' for name, value in critic.items())]
    return '\n'.join(lines)


def _draw(
    report: dict[str, Any], clip_value: float | None, samples: np.ndarray, scoring: Scoring, run_dir: Path, directory: Path
) -> None:
    shown, half = samples[:_SHOWN], samples[: _SHOWN // 2]
    save_png(grid(shown), directory / 'samples.png')
    plots.nearest(half, scoring.scorer.nearest(half), directory / 'nearest.png')
    plots.critic(report['critic'], clip_value, directory / 'critic.png')
    if 'classes' in report:
        plots.classes(report['classes'], report.get('classes_of_real'), directory / 'classes.png')
    records = read_evaluations(run_dir)
    if len(records) > 1:
        names = [name for name in records[-1]['scores'] if '_error_' not in name]
        plots.progress(records, names, directory / 'progress.png')
