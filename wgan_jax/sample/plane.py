"""Pictures of points, in the plane with the value surface of a critic, of more dimensions by their first two coordinates."""

import functools
from collections.abc import Callable

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from wgan_jax.algorithm.state import GANState
from wgan_jax.data.source import POINT_SHAPE, is_plane
from wgan_jax.sample.colours import FAKE, REAL

_SIDE = 128  # points of the grid along each axis, as in the WGAN-GP authors' gan_toy.py
_LEVELS = 20
_MARGIN = 1.3  # the picture's limit, relative to the largest coordinate of the real points


def draw_surface(
    axes: Axes, score: Callable[[np.ndarray], np.ndarray], real: np.ndarray, fake: np.ndarray, *, limit: float
) -> tuple[float, float]:
    """Draws contour lines of a critic's value, with real and generated points over them (Gulrajani et al. 2017, figure 1a).

    Lines are dark where scores are low, and yellow where they are high.

    Args:
      axes: where to draw.
      score: the critic, float32 [N, 1, 1, 2] -> [N].
      real: points [N, 2] or [N, 1, 1, 2]; up to a few hundred stay distinguishable.
      fake: generated points, in the same form.
      limit: the picture shows both coordinates from -limit to limit.

    Returns:
      The smallest and the largest value in the picture: contour lines alone do not show how steep a critic is.
    """
    line = np.linspace(-limit, limit, _SIDE, dtype=np.float32)
    grid = np.stack(np.meshgrid(line, line), axis=-1)  # [y, x, 2]
    values = np.asarray(score(grid.reshape(-1, *POINT_SHAPE))).reshape(_SIDE, _SIDE)
    low, high = float(values.min()), float(values.max())
    if low < high:  # a constant critic has no lines
        axes.contour(line, line, values, levels=_LEVELS, cmap='viridis', linewidths=0.8, alpha=0.7)
    for points, colour, label in ((real, REAL, 'real'), (fake, FAKE, 'generated')):
        x, y = np.asarray(points).reshape(-1, 2).T
        axes.plot(x, y, '.', color=colour, markersize=4, alpha=0.7, markeredgewidth=0, label=label)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect='equal')
    return low, high


def picture(real: np.ndarray, fake: np.ndarray | None = None, state: GANState | None = None) -> np.ndarray:
    """The picture of a run on points: uint8 [480, 480, 3].

    Of points with more than two coordinates it shows the first two, and no critic, whose value depends on all of them.

    Args:
      real: points [N, 1, 1, D]; they determine which part of the plane is shown.
      fake: generated points [M, 1, 1, D].
      state: arrays on this machine; its critic is drawn.
    """
    figure = Figure(figsize=(4.8, 4.8), dpi=100, layout='constrained')
    axes = figure.subplots()
    has_surface = state is not None and is_plane(real.shape[1:])
    score = functools.partial(_score, state) if has_surface else (lambda points: np.zeros(len(points)))
    shown, generated = real[..., :2], real[:0, ..., :2] if fake is None else fake[..., :2]
    draw_surface(axes, score, shown, generated, limit=_MARGIN * float(np.abs(shown).max()))
    axes.set_title(('real points' if state is None else f'step {state.step}') + _which(real))
    figure.legend(loc='outside lower center', ncols=2, markerscale=2)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


@jax.jit
def _score(state: GANState, points: jax.Array) -> jax.Array:
    weights = {'params': state.critic.params, 'batch_stats': state.critic.batch_stats}
    return state.critic.apply_fn(weights, points, train=False)


def scatter(points: np.ndarray) -> Figure:
    """A picture of generated points [N, 1, 1, D]: of their first two coordinates."""
    figure = Figure(figsize=(5, 5), layout='constrained')
    axes = figure.subplots()
    axes.scatter(*points[:, 0, 0, :2].T, s=4, alpha=0.5, color=FAKE, linewidths=0)
    axes.set(xlabel='x', ylabel='y', aspect='equal', title=f'{len(points)} generated points{_which(points)}')
    return figure


def _which(points: np.ndarray) -> str:
    """Which coordinates of points [N, 1, 1, D] a picture shows, for its title; '' if all."""
    return '' if is_plane(points.shape[1:]) else f', first two of {points.shape[-1]} coordinates'
