"""How many critic updates each round has, and which images each of them sees: pure functions of the seed and the round."""

import functools
from typing import NamedTuple

import numpy as np


class Schedule(NamedTuple):
    """Critic updates per round, closed-form; by default the same number in each."""

    n_critic: int
    boosted: int | None = None  # updates of a boosted round; None: no round is boosted
    until: int = 0  # rounds before this one are boosted
    every: int = 0  # and so is each round whose number is a multiple of this; 0: none

    def critic_updates(self, step: int) -> int:
        """Critic updates of the round that comes after `step` rounds."""
        return self.updates_before(step + 1) - self.updates_before(step)

    def updates_before(self, step: int) -> int:
        """Critic updates of the first `step` rounds together."""
        boosted = self._boosted_before(step)
        return (step - boosted) * self.n_critic + boosted * (self.boosted or 0)

    def rounds_alike(self, step: int, stop: int) -> int:
        """Rounds from `step` on, before `stop`, that surely have the same number of updates as the first of them."""
        if self.boosted is None:
            return stop - step
        if step < self.until:
            return min(self.until, stop) - step
        return min(max(1, -step % self.every) if self.every else stop - step, stop - step)

    def kinds(self, step: int, stop: int) -> set[int]:
        """The numbers of updates that the rounds from `step` to `stop - 1` have."""
        boosted = self._boosted_before(stop) - self._boosted_before(step)
        return ({self.boosted} if boosted else set()) | ({self.n_critic} if boosted < stop - step else set())

    def _boosted_before(self, step: int) -> int:
        if self.boosted is None:
            return 0
        early = min(step, self.until)
        return early + (-(-step // self.every) + -early // self.every if self.every else 0)


def index_plan(seed: int, updates: int, rounds: int, n_critic: int, batch_size: int, num_images: int) -> np.ndarray:
    """Indices into the data set for the next `rounds` rounds of `n_critic` critic updates each.

    The run reads one endless stream of epochs, each a permutation of the data set: no image is seen twice before all were seen
    once, and the end of an epoch runs on into the next, so no batch is short and no image is dropped.

    Args:
      seed: the run's seed.
      updates: critic updates done before; see Schedule.updates_before.
      rounds: rounds to plan.
      n_critic: critic updates per round.
      batch_size: images per critic update, over all devices.
      num_images: size of the data set.

    Returns:
      int32 [rounds, n_critic, batch_size].
    """
    start = updates * batch_size
    stop = start + rounds * n_critic * batch_size
    parts = []
    while start < stop:
        epoch, offset = divmod(start, num_images)
        part = _permutation(seed, epoch, num_images)[offset : offset + stop - start]
        parts.append(part)
        start += len(part)
    return np.concatenate(parts).reshape(rounds, n_critic, batch_size)


@functools.lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, num_images: int) -> np.ndarray:
    generator = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    return generator.permutation(num_images).astype(np.int32)
