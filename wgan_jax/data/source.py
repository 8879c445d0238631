"""What a data set is to the rest: the shape of its images, their number if it is known, and a way to load them."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wgan_jax.errors import UserError


class Source(NamedTuple):
    """A data set that has not been read yet."""

    image_shape: tuple[int, int, int]  # (height, width, channels)
    num_images: int | None  # None: only reading tells
    load: Callable[[], np.ndarray]  # [N, H, W, C] of that type, memory-mapped where it came from a file
    dtype: type = np.uint8  # or float32, for what is given to the networks as it is


def make_source(builders: dict[str, Callable[..., Source]], name: str, fraction: float, options: dict[str, Any]) -> Source:
    """Builds the source `name`; nothing is read yet.

    Args:
      builders: functions that make a Source, by name.
      name: a name in `builders`.
      fraction: share of the images to use, in (0, 1]: the first ones, in an order that does not depend on their content.
      options: keyword arguments of the builder; None stands for its own default.

    Raises:
      UserError: the source is unknown or has no such option, or the fraction is out of range.
    """
    if name not in builders:
        raise UserError(f'config.data.name={name!r} is unknown; known: {", ".join(builders)}.')
    if not 0 < fraction <= 1:
        raise UserError(f'config.data.fraction={fraction} must be greater than 0 and at most 1.')
    given = {option: value for option, value in options.items() if value is not None}
    known = inspect.signature(builders[name]).parameters
    for option in sorted(given.keys() - known.keys() - {'dir'}):
        raise UserError(
            f'config.data.{option}={given[option]!r} does not apply to config.data.name={name}, which takes only '
            f'{", ".join(known)}: set it to None.'
        )
    for option in ('dir', 'folder', 'manual_dir'):
        if option in given:
            expanded(option, given[option])
    source = builders[name](**{option: value for option, value in given.items() if option in known})

    def part(count: int) -> int:
        return max(1, round(count * fraction))

    return source._replace(
        num_images=None if source.num_images is None else part(source.num_images),
        load=lambda: (images := source.load())[: part(len(images))],
    )


def choose(option: str, value: Any, known: Any) -> Any:
    """The value, if it is one of those known.

    Raises:
      UserError: it is not; the message lists them.
    """
    if value not in known:
        raise UserError(f'config.data.{option}={value!r} is unknown here; known: {", ".join(map(str, known))}.')
    return value


def positive(option: str, value: int) -> int:
    """The value, if it is greater than 0.

    Raises:
      UserError: it is not.
    """
    if value < 1:
        raise UserError(f'config.data.{option}={value} must be greater than 0.')
    return value


def expanded(option: str, value: str) -> Path:
    """The path a person gave, without ~.

    Raises:
      UserError: it is the home of somebody whom this machine does not know.
    """
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise UserError(f'config.data.{option}={value!r} begins with the home of nobody here: check the path.') from error


def existing(option: str, value: str) -> Path:
    """The path a person gave, if something is there.

    Raises:
      UserError: nothing is there, or it cannot be looked at.
    """
    if not value:
        raise UserError(f'config.data.{option} is empty: give a path.')
    path = expanded(option, value)
    try:
        path.stat()
    except OSError as error:
        raise UserError(f'config.data.{option}={value} cannot be read ({error.strerror}): check the path.') from error
    return path


POINT_SHAPE = (1, 1, 2)  # of a point in the plane, as an image of one pixel with two channels


def is_plane(image_shape: tuple[int, ...]) -> bool:
    """Whether what looks like an image is a point in the plane."""
    return tuple(image_shape) == POINT_SHAPE
