"""A critic as a map: its value all over the plane, for data that are points."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes

from wgan_jax.data.toys import SHAPE

_SIDE = 128  # points of the grid along each axis, as in the WGAN-GP authors' gan_toy.py
_LEVELS = 20
REAL, FAKE = '#d62728', '#2a6fbb'


def draw_surface(
    axes: Axes, score: Callable[[np.ndarray], np.ndarray], real: np.ndarray, fake: np.ndarray, *, limit: float
) -> tuple[float, float]:
    """Draws contour lines of a critic's value, with real and generated points over them (Gulrajani et al. 2017, figure 1a).

    Lines are dark where the critic takes points for generated and yellow where it takes them for real.

    Args:
      axes: where to draw.
      score: the critic, float32 [N, 1, 1, 2] -> [N].
      real: points [N, 2], or [N, 1, 1, 2]; a few hundred can be told from each other.
      fake: generated points, likewise.
      limit: the picture shows both coordinates from -limit to limit; points outside are not seen.

    Returns:
      The smallest and the largest value in the picture: contour lines alone do not tell how steep a critic is.
    """
    line = np.linspace(-limit, limit, _SIDE, dtype=np.float32)
    grid = np.stack(np.meshgrid(line, line), axis=-1)  # [y, x, 2]
    values = np.asarray(score(grid.reshape(-1, *SHAPE))).reshape(_SIDE, _SIDE)
    low, high = float(values.min()), float(values.max())
    if low < high:  # a constant critic has no lines
        axes.contour(line, line, values, levels=_LEVELS, cmap='viridis', linewidths=0.8, alpha=0.7)
    for points, colour, label in ((fake, FAKE, 'generated'), (real, REAL, 'real')):
        x, y = np.asarray(points).reshape(-1, 2).T
        axes.plot(x, y, '.', color=colour, markersize=4, alpha=0.7, markeredgewidth=0, label=label)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect='equal')
    return low, high
