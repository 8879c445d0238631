"""The share of a data set that config.data.fraction asks for: a random choice that is the same in every run."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from wgan_jax.data.files import name_hash

Image = TypeVar('Image')
_SEED = 0  # not config.seed: runs with several seeds train on the same share


def share_size(count: int, fraction: float) -> int:
    """The number of images in a share of `count` images, at least 1."""
    return max(1, round(count * fraction))


def share(images: Sequence[Image], fraction: float, identity: Callable[[Image], Any] = str) -> list[Image]:
    """The chosen images, in their order.

    Chosen are the images whose identities, with a fixed seed, have the smallest hashes. So the order of the images does not matter,
    their number is exact, and a smaller share is part of a larger one.

    Args:
      images: whatever stands for the images: names, official numbers.
      fraction: in (0, 1].
      identity: what names an image, however it is stored.
    """
    if fraction == 1:
        return list(images)
    hashes = (int.from_bytes(name_hash(f'share {_SEED} {identity(image)}')[:8]) for image in images)
    order = np.argsort(np.fromiter(hashes, np.uint64, len(images)), kind='stable')
    return [images[i] for i in np.sort(order[: share_size(len(images), fraction)])]


def key_part(fraction: float) -> str:
    """What distinguishes the prepared array of a share in its key; '' for the whole set."""
    return '' if fraction == 1 else f'-share{fraction}'
