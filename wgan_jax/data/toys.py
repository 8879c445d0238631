"""Points: three distributions in the plane, for which a critic can be plotted, and those of funnels.py.

Source of the shapes and scales in the plane: igul222/improved_wgan_training, commit fa66c57, gan_toy.py.
"""

import functools
import math
from collections.abc import Callable

import numpy as np

from wgan_jax.data.source import POINT_SHAPE, Source, choose, held_out

SPLITS = {'train': (0, 65_536), 'test': (1, 8_192)}  # split: (seed, number of points)
_ROOT_HALF = math.sqrt(0.5)
_EIGHT = [(1, 0), (-1, 0), (0, 1), (0, -1), *((x * _ROOT_HALF, y * _ROOT_HALF) for x in (1, -1) for y in (1, -1))]
# The centres of a mixture of Gaussians, and the standard deviation of each.
CENTRES = {
    'gaussians_8': (np.array(_EIGHT, np.float32) * math.sqrt(2), 0.02 / math.sqrt(2)),
    'gaussians_25': (np.array([(x, y) for x in range(-2, 3) for y in range(-2, 3)], np.float32) * _ROOT_HALF, 0.05 / math.sqrt(8)),
}


def gaussians(name: str, count: int, seed: int) -> np.ndarray:
    """Points [N, 2], float32, around the centres of a name in CENTRES."""
    centres, deviation = CENTRES[name]
    random = np.random.Generator(np.random.Philox(seed))
    points = centres[random.integers(0, len(centres), count)] + deviation * random.standard_normal((count, 2))
    return points.astype(np.float32)


def swiss_roll(count: int, seed: int) -> np.ndarray:
    """Points [N, 2], float32, along a spiral."""
    from sklearn.datasets import make_swiss_roll  # slow to import

    points = make_swiss_roll(count, noise=0.25, random_state=seed)[0][:, [0, 2]] / 7.5
    return np.ascontiguousarray(points, np.float32)


TOYS: dict[str, Callable[[int, int], np.ndarray]] = {  # name: (number of points, seed) -> [N, 2]
    **{name: functools.partial(gaussians, name) for name in CENTRES},
    'swiss_roll': swiss_roll,
}


def source_of_toy(name: str) -> Callable[..., Source]:
    """Returns a function that makes the Source of a toy: float32 coordinates [N, 1, 1, 2], not scaled."""

    def source(split: str = 'train') -> Source:
        seed, count = SPLITS[choose('split', split, SPLITS)]

        def load() -> np.ndarray:
            return TOYS[name](count, seed).reshape(-1, *POINT_SHAPE)

        return Source(POINT_SHAPE, count, load, np.float32, held_out(source, split))

    return source


def w1_funnels(dimension: int = 2, funnels: int = 4, split: str = 'train') -> Source:
    """The data set w1_funnels: points of P of the pair with so many funnels, float32 [N, 1, 1, dimension], not scaled."""
    from wgan_jax.data.funnels import load, points_of_p  # imports jax, which the processes that prepare images do without

    seed, count = SPLITS[choose('split', split, SPLITS)]
    pair = load(dimension, funnels)
    options = {'dimension': dimension, 'funnels': funnels}
    return Source(
        (1, 1, dimension),
        count,
        lambda: points_of_p(pair, count, seed).reshape(-1, 1, 1, dimension),
        np.float32,
        held_out(w1_funnels, split, **options),
    )
