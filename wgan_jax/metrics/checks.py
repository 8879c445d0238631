"""Checks of the arguments of the metrics."""

import numpy as np


def check_features(least: int, **sets: np.ndarray) -> None:
    """Refuses sets that are not finite features [N, D] with N at least `least` and the same D.

    Raises:
      ValueError: names the set and what it holds.
    """
    first = next(iter(sets))
    for name, features in sets.items():
        if features.ndim != 2 or len(features) < least or features.shape[1] == 0:
            raise ValueError(f'{name} must be features [N, D] with N at least {least}, not {list(features.shape)}')
        if features.shape[1] != sets[first].shape[1]:
            raise ValueError(f'{name} has {features.shape[1]} features per item, {first} has {sets[first].shape[1]}')
        if np.issubdtype(features.dtype, np.floating) and not np.isfinite(features).all():
            raise ValueError(f'{name} holds a number that is not finite')


def check_images(least: int, **sets: np.ndarray) -> None:
    """Refuses sets that are not uint8 images [N, H, W, C] with N at least `least` and the same height, width and channels.

    Raises:
      ValueError: names the set and what it holds.
    """
    first = next(iter(sets))
    for name, images in sets.items():
        if images.dtype != np.uint8 or images.ndim != 4 or len(images) < least or 0 in images.shape:
            found = f'{images.dtype} {list(images.shape)}'
            raise ValueError(f'{name} must be uint8 images [N, H, W, C] with N at least {least}, not {found}')
        if images.shape[1:] != sets[first].shape[1:]:
            raise ValueError(f'{name} has images {list(images.shape[1:])}, {first} has {list(sets[first].shape[1:])}')
