"""Runs that go wrong: noticed within one call, told with what to try."""

import math
from typing import Any

import jax
import numpy as np

from wgan_jax.errors import UserError

_NAMED = 3  # arrays that are named


class Diverged(UserError):
    """A number of the state or of the metrics is no longer finite."""

    def __init__(
        self, state: Any, sums: dict[str, jax.Array], before: int, after: int, saved_step: int | None, rewinds: int
    ) -> None:
        """Says what is no longer finite.

        Args:
          state: both players.
          sums: metrics, summed.
          before: rounds done when all were still finite.
          after: rounds done now.
          saved_step: the last checkpoint, None if there is none; for the advice.
          rewinds: how often the run has gone back so far.
        """
        self.saved_step, self.rewinds = saved_step, rewinds
        leaves = jax.tree_util.tree_leaves_with_path(jax.device_get((sums, state)))
        # The metrics come first: they say more than the arrays.
        names = [jax.tree_util.keystr(path[1:], simple=True, separator='.') for path, leaf in leaves if not np.isfinite(leaf).all()]
        more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
        super().__init__(
            f'Training diverged between steps {before} and {after}: {", ".join(names[:_NAMED])}{more} '
            f'{"are" if len(names) > 1 else "is"} no longer finite.'
        )

    def advice(self, on_nan: str) -> str:
        """What is left, and what to try, when the run ends here."""
        there = self.saved_step is not None
        saved = f'The last checkpoint is that of step {self.saved_step}.' if there else 'Nothing is saved yet.'
        others = 'a smaller learning rate or another config.seed, with another --workdir'
        if on_nan == 'rewind':
            return f'{saved} It has gone back {self.rewinds} times already: try {others}, or a larger config.max_rewinds.'
        back = 'goes back to it and on with other noise' if there else 'begins anew, with other noise'
        return f'{saved} Try --config.on_nan=rewind, which {back}, or {others}.'


class Watch:
    """Warns of an estimate that explodes while it is still finite."""

    def __init__(self, image_shape: tuple[int, ...], clip_value: float | None) -> None:
        """Takes the shape of an image, (H, W, C).

        Images have values in [-1, 1], so no critic with slopes of at most 1 tells two sets of them further apart than the diagonal
        of that cube is long. Ten times that is no estimate of a distance any more. Clipped critics have slopes of any size, and
        the clipping bounds them.
        """
        self._diagonal = 2 * math.sqrt(math.prod(image_shape))
        self._limit = math.inf if clip_value is not None else 10 * self._diagonal

    def warning(self, step: int, estimate: float) -> str | None:
        """A sentence at the first estimate beyond the limit, and again whenever it has grown tenfold."""
        if abs(estimate) <= self._limit:
            return None
        self._limit = 10 * abs(estimate)
        return (
            f'Warning: at step {step} the estimate is {estimate:.3g}, and images of this size are at most {self._diagonal:.3g} '
            'apart: the critic has slopes far above 1, and training is about to diverge. Try a smaller learning rate, or a greater '
            'config.gp_weight.'
        )
