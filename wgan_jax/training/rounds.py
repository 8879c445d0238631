"""Rounds of training, many to a call of a compiled program; how they are cut into calls does not change their results."""

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from numpy.typing import DTypeLike

from wgan_jax.algorithm import steps
from wgan_jax.algorithm.state import GANState
from wgan_jax.data import feed
from wgan_jax.data.plan import index_plan
from wgan_jax.devices import compiling, parallel, processes
from wgan_jax.runs import memory_limits
from wgan_jax.runs.config import make_schedule
from wgan_jax.runs.experiment import Experiment

MAX_ROUNDS_PER_CALL = 100
PLAN_BYTES = 16 * 2**20  # of a call's indices at most, if it has more than one round
CALL_SECONDS = 0.5  # what a call aims at, so that the bar moves and Ctrl-C is heard


class Program(NamedTuple):
    """The compiled program of the rounds with one number of critic updates."""

    run: Any  # (state, sums, images, indices, rounds, key) -> (state, sums)
    capacity: int  # rounds that its indices, and its chunk of images, have room for
    image_bytes: int  # of images on a device: the data set, or the chunk that is read and the next one

    @property
    def working_bytes(self) -> int:
        """Memory that it takes on a device besides what it is given, as far as the compiler tells."""
        analysis = self.run.memory_analysis()
        return analysis.temp_size_in_bytes if analysis else 0


class Calls:
    """The calls of a run, one after the other: while one runs, a thread prepares the next."""

    def __init__(self, config: ConfigDict, experiment: Experiment, images: np.ndarray, step: int) -> None:
        """Compiles all that the rounds from `step` to `config.num_steps` need, and prepares the first call."""
        self.step = step
        self._config, self._num_images = config, len(images)
        self._schedule = make_schedule(config)
        # Processes may differ, in memory here and in speed below, and must run the same programs.
        self._on_host = bool(processes.greatest(stays_on_host(config, images.nbytes)))
        began = time.perf_counter()
        self._programs = {
            n_critic: compile_rounds(config, experiment, images.shape, n_critic, on_host=self._on_host, dtype=images.dtype)
            for n_critic in sorted(self._schedule.kinds(step, config.num_steps))
        }
        self._check_memory(memory_limits.num_bytes(jax.eval_shape(experiment.create_state)))
        seconds, device = time.perf_counter() - began, jax.devices()[0].device_kind
        print(f'Compiled in {seconds:.0f} s; training to step {config.num_steps} on {jax.device_count()} x {device}', end='')
        print(f' in {jax.process_count()} processes' if jax.process_count() > 1 else '', end='')
        print(', the images in host memory.' if self._on_host else '.', flush=True)
        self._seconds = dict.fromkeys(self._programs, math.inf)  # per round of each kind
        self._key = parallel.replicate(experiment.train_key)
        rows = images.reshape(len(images), -1)  # [N, H * W * C]
        self._images = feed.Gatherer(rows) if self._on_host else parallel.replicate(rows)
        self._ahead = feed.Ahead(self._prepare)
        self._rounds = self._ask(step)

    def advance(self, state: GANState, sums: steps.Metrics) -> tuple[int, GANState, steps.Metrics]:
        """Does the rounds of one call: (how many, the new state, the new sums)."""
        images, indices = self._ahead.take()
        rounds, n_critic = self._rounds, self._schedule.critic_updates(self.step)
        self.step += rounds
        if self.step < self._config.num_steps:
            self._rounds = self._ask(self.step)
        began = time.perf_counter()
        state, sums = self._programs[n_critic].run(state, sums, images, indices, np.int32(rounds), self._key)
        # Never more than one call in flight: jax 0.10 and 0.11 deadlock on virtual CPU devices after some hundred.
        jax.block_until_ready(sums)
        self._seconds[n_critic] = (time.perf_counter() - began) / rounds
        return rounds, state, sums

    def images_before(self, step: int) -> int:
        """Real images that the critic sees in the first `step` rounds."""
        return self._schedule.updates_before(step) * self._config.batch_size

    def close(self) -> None:
        """Ends the thread, and lets go of the images: a run that goes back has them once more."""
        self._ahead.close()
        del self._ahead, self._images, self._programs

    def _check_memory(self, state: int) -> None:
        """Refuses, in all processes, what a device of one has no room for."""
        with processes.all_or_none():
            for program in self._programs.values():
                memory_limits.check_round(state, program.image_bytes, program.working_bytes)

    def _ask(self, step: int) -> int:
        """Has the call after `step` rounds prepared, and returns how many it will do."""
        n_critic = self._schedule.critic_updates(step)
        longest = min(self._programs[n_critic].capacity, rounds_to_boundary(step, self._config))
        rounds = min(longest, processes.greatest(rounds_per_call(self._seconds[n_critic])))
        self._ahead.ask(step, rounds, n_critic)
        return rounds

    def _prepare(self, step: int, rounds: int, n_critic: int) -> tuple[jax.Array, jax.Array]:
        """(images, indices) of a call, on the devices; padded to the one length that is compiled."""
        config, capacity = self._config, self._programs[n_critic].capacity
        updates = self._schedule.updates_before(step)
        indices = index_plan(config.seed, updates, rounds, n_critic, config.batch_size, self._num_images)
        parts = parallel.split_batch(indices)
        padded = np.pad(parts, [(0, 0), (0, capacity - rounds), (0, 0), (0, 0)])
        if not self._on_host:
            return self._images, parallel.scatter(padded)
        return parallel.scatter((self._images.gather(parts, capacity), feed.renumbered(padded)))


