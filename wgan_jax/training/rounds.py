"""Rounds of training, many per call of a compiled program; the results do not depend on how rounds are grouped into calls."""

import math
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from wgan_jax.algorithm import steps
from wgan_jax.algorithm.state import GANState
from wgan_jax.algorithm.steps import Carry
from wgan_jax.data import feed
from wgan_jax.data.array_file import check_unchanged
from wgan_jax.data.plan import index_plan
from wgan_jax.devices import compiling, parallel, processes
from wgan_jax.runs import memory_limits
from wgan_jax.runs.experiment import Experiment
from wgan_jax.training.not_finite import all_finite
from wgan_jax.training.programs import MAX_ROUNDS_PER_CALL, compile_rounds

CALL_SECONDS = 0.5  # aimed at, so that the progress bar moves and Ctrl-C is noticed


class Rounds:
    """The calls of a run, one after the other; a thread prepares the next call while one runs.

    MemberRounds has the same methods for a group of runs; here the group is the run.

    Attributes:
      step: rounds done.
      moved: for each member, whether its state is that of the last call.
      alive: for each member, whether it is still trained.
      compile_seconds: seconds that compiling took.
      on_host: whether the images stay in host memory.
    """

    moved = alive = (True,)

    def __init__(self, experiment: Experiment, images: np.ndarray, step: int) -> None:
        """Compiles the programs for the rounds from `step` to the last, and prepares the first call.

        Raises:
          UserError: a device has too little memory.
          LocalError: the file of the images has changed since it was opened.
        """
        self.step = step
        self._experiment, self._num_images = experiment, len(images)
        # Processes may differ in memory, and must run the same programs.
        self.on_host = bool(processes.greatest(stays_on_host(experiment, images.nbytes)))
        self._all_finite = compiling.compiled(all_finite)
        start = time.perf_counter()
        self._programs = {
            n_critic: compile_rounds(experiment, images.shape, n_critic, on_host=self.on_host, dtype=images.dtype)
            for n_critic in sorted(experiment.schedule.kinds(step, experiment.num_steps))
        }
        self._check_memory()
        self.compile_seconds = time.perf_counter() - start
        self._seconds = dict.fromkeys(self._programs, math.inf)  # per round, of each program
        self._key = parallel.replicate(experiment.train_key)
        self._images = placed(images, on_host=self.on_host)
        self._ahead = feed.Ahead(self._prepare)
        self._rounds = self._ask(step)

    def place(self, carries: Sequence[Carry]) -> Carry:
        """Puts the states and the sums of all members on the devices."""
        return parallel.replicate(carries[0])

    def each(self, tree: Any) -> list[Any]:
        """The part of each member in what `place` and `advance` return."""
        return [tree]

    def drop_diverged(self, tree: Any) -> list[int]:
        """The numbers of the members that have a value that is not finite, so that they are not trained any further."""
        return [] if self._all_finite(tree) else [0]

    def cleared(self, sums: steps.Metrics) -> steps.Metrics:
        """Sums of zero rounds, for the members that have moved."""
        return parallel.replicate(steps.zero_sums(self._experiment.round_settings['gp_weight']))

    def advance(self, state: GANState, sums: steps.Metrics) -> tuple[int, GANState, steps.Metrics]:
        """Runs the next call: (number of rounds, new state, new sums)."""
        images, indices = self._ahead.take()
        rounds, n_critic = self._rounds, self._experiment.schedule.critic_updates(self.step)
        self.step += rounds
        if self.step < self._experiment.num_steps:
            self._rounds = self._ask(self.step)
        start = time.perf_counter()
        state, sums = self._programs[n_critic].run(state, sums, images, indices, np.int32(rounds), self._key)
        # At most one call in flight: jax 0.10 and 0.11 deadlock on virtual CPU devices after about a hundred.
        jax.block_until_ready(sums)
        self._seconds[n_critic] = (time.perf_counter() - start) / rounds
        return rounds, state, sums

    def close(self) -> None:
        """Ends the thread and releases the images: a run that goes back places them again."""
        self._ahead.close()
        del self._ahead, self._images, self._programs

    def _check_memory(self) -> None:
        state = memory_limits.num_bytes(jax.eval_shape(self._experiment.create_state))
        with processes.all_or_none():
            for program in self._programs.values():
                memory_limits.check_round(state, program.image_bytes, program.working_bytes)

    def _ask(self, step: int) -> int:
        """Starts the preparation of the call after `step` rounds; returns how many rounds it will have."""
        n_critic = self._experiment.schedule.critic_updates(step)
        longest = min(self._programs[n_critic].capacity, rounds_to_boundary(step, self._experiment))
        rounds = min(longest, processes.greatest(rounds_per_call(self._seconds[n_critic])))
        self._ahead.ask(step, rounds, n_critic)
        return rounds

    def _prepare(self, step: int, rounds: int, n_critic: int) -> tuple[jax.Array, jax.Array]:
        """(images, indices) of a call on the devices, padded to the length that was compiled."""
        experiment, capacity = self._experiment, self._programs[n_critic].capacity
        parts = parallel.split_batch(images_seen(experiment, experiment.seed, step, rounds, n_critic, self._num_images))
        padded = np.pad(parts, [(0, 0), (0, capacity - rounds), (0, 0), (0, 0)])
        if not self.on_host:
            return self._images, parallel.scatter(padded)
        return parallel.scatter((self._images.gather(parts, capacity), feed.renumbered(padded)))


def placed(images: np.ndarray, *, on_host: bool) -> feed.Gatherer | jax.Array:
    """A data set as rows [N, H * W * C]: in host memory, or copied to each device.

    Raises:
      LocalError: its file has changed since it was opened.
    """
    rows = images.reshape(len(images), -1)
    check_unchanged(rows)  # before, because reading a file that was cut ends the process
    result = feed.Gatherer(rows) if on_host else parallel.replicate_copy(rows)
    check_unchanged(rows)
    return result


def images_seen(experiment: Experiment, seed: int, step: int, rounds: int, n_critic: int, num_images: int) -> np.ndarray:
    """The images of each critic update of some rounds, int32 [rounds, n_critic, B]; the updates of a round may share a batch."""
    batches, size = 1 if experiment.shared_images else n_critic, experiment.batch_size
    plan = index_plan(seed, experiment.batches_before(step), rounds, batches, size, num_images)
    return np.broadcast_to(plan, (rounds, n_critic, size))


def stays_on_host(experiment: Experiment, num_bytes: int) -> bool:
    """Whether a data set of this size stays in host memory."""
    return feed.stays_on_host(experiment.data.placement, num_bytes, parallel.bytes_per_device())


def rounds_to_boundary(step: int, experiment: Experiment) -> int:
    """Rounds from `step` to the next output or change in the number of critic updates."""
    outputs, num_steps = experiment.outputs, experiment.num_steps
    intervals = (outputs.log_every, outputs.sample_every, outputs.checkpoint_every, outputs.eval_every or num_steps)
    stop = min(num_steps, *(step + interval - step % interval for interval in intervals))
    return experiment.schedule.rounds_alike(step, stop)


def rounds_per_call(seconds_per_round: float) -> int:
    """Rounds that take about CALL_SECONDS, at least one."""
    return max(1, min(MAX_ROUNDS_PER_CALL, int(CALL_SECONDS / seconds_per_round)))
