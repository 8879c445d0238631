"""Scores a checkpoint of a run, and writes every number with its whole protocol.

    python -m wgan_jax.evaluate --workdir=RUN                  # the newest checkpoint; --step=N or --step=best for another
    python -m wgan_jax.evaluate --workdir=RUN --images=DIR     # and the samples, and real images, as PNGs for other tools

It writes evaluation.json into the run's directory, and pictures into evaluation/ there.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wgan_jax.errors import UserError
from wgan_jax.runs.files import make_directories, path_of

_MOST_SHOWN = 64  # samples with their nearest images of training


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m wgan_jax.evaluate', description='Scores a checkpoint of a run.', allow_abbrev=False
    )
    parser.add_argument('--workdir', required=True, help='directory of the run')
    parser.add_argument('--step', help="number of a checkpoint, or 'best', by the run's best_metric; default: the newest")
    parser.add_argument('--out', type=path_of, help='where evaluation.json and evaluation/ are written; default: the workdir')
    parser.add_argument('--num_samples', type=int, help='generated images; default: eval_num_samples of the run')
    parser.add_argument('--features', help='digits_cnn, mnist_cnn, celeba_attributes, inception or none; default: what fits')
    parser.add_argument('--weights', help='file with the weights of inception or celeba_attributes')
    parser.add_argument('--seed', type=int, default=0, help='of the latents and of every other choice; default: 0')
    parser.add_argument('--raw', action='store_true', help='the generator itself, even if the run has an average of it')
    parser.add_argument('--images', type=path_of, help='directory to write the samples and as many real images to, as PNGs')
    for name in ('dir', 'manual_dir', 'folder'):
        parser.add_argument(f'--data.{name}', dest=name, help=f'instead of config.data.{name} of the run')
    parsed = parser.parse_args(arguments)
    if not 0 <= parsed.seed < 2**32:
        parser.error(f'--seed={parsed.seed} must be at least 0 and less than 2^32')
    return parsed


def evaluate(arguments: argparse.Namespace) -> dict[str, Any]:
    """Does what the command line says, and returns what is in evaluation.json.

    Raises:
      UserError: the run, its images or the weights of the feature network are not to be had.
    """
    from wgan_jax.data import identity, source_of
    from wgan_jax.data.source import is_plane
    from wgan_jax.evaluate import scoring
    from wgan_jax.runs.experiment import check_scores
    from wgan_jax.runs.files import replace_file, save_images
    from wgan_jax.runs.saved_run import open_run

    changes = {
        'eval_num_samples': arguments.num_samples,
        'eval_features': arguments.features,
        'eval_weights': arguments.weights,
        **{f'data.{name}': getattr(arguments, name) for name in ('dir', 'manual_dir', 'folder')},
    }
    folders = [arguments.images / name for name in ('samples', 'real')] if arguments.images is not None else []
    run = open_run(arguments.workdir, arguments.step, changes)
    out = arguments.out or Path(arguments.workdir).expanduser()
    make_directories(out, *folders)
    run.config.best_metric = None  # that was for training
    source = source_of(run.config.data)
    if is_plane(source.image_shape):
        raise UserError(f'{arguments.workdir} was trained on points, and the scores are made for images: look at its samples/.')
    check_scores(run.config, source.image_shape)
    images = source.load()
    if identity(images) != run.data_set:
        raise UserError(
            f'{arguments.workdir} was trained on other images ({run.data_set}) than are there now ({identity(images)}): '
            'say with --data.dir, --data.manual_dir or --data.folder where they are.'
        )
    state = run.state.replace(ema=None) if arguments.raw else run.state
    evaluate_state = scoring.Evaluation(run.config, run.experiment, images, seed=arguments.seed)
    samples = evaluate_state.samples(state)
    report = {'run': str(arguments.workdir), 'step': run.step, **evaluate_state(state, samples)}
    if arguments.raw:
        report['protocol']['generator'] = 'raw'
    try:
        replace_file(out / 'evaluation.json', (json.dumps(report, indent=1) + '\n').encode())
        _draw(report, run.config.clip_value, samples, evaluate_state, Path(arguments.workdir).expanduser(), out / 'evaluation')
        for folder, exported in zip(folders, (samples, evaluate_state.scorer.real(len(samples))), strict=False):
            save_images(exported, (folder / f'{number:06d}.png' for number in itertools.count()))
    except OSError as error:
        raise UserError(f'{error.filename or out} cannot be written ({error.strerror}): give another --out or --images.') from error
    return report


def table(report: dict[str, Any]) -> str:
    """The scores beside those of real images, and what the critic tells."""
    from wgan_jax.metrics.scores import without_count

    protocol = report['protocol']
    beside = [report['floor']]
    headings = [f'real ({protocol["num_held_out"]})']
    if report['as_many']:
        beside, headings = [report['as_many'], *beside], [f'only {protocol["num_held_out"]}', *headings]
    features = protocol['features'] or 'no feature network'
    lines = [
        f'{report["run"]}, step {report["step"]}: {protocol["num_samples"]} samples ({protocol["generator"]} generator) against '
        f'{protocol["num_real"]} images of training; {features}',
        f'"real": {protocol["num_held_out"]} images that were kept out of training, in the place of samples',
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
    report: dict[str, Any], clip_value: float | None, samples: np.ndarray, evaluated: Any, workdir: Path, directory: Path
) -> None:
    from wgan_jax.evaluate import plots
    from wgan_jax.runs import files, record
    from wgan_jax.sample import grid

    shown = samples[:_MOST_SHOWN]
    files.save_png(grid.grid(shown), directory / 'samples.png')
    plots.nearest(shown[: _MOST_SHOWN // 2], evaluated.scorer.nearest(shown[: _MOST_SHOWN // 2]), directory / 'nearest.png')
    plots.critic(report['critic'], clip_value, directory / 'critic.png')
    if 'classes' in report:
        plots.classes(report['classes'], report.get('classes_of_real'), directory / 'classes.png')
    records = record.read_evaluations(workdir)
    if len(records) > 1:
        names = [name for name in records[-1]['scores'] if '_error_' not in name]
        plots.progress(records, names, directory / 'progress.png')


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parsed = parse(sys.argv[1:] if arguments is None else arguments)
    from wgan_jax.devices import compiling
    from wgan_jax.runs import terminal

    terminal.keep_orbax_quiet()
    compiling.use_compilation_cache()
    try:
        print(table(evaluate(parsed)))
    except UserError as error:
        sys.exit(f'Error: {error}')
    out = parsed.out or Path(parsed.workdir)
    print(f'\nWritten: {out / "evaluation.json"} with the whole protocol, and pictures in {out / "evaluation"}.')


if __name__ == '__main__':
    from wgan_jax.runs.terminal import outlast_the_terminal

    outlast_the_terminal()
    main()
