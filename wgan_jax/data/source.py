"""The description of a data set before it is read, and checks that the data sets share."""

import errno
import functools
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from wgan_jax.errors import UserError


class Source(NamedTuple):
    """A data set that has not been read yet."""

    image_shape: tuple[int, int, int]  # (height, width, channels)
    num_images: int | None  # None if it is known only after reading
    load: Callable[[], np.ndarray]  # [N, H, W, C] of type `dtype`, memory-mapped if it comes from a file
    dtype: type = np.uint8  # or float32, for values that are not scaled before the networks
    held_out: Callable[[], 'Source'] | None = None  # the images that a run on this split does not see, whatever its fraction
    folder: Path | None = None  # a directory of which every image, at any depth, belongs to the data set
    found: Mapping[str, Any] = MappingProxyType({})  # options whose values were found in the data, which a run records


def held_out(
    build: Callable[..., Source], split: str, others: dict[str, str] | None = None, **options: Any
) -> Callable[[], Source] | None:
    """The field `held_out` of a Source built with `split` and the options; None if no images are held out from `split`.

    `others` is {training split: held-out split}, by default {'train': 'test', 'test': 'train'}.
    """
    others = others or {'train': 'test', 'test': 'train'}
    return functools.partial(build, split=others[split], **options) if split in others else None


def choose(option: str, value: Any, known: Any) -> Any:
    """Returns the value; raises a UserError that lists the known values if it is not one of them."""
    if value not in known:
        raise UserError(f'config.data.{option}={value!r} is unknown; known: {", ".join(map(str, known))}.')
    return value


def positive(option: str, value: int) -> int:
    """Returns the value; raises a UserError if it is less than 1."""
    if value < 1:
        raise UserError(f'config.data.{option}={value} must be greater than 0.')
    return value


def existing(option: str, value: str) -> Path:
    """Returns the value as a path; raises a UserError if it is empty, does not exist or cannot be accessed."""
    if not value:
        raise UserError(f'config.data.{option} is empty: give a path.')
    path = Path(value)
    try:
        if stat.S_ISDIR(path.stat().st_mode) and not os.access(path, os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise UserError(f'config.data.{option}={value} cannot be read ({error.strerror}): check the path.') from error
    return path


def check_images(name: str, source: Source, images: np.ndarray) -> None:
    """Refuses what a data set has loaded if it is not as described, which training would not notice.

    Raises:
      UserError: the images have another type or shape, there is none, they are neither uint8 nor points, or a value is not finite.
    """
    if images.dtype != source.dtype or images.shape[1:] != tuple(source.image_shape) or not len(images):
        raise UserError(
            f'config.data.name={name} has loaded {images.dtype} of shape {images.shape}, and its Source describes '
            f'{np.dtype(source.dtype)} of shape [N, {", ".join(map(str, source.image_shape))}], N at least 1: correct one of them.'
        )
    if images.dtype.kind == 'f' and not is_points(source.image_shape):
        raise UserError(
            f'config.data.name={name} has loaded {images.dtype} of shape {images.shape}: images are uint8 from 0 to 255, and '
            'points [N, 1, 1, D] have 2 or at least 4 coordinates.'
        )
    if images.dtype.kind == 'f' and not np.isfinite(images).all():
        raise UserError(f'config.data.name={name} has loaded a value that is not finite: remove or repair it.')


POINT_SHAPE = (1, 1, 2)  # a point in the plane is an image of one pixel with two channels


def is_plane(image_shape: tuple[int, ...]) -> bool:
    """Whether images of this shape are points in the plane."""
    return tuple(image_shape) == POINT_SHAPE


def is_points(image_shape: tuple[int, ...]) -> bool:
    """Whether images of this shape are points: one pixel, whose channels are neither grey nor a colour."""
    return tuple(image_shape[:2]) == (1, 1) and image_shape[2] not in (1, 3)
