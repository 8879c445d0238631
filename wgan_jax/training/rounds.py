"""Rounds of training, many per call of a compiled program; the results do not depend on how rounds are grouped into calls."""

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import DTypeLike

from wgan_jax.algorithm import steps
from wgan_jax.algorithm.state import GANState
from wgan_jax.data import feed
from wgan_jax.data.array_file import check_unchanged
from wgan_jax.data.plan import index_plan
from wgan_jax.devices import compiling, parallel, processes
from wgan_jax.runs import memory_limits
from wgan_jax.runs.experiment import Experiment

MAX_ROUNDS_PER_CALL = 100
PLAN_BYTES = 16 * 2**20  # limit of the indices of a call with more than one round
CALL_SECONDS = 0.5  # aimed at, so that the progress bar moves and Ctrl-C is noticed


class Program(NamedTuple):
    """The compiled program of rounds with one number of critic updates."""

    run: Any  # (state, sums, images, indices, rounds, key) -> (state, sums)
    capacity: int  # the most rounds per call: its indices, and its chunk of images, have this length
    image_bytes: int  # images on a device: the data set, or two chunks, one in use and the next

    @property
    def working_bytes(self) -> int:
        """Temporary memory on a device, as the compiler reports it; 0 if it does not."""
        analysis = self.run.memory_analysis()
        return analysis.temp_size_in_bytes if analysis else 0


class Rounds:
    """The calls of a run, one after the other; a thread prepares the next call while one runs."""

    def __init__(self, experiment: Experiment, images: np.ndarray, step: int) -> None:
        """Compiles the programs for the rounds from `step` to the last, and prepares the first call.

        Raises:
          UserError: a device has too little memory.
          LocalError: the file of the images has changed since it was opened.
        """
        self.step = step
        self._experiment, self._num_images = experiment, len(images)
        # Processes may differ in memory, and must run the same programs.
        self._on_host = bool(processes.greatest(stays_on_host(experiment, images.nbytes)))
        start = time.perf_counter()
        self._programs = {
            n_critic: compile_rounds(experiment, images.shape, n_critic, on_host=self._on_host, dtype=images.dtype)
            for n_critic in sorted(experiment.schedule.kinds(step, experiment.num_steps))
        }
        self._check_memory()
        seconds, device = time.perf_counter() - start, jax.devices()[0].device_kind
        print(f'Compiled in {seconds:.0f} s; training to step {experiment.num_steps} on {jax.device_count()} x {device}', end='')
        print(f' in {jax.process_count()} processes' if jax.process_count() > 1 else '', end='')
        print(', the images in host memory.' if self._on_host else '.', flush=True)
        self._seconds = dict.fromkeys(self._programs, math.inf)  # per round, of each program
        self._key = parallel.replicate(experiment.train_key)
        rows = images.reshape(len(images), -1)  # [N, H * W * C]
        check_unchanged(rows)  # before, because reading a file that was cut ends the process
        self._images = feed.Gatherer(rows) if self._on_host else parallel.replicate_copy(rows)
        check_unchanged(rows)
        self._ahead = feed.Ahead(self._prepare)
        self._rounds = self._ask(step)

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

    def images_before(self, step: int) -> int:
        """Real images that the critic sees in the first `step` rounds."""
        return self._experiment.schedule.updates_before(step) * self._experiment.batch_size

    def epochs_before(self, step: int) -> float:
        """How often the first `step` rounds have read the whole data set."""
        return self._experiment.epochs_before(step, self._num_images)

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
        batches = 1 if experiment.shared_images else n_critic
        before = experiment.batches_before(step)
        indices = index_plan(experiment.seed, before, rounds, batches, experiment.batch_size, self._num_images)
        indices = np.broadcast_to(indices, (rounds, n_critic, experiment.batch_size))
        parts = parallel.split_batch(indices)
        padded = np.pad(parts, [(0, 0), (0, capacity - rounds), (0, 0), (0, 0)])
        if not self._on_host:
            return self._images, parallel.scatter(padded)
        return parallel.scatter((self._images.gather(parts, capacity), feed.renumbered(padded)))


def stays_on_host(experiment: Experiment, num_bytes: int) -> bool:
    """Whether a data set of this size stays in host memory."""
    return feed.stays_on_host(experiment.data.placement, num_bytes, parallel.bytes_per_device())


def compile_rounds(
    experiment: Experiment,
    shape: tuple[int, ...],
    n_critic: int,
    *,
    on_host: bool,
    dtype: DTypeLike = np.uint8,
    devices: Sequence[jax.Device] | None = None,
) -> Program:
    """Compiles the program of rounds with `n_critic` critic updates.

    Args:
      experiment: the run.
      shape: [N, H, W, C] of the data set.
      n_critic: critic updates per round.
      on_host: whether the images stay in host memory, so that each call is given the images that it needs.
      dtype: of the data set.
      devices: see parallel.map_rounds.
    """
    outputs, pixels = experiment.outputs, math.prod(shape[1:])
    capacity = min(MAX_ROUNDS_PER_CALL, outputs.log_every, outputs.sample_every, outputs.checkpoint_every)
    capacity = min(capacity, max(1, PLAN_BYTES // (4 * n_critic * experiment.batch_size)))
    if on_host:
        bytes_per_round = n_critic * experiment.batch_size * pixels * np.dtype(dtype).itemsize
        capacity = min(capacity, feed.rounds_per_chunk(bytes_per_round))
    num_devices = len(devices or parallel.all_devices())
    batch = experiment.batch_size // num_devices
    indices = jax.ShapeDtypeStruct((num_devices, capacity, n_critic, batch), jnp.int32)
    images = (num_devices, capacity * n_critic * batch, pixels) if on_host else (shape[0], pixels)
    state, sums = jax.eval_shape(lambda: (experiment.create_state(), steps.zero_sums(experiment.round_settings['gp_weight'])))
    settings = {'image_shape': shape[1:], **experiment.round_settings}
    run = parallel.map_rounds(steps.train_rounds, split_images=on_host, devices=devices, **settings)
    arguments = state, sums, jax.ShapeDtypeStruct(images, dtype), indices, np.int32(1), experiment.train_key
    compiled = compiling.compile_ahead(run, arguments, deterministic=experiment.deterministic)
    image_bytes = np.dtype(dtype).itemsize * (2 * math.prod(images[1:]) if on_host else math.prod(shape))
    return Program(compiled, capacity, image_bytes)


def rounds_to_boundary(step: int, experiment: Experiment) -> int:
    """Rounds from `step` to the next output or change in the number of critic updates."""
    outputs, num_steps = experiment.outputs, experiment.num_steps
    intervals = (outputs.log_every, outputs.sample_every, outputs.checkpoint_every, outputs.eval_every or num_steps)
    stop = min(num_steps, *(step + interval - step % interval for interval in intervals))
    return experiment.schedule.rounds_alike(step, stop)


def rounds_per_call(seconds_per_round: float) -> int:
    """Rounds that take about CALL_SECONDS, at least one."""
    return max(1, min(MAX_ROUNDS_PER_CALL, int(CALL_SECONDS / seconds_per_round)))
