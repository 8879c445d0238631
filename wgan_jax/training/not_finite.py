"""Divergence: detected within one call, and reported with advice."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.data.source import is_points
from wgan_jax.errors import UserError

_SHOWN = 3  # arrays in a message
_EXPLODED = 10  # times the largest distance between two images: such an estimate is no longer one of a distance


class Diverged(UserError):
    """A value of the state or of the metrics is not finite."""

    def __init__(
        self, state: Any, sums: dict[str, jax.Array], before: int, after: int, saved_step: int | None, rewinds: int
    ) -> None:
        """Names the values that are not finite.

        Args:
          state: both players.
          sums: summed metrics.
          before: rounds done when all values were finite.
          after: rounds done now.
          saved_step: step of the last checkpoint, None without one.
          rewinds: how often the run has gone back so far.
        """
        self.saved_step, self.rewinds = saved_step, rewinds
        leaves = jax.tree_util.tree_leaves_with_path(jax.device_get((sums, state)))
        # Metrics first: they say more than the names of arrays.
        names = [jax.tree_util.keystr(path[1:], simple=True, separator='.') for path, leaf in leaves if not np.isfinite(leaf).all()]
        more = f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
        super().__init__(
            f'Training diverged between steps {before} and {after}: {", ".join(names[:_SHOWN])}{more} '
            f'{"are" if len(names) > 1 else "is"} not finite.'
        )

    def advice(self, max_rewinds: int) -> str:
        """What is saved, and what to try, for a run that ends here."""
        has_checkpoint = self.saved_step is not None
        saved = f'The last checkpoint is that of step {self.saved_step}.' if has_checkpoint else 'Nothing is saved yet.'
        others = 'a smaller learning rate or another config.seed, with another --workdir'
        if max_rewinds:
            return f'{saved} The run has gone back {self.rewinds} times already: try {others}, or a larger config.max_rewinds.'
        back = 'goes back to it and continues with other noise' if has_checkpoint else 'starts again with other noise'
        return f'{saved} Try --config.on_nan=rewind, which {back}, or {others}.'


def all_finite(tree: Any) -> jax.Array:
    """Whether all values of a tree are finite, a boolean scalar."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))


class Watch:
    """Warns of an estimate that grows without limit while it is still finite."""

    def __init__(self, image_shape: tuple[int, ...], clip_value: float | None) -> None:
        """Sets the limit for images of shape (H, W, C).

        Images have values in [-1, 1]. So the estimate of a critic with slopes of at most 1 cannot exceed the diagonal of that cube.
        Points are not watched, since they lie anywhere, nor is a clipped critic: its slopes can have any size, and the clipping
        bounds them.
        """
        self._diagonal = 2 * math.sqrt(math.prod(image_shape))
        bounded = clip_value is None and not is_points(image_shape)
        self._limit = _EXPLODED * self._diagonal if bounded else math.inf

    def warning(self, step: int, estimate: float) -> str | None:
        """A sentence at the first estimate beyond the limit, and again when it has grown tenfold."""
        if abs(estimate) <= self._limit:
            return None
        self._limit = 10 * abs(estimate)
        return (
            f'Warning: at step {step} the estimate is {estimate:.3g}, and two images of this size are at most {self._diagonal:.3g} '
            'apart: the critic has slopes far above 1, and training is about to diverge. Try a smaller learning rate, or a larger '
            'config.gp_weight.'
        )
