"""The schedule of critic updates: how many each round has."""

from typing import NamedTuple


class Schedule(NamedTuple):
    """Critic updates per round in closed form; by default the same number in each round."""

    n_critic: int
    boosted: int | None = None  # critic updates of a boosted round; None: no round is boosted
    until: int = 0  # the rounds before this one are boosted
    every: int = 0  # and every round whose number is a multiple of this; 0: none

    def critic_updates(self, step: int) -> int:
        """Critic updates of round number `step`."""
        return self.updates_before(step + 1) - self.updates_before(step)

    def updates_before(self, step: int) -> int:
        """Critic updates of the first `step` rounds, added up."""
        boosted = self._boosted_before(step)
        return (step - boosted) * self.n_critic + boosted * (self.boosted or 0)

    def rounds_alike(self, step: int, stop: int) -> int:
        """A number of rounds from `step` on, before `stop`, with the same number of updates as round `step`."""
        if self.boosted is None:
            return stop - step
        if step < self.until:
            return min(self.until, stop) - step
        return min(max(1, -step % self.every) if self.every else stop - step, stop - step)

    def kinds(self, step: int, stop: int) -> set[int]:
        """The different numbers of updates of the rounds from `step` to `stop - 1`."""
        boosted = self._boosted_before(stop) - self._boosted_before(step)
        return ({self.boosted} if boosted else set()) | ({self.n_critic} if boosted < stop - step else set())

    def _boosted_before(self, step: int) -> int:
        if self.boosted is None:
            return 0
        early = min(step, self.until)
        return early + (-(-step // self.every) + -early // self.every if self.every else 0)
