"""Makes pictures with the generator of a run, or with an exported one.

    python -m wgan_jax.sample --workdir=RUN                    # a grid of 64 samples, of seeds 0 to 63
    python -m wgan_jax.sample --workdir=RUN --seeds=3,17,40-49 # the very samples of these seeds
    python -m wgan_jax.sample --workdir=RUN --num_images=50000 --images=DIR  # each as a PNG of its own, named by its seed
    python -m wgan_jax.sample --workdir=RUN --walk             # GIF and MP4: walks from sample to sample
    python -m wgan_jax.sample --workdir=RUN --training         # GIF and MP4: the pictures that the run has left
    python -m wgan_jax.sample --generator=FILE                 # all but the last with what python -m wgan_jax.export wrote

It writes into generated/ in the run's directory, or beside FILE. The same command gives the same bytes, and a seed the same image
whatever else is asked for.
"""

import argparse
import functools
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wgan_jax.data.source import is_plane
from wgan_jax.errors import UserError
from wgan_jax.runs.files import make_directories, path_of
from wgan_jax.sample import seeds

if TYPE_CHECKING:
    from wgan_jax.export.stablehlo import Generator  # slow to import

_IMAGES, _POINTS, _WALKS = 64, 2500, 9  # in a picture, unless --num_images says otherwise
_STOPS, _FRAMES = 4, 25  # latents on a walk, and frames from one to the next: a second
_MOST_WALKS = 16


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m wgan_jax.sample', description='Makes pictures with a generator.', allow_abbrev=False
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--workdir', help='directory of the run')
    source.add_argument('--generator', type=path_of, help='generator.stablehlo that python -m wgan_jax.export wrote')
    parser.add_argument('--step', help="number of a checkpoint, or 'best', by the run's best_metric; default: the newest")
    parser.add_argument('--raw', action='store_true', help='the generator itself, even if the run has an average of it')
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--seeds', type=seeds.parse, help='of the images, such as 0,1,5-9; with --walk, the stops of one walk')
    which.add_argument('--seed', type=int, help='of the first image; those after it have the next ones; default: 0')
    parser.add_argument('--num_images', type=int, help='images, or walks side by side; default: 64, 2500 points, or 9 walks')
    parser.add_argument('--truncation', type=float, help='draw entries of latents beyond this size anew; default: none')
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument('--images', type=path_of, help='directory, new or empty, for each image as a PNG, in the place of a grid')
    kind.add_argument('--walk', action='store_true', help='a way through latents and back to the first, as GIF and MP4')
    kind.add_argument('--training', action='store_true', help='the pictures that the run has left, as GIF and MP4')
    parser.add_argument('--out', type=path_of, help='directory of what is written; default: generated in that of the run or file')
    parsed = parser.parse_args(arguments)
    if complaint := _complaint(parsed):
        parser.error(complaint)
    return parsed


def _complaint(parsed: argparse.Namespace) -> str | None:
    """What is wrong with the options, if anything is."""
    of_run = ('step', 'raw')
    contradictions = {
        'training': ('generator', 'seeds', 'seed', 'num_images', 'truncation', *of_run),
        'generator': of_run,
        'seeds': ('num_images',),
    }
    given = {name for name, value in vars(parsed).items() if value is not None and value is not False}
    for name, others in contradictions.items():
        for other in others:
            if {name, other} <= given:
                return f'--{other} has no meaning with --{name}: leave one out'
    if parsed.truncation is not None and not 0 < parsed.truncation < math.inf:
        return f'--truncation={parsed.truncation:g} must be greater than 0'
    most = _MOST_WALKS if parsed.walk else seeds.MOST
    if parsed.num_images is not None and not 1 <= parsed.num_images <= most:
        return f'--num_images={parsed.num_images} must be from 1 to {most}'
    if not 0 <= (parsed.seed or 0) < seeds.END - seeds.MOST:
        return f'--seed={parsed.seed} must be at least 0 and less than 2^32 - {seeds.MOST}'
    return None


