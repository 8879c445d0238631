"""Data sets, by name. Each is one array [N, H, W, C] of uint8 images or float32 points; plan.py says which ones a step sees."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from wgan_jax.data import celeba, digits, folder, lsun, mnist, toys, user_array
from wgan_jax.data.cache import identity
from wgan_jax.data.share import share, share_size
from wgan_jax.data.source import Source
from wgan_jax.errors import UserError

__all__ = ['POINTS', 'SOURCES', 'identity', 'make_source']

SOURCES: dict[str, Callable[..., Source]] = {
    'array': user_array.source,
    'celeba': celeba.source,
    'digits': digits.source,
    'folder': folder.source,
    'lsun_bedroom': lsun.source,
    'mnist': mnist.source,
    'w1_funnels': toys.w1_funnels,
    **{name: toys.source_of_toy(name) for name in toys.TOYS},
}
POINTS = ('w1_funnels', *toys.TOYS)  # those of points, not images


def make_source(name: str, fraction: float = 1.0, **options: Any) -> Source:
    """Describes a data set; nothing is read before `load` is called.

    Args:
      name: a name in SOURCES.
      fraction: share of the images to use, in (0, 1]: random ones, the same wherever the images come from; see share.share. The
        held-out images are always whole.
      **options: see the data set's function in SOURCES; None stands for its default. Paths are taken as they are, without `~`.
        `dir` is ignored by the data sets that need no directory.

    Raises:
      UserError: the data set is unknown or has no such option, or a value is out of range.
    """
    if name not in SOURCES:
        raise UserError(f'config.data.name={name!r} is unknown; known: {", ".join(SOURCES)}.')
    if not 0 < fraction <= 1:
        raise UserError(f'config.data.fraction={fraction} must be greater than 0 and at most 1.')
    given = {option: value for option, value in options.items() if value is not None}
    parameters = inspect.signature(SOURCES[name]).parameters
    known = [option for option in parameters if option != 'fraction']
    for option in sorted(given.keys() - {*known, 'dir'}):
        raise UserError(
            f'config.data.{option}={given[option]!r} does not apply to config.data.name={name}, which takes only '
            f'{", ".join(known)}: set it to None.'
        )
    given = {option: value for option, value in given.items() if option in known}
    if 'fraction' in parameters:  # its images have names
        return SOURCES[name](fraction=fraction, **given)
    source = SOURCES[name](**given)
    if fraction == 1:
        return source

    def load() -> np.ndarray:
        images = np.asarray(source.load())  # not a memory map, from which indexing would make another
        return images[share(range(len(images)), fraction)]

    return source._replace(num_images=source.num_images and share_size(source.num_images, fraction), load=load)
