"""Data sets, by name. Each is one array [N, H, W, C] of uint8 images or float32 points; plan.py says which ones a step sees."""

import inspect
from collections.abc import Callable
from typing import Any

from wgan_jax.data import celeba, digits, folder, lsun, mnist, toys
from wgan_jax.data.cache import identity
from wgan_jax.data.source import Source
from wgan_jax.errors import UserError

__all__ = ['SOURCES', 'identity', 'make_source']

SOURCES: dict[str, Callable[..., Source]] = {
    'celeba': celeba.source,
    'digits': digits.source,
    'folder': folder.source,
    'lsun_bedroom': lsun.source,
    'mnist': mnist.source,
    **{name: toys.source_of_toy(name) for name in toys.TOYS},
}


def make_source(name: str, fraction: float = 1.0, **options: Any) -> Source:
    """Describes a data set; nothing is read before `load` is called.

    Args:
      name: a name in SOURCES.
      fraction: share of the images to use, in (0, 1]. It takes the first ones, in an order that does not depend on their content.
        The held-out images are always whole.
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
    known = inspect.signature(SOURCES[name]).parameters
    for option in sorted(given.keys() - known.keys() - {'dir'}):
        raise UserError(
            f'config.data.{option}={given[option]!r} does not apply to config.data.name={name}, which takes only '
            f'{", ".join(known)}: set it to None.'
        )
    source = SOURCES[name](**{option: value for option, value in given.items() if option in known})

    def part(count: int) -> int:
        return max(1, round(count * fraction))

    return source._replace(
        num_images=None if source.num_images is None else part(source.num_images),
        load=lambda: (images := source.load())[: part(len(images))],
    )