def sample(arguments: argparse.Namespace) -> list[Path]:
    """Does what the command line says, and returns what it has written.

    Raises:
      UserError: there is no such run, checkpoint or exported generator, it cannot do that, or files cannot be written.
    """
    from wgan_jax.devices import compiling
    from wgan_jax.runs import files
    from wgan_jax.sample import generator as sampling
    from wgan_jax.sample import grid, movies

    out = arguments.out or (arguments.generator.parent if arguments.generator else path_of(arguments.workdir)) / 'generated'
    try:
        if arguments.training:
            return movies.save(movies.training(path_of(arguments.workdir)), out / 'training', movies.TRAINING_RATE)
        generator = _generator(arguments)
        plane = is_plane(generator.image_shape)
        if plane and (arguments.walk or arguments.images):
            raise UserError('This generator makes points in the plane, which one picture shows: leave --walk and --images out.')
        draw = compiling.compiled(
            functools.partial(sampling.latents, latent_dim=generator.latent_dim, truncation=arguments.truncation)
        )
        if arguments.walk:
            return movies.save(_walk(generator, draw, arguments), out / 'walk', movies.WALK_RATE)
        numbers = _numbers(arguments, _POINTS if plane else _IMAGES)
        batches = sampling.in_batches(lambda part: generator.call(draw(part)), numbers)
        if arguments.images:
            make_directories(arguments.images.parent, arguments.images)
            images = (image for batch in batches for image in sampling.to_uint8(batch))
            files.save_images(images, (arguments.images / f'{number:06d}.png' for number in numbers))
            return [arguments.images]
        path = out / 'grid.png'
        if plane:
            _scatter(np.concatenate([*batches]), path)
        else:
            _check_size(generator, len(numbers))
            files.save_png(grid.grid(np.concatenate([sampling.to_uint8(batch) for batch in batches])), path)
        return [path]
    except OSError as error:
        raise UserError(f'{error.filename or out} cannot be written ({error.strerror}): give another --out or --images.') from error


def _generator(arguments: argparse.Namespace) -> 'Generator':
    from wgan_jax.export import stablehlo
    from wgan_jax.runs.saved_run import open_run

    if arguments.generator:
        return stablehlo.load(arguments.generator)
    run = open_run(arguments.workdir, arguments.step)
    state = run.state.replace(ema=None) if arguments.raw else run.state
    return stablehlo.of_exported(stablehlo.export_generator(state, run.config.latent_dim))


def _numbers(arguments: argparse.Namespace, count: int, each: int = 1) -> np.ndarray:
    """The seeds that are asked for, uint32: those given, or `each` for as many images as are wanted, or else for `count`."""
    first = arguments.seed or 0
    return np.asarray(arguments.seeds or range(first, first + (arguments.num_images or count) * each), np.uint32)


def _walk(generator: 'Generator', draw: Callable[..., Any], arguments: argparse.Namespace) -> list[np.ndarray]:
    """Frames of walks side by side: one through the seeds that are given, or some through four of those that follow each."""
    from wgan_jax.sample import generator as sampling
    from wgan_jax.sample import grid, walks

    count = 1 if arguments.seeds else arguments.num_images or _WALKS
    stops = _numbers(arguments, _WALKS, each=_STOPS)
    num_frames = len(stops) // count * _FRAMES
    _check_size(generator, count * num_frames)
    latents = np.concatenate([*sampling.in_batches(draw, stops)]).reshape(count, -1, generator.latent_dim)
    steps = np.stack([walks.loop(way, _FRAMES) for way in latents], axis=1).reshape(-1, generator.latent_dim)
    images = np.concatenate([sampling.to_uint8(batch) for batch in sampling.in_batches(generator.call, steps)])
    return [grid.grid(frame) for frame in images.reshape(num_frames, count, *images.shape[1:])]


def _check_size(generator: 'Generator', count: int) -> None:
    """Refuses more images than one picture, or all frames of a walk, have room for."""
    from wgan_jax.runs import memory_limits
    from wgan_jax.sample import grid

    size = grid.grid_bytes(count, generator.image_shape)
    if size > memory_limits.PICTURE_BYTES:
        most = memory_limits.gib(memory_limits.PICTURE_BYTES)
        raise UserError(
            f'{count} images make pictures of {memory_limits.gib(size)}, and {most} is the most: ask for fewer, or give --images.'
        )


def _scatter(points: np.ndarray, path: Path) -> None:
    """A picture of points [N, 1, 1, 2]."""
    from matplotlib.figure import Figure

    from wgan_jax.runs.files import save_figure

    figure = Figure(figsize=(5, 5), layout='constrained')
    axes = figure.subplots()
    axes.scatter(*points.reshape(-1, 2).T, s=4, alpha=0.5, color='#2a6fbb', linewidths=0)
    axes.set(xlabel='x', ylabel='y', aspect='equal', title=f'{len(points)} generated points')
    save_figure(figure, path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parsed = parse(sys.argv[1:] if arguments is None else arguments)
    from wgan_jax.devices import compiling
    from wgan_jax.runs import terminal

    terminal.keep_orbax_quiet()
    compiling.use_compilation_cache()
    try:
        written = sample(parsed)
    except UserError as error:
        sys.exit(f'Error: {error}')
    print(f'Written: {", ".join(map(str, written))}')


if __name__ == '__main__':
    from wgan_jax.runs.terminal import outlast_the_terminal

    outlast_the_terminal()
    main()
