"""Makes the pictures that the command line asks for."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wgan_jax.data.source import is_points
from wgan_jax.devices.compiling import in_batches, use_compilation_cache
from wgan_jax.devices.parallel import check_devices
from wgan_jax.errors import UserError
from wgan_jax.export.stablehlo import Generator
from wgan_jax.runs.files import check_channels, make_directories, run_directory, save_figure, save_images, save_png
from wgan_jax.sample import movies, walks
from wgan_jax.sample.generator import BATCH, images_of, latents_of, load, to_uint8
from wgan_jax.sample.grid import check_size, grid

_IMAGES, _POINTS, _WALKS = 64, 2500, 9  # defaults of --num_images
_STOPS, _FRAMES = 4, 25  # latents on a walk, and frames from one to the next: one second


def sample(arguments: argparse.Namespace) -> list[Path]:
    """Makes the pictures, and returns the paths of what it wrote.

    Raises:
      UserError: there is no such run, checkpoint or exported generator, or it cannot do what is asked.
      OSError: a file cannot be written.
    """
    check_devices()
    use_compilation_cache()
    out = arguments.out or (arguments.generator.parent if arguments.generator else run_directory(arguments.workdir)) / 'generated'
    if arguments.training:
        pictures = movies.pictures_of_training(run_directory(arguments.workdir))
        films = movies.save(movies.film_of_training(pictures), out / 'training', movies.TRAINING_RATE)
        save_png(movies.strip_of_training(pictures), out / 'training.png')
        return [*films, out / 'training.png']
    generator = load(arguments.workdir, arguments.generator, arguments.step, raw=arguments.raw, trust_code=arguments.trust_code)
    points = is_points(generator.image_shape)
    if points and (arguments.walk or arguments.images):
        raise UserError('This generator makes points, which are shown in one picture: omit --walk and --images.')
    if arguments.walk:
        return movies.save(_walk(generator, arguments), out / 'walk', movies.WALK_RATE)
    seeds = _seeds(arguments, _POINTS if points else _IMAGES)
    batches = images_of(generator, seeds, arguments.truncation)
    if arguments.images:
        check_channels(generator.image_shape)
        return [_save_each(batches, seeds, arguments.images)]
    path = out / 'grid.png'
    if points:
        from wgan_jax.sample import plane  # imports matplotlib, which only points need

        save_figure(plane.scatter(np.concatenate([*batches])), path)
    else:
        check_size(str(len(seeds)), len(seeds), generator.image_shape, 'ask for fewer, or give --images')
        save_png(grid(np.concatenate([to_uint8(batch) for batch in batches])), path)
    return [path]


def _seeds(arguments: argparse.Namespace, count: int, each: int = 1) -> np.ndarray:
    """The seeds of the command line, uint32: --seeds, or `each` times as many as --num_images or `count`."""
    first = arguments.seed or 0
    return np.asarray(arguments.seeds or range(first, first + (arguments.num_images or count) * each), np.uint32)


def _save_each(batches: Iterator[np.ndarray], seeds: np.ndarray, directory: Path) -> Path:
    make_directories(None, directory)
    images = (image for batch in batches for image in to_uint8(batch))
    save_images(images, (directory / f'{seed:06d}.png' for seed in seeds))
    return directory


def _walk(generator: Generator, arguments: argparse.Namespace) -> list[np.ndarray]:
    """The frames of one walk through --seeds, or of several walks side by side with four stops each."""
    count = 1 if arguments.seeds else arguments.num_images or _WALKS
    stops = _seeds(arguments, _WALKS, each=_STOPS)
    num_frames = len(stops) // count * _FRAMES
    frame_shape = grid(np.zeros((count, *generator.image_shape), np.uint8)).shape
    movies.check_length(num_frames, frame_shape, 'ask for fewer walks or seeds')
    latents = latents_of(generator, stops, arguments.truncation).reshape(count, -1, generator.latent_dim)
    steps = np.stack([walks.loop(walk, _FRAMES) for walk in latents], axis=1).reshape(-1, generator.latent_dim)
    images = np.concatenate([to_uint8(batch) for batch in in_batches(generator.call, steps, BATCH)])
    return [grid(frame) for frame in images.reshape(num_frames, count, *images.shape[1:])]