def stays_on_host(config: ConfigDict, num_bytes: int) -> bool:
    """Whether so many bytes of images stay in host memory."""
    return feed.stays_on_host(config.data.placement, num_bytes, parallel.bytes_per_device())


def compile_rounds(
    config: ConfigDict,
    experiment: Experiment,
    shape: tuple[int, ...],
    n_critic: int,
    *,
    on_host: bool,
    dtype: DTypeLike = np.uint8,
    devices: Sequence[jax.Device] | None = None,
) -> Program:
    """Compiles the program of rounds of `n_critic` critic updates.

    Args:
      config: a config with the keys of configs/default.py.
      experiment: what it builds.
      shape: [N, H, W, C] of the data set.
      n_critic: critic updates per round.
      on_host: the images stay in host memory, and a call is given those that it needs.
      dtype: of the data set.
      devices: as in parallel.map_rounds.
    """
    pixels = math.prod(shape[1:])
    capacity = min(MAX_ROUNDS_PER_CALL, config.log_every, config.sample_every, config.checkpoint_every)
    capacity = min(capacity, max(1, PLAN_BYTES // (4 * n_critic * config.batch_size)))
    if on_host:
        capacity = min(capacity, feed.rounds_per_chunk(n_critic * config.batch_size * pixels * np.dtype(dtype).itemsize))
    num_devices = len(devices or parallel.all_devices())
    batch = config.batch_size // num_devices
    indices = jax.ShapeDtypeStruct((num_devices, capacity, n_critic, batch), jnp.int32)
    images = (num_devices, capacity * n_critic * batch, pixels) if on_host else (shape[0], pixels)
    state, sums = jax.eval_shape(lambda: (experiment.create_state(), steps.zero_sums(config.gp_weight)))
    settings = {'image_shape': shape[1:], **experiment.round_settings}
    run = parallel.map_rounds(steps.train_rounds, split_images=on_host, devices=devices, **settings)
    arguments = state, sums, jax.ShapeDtypeStruct(images, dtype), indices, np.int32(1), experiment.train_key
    compiled = compiling.compile_ahead(run, arguments, deterministic=config.deterministic)
    image_bytes = np.dtype(dtype).itemsize * (2 * math.prod(images[1:]) if on_host else math.prod(shape))
    return Program(compiled, capacity, image_bytes)


def rounds_to_boundary(step: int, config: ConfigDict) -> int:
    """Rounds from `step` to the next one after which there is something to write, or another number of critic updates."""
    intervals = (config.log_every, config.sample_every, config.checkpoint_every, config.eval_every or config.num_steps)
    stop = min(config.num_steps, *(step + interval - step % interval for interval in intervals))
    return make_schedule(config).rounds_alike(step, stop)


def rounds_per_call(seconds_per_round: float) -> int:
    """Rounds that take about CALL_SECONDS, at least one."""
    return max(1, min(MAX_ROUNDS_PER_CALL, int(CALL_SECONDS / seconds_per_round)))
