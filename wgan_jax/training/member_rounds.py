"""Rounds of a group: many runs that differ in numbers only, trained by one program."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.algorithm import steps
from wgan_jax.algorithm.state import GANState
from wgan_jax.algorithm.steps import Carry
from wgan_jax.data import feed
from wgan_jax.devices import compiling, parallel, processes
from wgan_jax.runs import memory_limits
from wgan_jax.runs.experiment import Experiment, Numbers
from wgan_jax.training.programs import compile_members
from wgan_jax.training.rounds import images_seen, placed, rounds_per_call, rounds_to_boundary, stays_on_host

MOST_AT_A_TIME = 128  # members, each of which has some open files


def as_many_as_fit(count: int, run: Callable[[slice], Any]) -> Iterator[Any]:
    """Calls `run` with slices that cover `count` members, as many at a time as fit into memory, and yields what it returns.

    Raises:
      TooLarge: not even one member fits on a device.
    """
    start, size = 0, min(count, MOST_AT_A_TIME)
    while start < count:
        part = slice(start, min(start + size, count))
        try:
            result = run(part)
        except memory_limits.TooLarge:
            per_device = -(-size // jax.device_count())
            if per_device == 1:
                raise
            size = jax.device_count() * -(-per_device // 2)
            print(f'{part.stop - start} runs at a time need too much memory: {size} at a time.')
            continue
        yield result
        start = part.stop


class MemberRounds:
    """The calls of a group of runs; see Rounds, which has the same methods for one run.

    Members lie on the devices in turn, as arrays with two leading axes: devices, and the members of a device. Where there are fewer
    members than places, copies of the first one, which never move, fill the rest. A member that has done more rounds than others
    waits for them, so that all that move are at the same step. All processes make the same calls and get the same results.

    Attributes:
      moved: for each member, whether its state is that of the last call.
      alive: for each member, whether it is still trained.
      compile_seconds: seconds that compiling took.
      on_host: whether the images stay in host memory.
    """

    def __init__(self, experiments: Sequence[Experiment], varied: Numbers, images: np.ndarray, done: Sequence[int]) -> None:
        """Compiles the programs and prepares the first call.

        Args:
          experiments: all members, whose configs differ in seeds and in the numbers of `varied` only.
          varied: names of keys of the config, with the value of each member.
          images: the data set.
          done: rounds that each member has done.

        Raises:
          TooLarge: a device has too little memory.
          LocalError: the file of the images has changed since it was opened.
        """
        self._first, self._done = experiments[0], list(done)
        self.alive, self.moved = [True] * len(done), [False] * len(done)
        self._num_images = len(images)
        self._shape = jax.device_count(), -(-len(experiments) // jax.device_count())  # places of members
        self._devices = parallel.own_devices()
        # Processes may differ in memory, and must run the same programs.
        self.on_host = bool(processes.greatest(stays_on_host(self._first, images.nbytes)))
        self._seeds, plan_of = self._assign_plans([experiment.seed for experiment in experiments])
        start = time.perf_counter()
        self._programs = {
            n_critic: compile_members(
                self._first,
                list(varied),
                images.shape,
                n_critic,
                self._shape[1],
                self._seeds.shape[1],
                on_host=self.on_host,
                dtype=images.dtype,
            )
            for n_critic in sorted(self._first.schedule.kinds(self.step, self._first.num_steps))
        }
        self._check_memory()
        self.compile_seconds = time.perf_counter() - start
        self._seconds = dict.fromkeys(self._programs, math.inf)
        keys = [np.asarray(jax.random.key_data(experiment.train_key)) for experiment in experiments]
        dtype = jnp.result_type(float)
        numbers = {name: self._placed([np.asarray(value, dtype) for value in values]) for name, values in varied.items()}
        self._fixed = parallel.scatter(plan_of[self._devices]), self._placed(keys), numbers
        self._images = placed(images, on_host=self.on_host)
        self._all_finite = compiling.compiled(_each_finite)
        self._ahead = feed.Ahead(self._prepare)
        self._rounds = self._ask()

    @property
    def step(self) -> int:
        """Rounds done by the members that have done the fewest; the last step if all have diverged."""
        return min(compress(self._done, self.alive), default=self._first.num_steps)

    def place(self, carries: Sequence[Carry]) -> Carry:
        """Puts the states and the sums of all members on the devices."""
        leaves = zip(*[jax.tree.leaves(carry) for carry in carries], strict=True)
        return jax.tree.unflatten(jax.tree.structure(carries[0]), [self._placed([*map(np.asarray, leaf)]) for leaf in leaves])

    def each(self, tree: Any) -> list[Any]:
        """The part of each member in what `place` and `advance` return, as numpy arrays."""
        tree = processes.to_all(tree)
        places = [(member % self._shape[0], member // self._shape[0]) for member in range(len(self._done))]
        return [jax.tree.map(lambda array, place=place: array[place], tree) for place in places]

    def drop_diverged(self, tree: Any) -> list[int]:
        """The numbers of the members that have a value that is not finite, which are not trained any further."""
        finite = self.each(self._all_finite(tree))
        lost = [member for member, moved in enumerate(self.moved) if moved and not finite[member]]
        prepared = self.step
        for member in lost:
            self.alive[member] = self.moved[member] = False
        if prepared < self.step < self._first.num_steps:  # all that are left had waited for those that are lost
            self._ahead.take()
            self._rounds = self._ask()
        return lost

    def cleared(self, sums: steps.Metrics) -> steps.Metrics:
        """Sums of zero rounds, for the members that have moved."""
        every = [
            jax.tree.map(lambda total: total * (not moved), own) for own, moved in zip(self.each(sums), self.moved, strict=True)
        ]
        return self.place(every)

    def advance(self, states: GANState, sums: steps.Metrics) -> tuple[int, GANState, steps.Metrics]:
        """Runs the next call: (number of rounds, new states, new sums)."""
        images, plans = self._ahead.take()
        step, rounds, n_critic = self.step, self._rounds, self._first.schedule.critic_updates(self.step)
        self.moved = [alive and done == step for done, alive in zip(self._done, self.alive, strict=True)]
        num_rounds = self._placed([np.int32(rounds * moved) for moved in self.moved], 0)
        self._done = [done + rounds * moved for done, moved in zip(self._done, self.moved, strict=True)]
        if self.step < self._first.num_steps:
            self._rounds = self._ask()
        plan_of, keys, numbers = self._fixed
        start = time.perf_counter()
        states, sums = self._programs[n_critic].run(states, sums, images, plans, plan_of, num_rounds, keys, numbers)
        jax.block_until_ready(sums)
        self._seconds[n_critic] = (time.perf_counter() - start) / rounds
        return rounds, states, sums

    def close(self) -> None:
        """Ends the thread and releases the images."""
        self._ahead.close()
        del self._ahead, self._images, self._programs

    @property
    def state_bytes(self) -> int:
        """Memory of the states on a device."""
        states = 2 if jax.default_backend() != 'cpu' else 1  # elsewhere waiting members are selected from the old states
        return states * self._shape[1] * memory_limits.num_bytes(jax.eval_shape(self._first.create_state))

    @property
    def working_bytes(self) -> int:
        """Temporary memory of a round on a device."""
        return max(program.working_bytes for program in self._programs.values())

    def _spread(self, values: Sequence[np.ndarray], filling: Any = None) -> np.ndarray:
        """Arrays of the members as one, [devices, members of a device, ...]; the rest are copies of the first, or `filling`."""
        places = math.prod(self._shape)
        filled = [*values, *[values[0] if filling is None else np.full_like(values[0], filling)] * (places - len(values))]
        stacked = np.stack(filled)
        return np.swapaxes(stacked.reshape(self._shape[::-1] + stacked.shape[1:]), 0, 1)

    def _placed(self, values: Sequence[np.ndarray], filling: Any = None) -> jax.Array:
        """Like _spread, on the devices."""
        return parallel.scatter(self._spread(values, filling)[self._devices])

    def _assign_plans(self, seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The seeds of each device's plans, [devices, P], and which of them each member has, [devices, members of a device]."""
        spread = self._spread([np.int64(seed) for seed in seeds])
        different = [np.unique(row) for row in spread]
        most = max(map(len, different))
        padded = np.stack([np.pad(row, (0, most - len(row)), mode='edge') for row in different])
        plan_of = np.stack([np.searchsorted(row, own) for row, own in zip(different, spread, strict=True)])
        return padded, plan_of.astype(np.int32)

    def _check_memory(self) -> None:
        error = None
        try:
            image_bytes = max(program.image_bytes for program in self._programs.values())
            memory_limits.check_round(self.state_bytes, image_bytes, self.working_bytes)
        except memory_limits.TooLarge as too_large:
            error = too_large
        if processes.greatest(error is not None):
            raise error or memory_limits.TooLarge('A device of another process has too little memory.')

    def _ask(self) -> int:
        """Starts the preparation of the next call; returns how many rounds it will have."""
        step, n_critic = self.step, self._first.schedule.critic_updates(self.step)
        ahead = [done - step for done in compress(self._done, self.alive) if done > step]
        longest = min(self._programs[n_critic].capacity, rounds_to_boundary(step, self._first), *ahead)
        rounds = min(longest, processes.greatest(rounds_per_call(self._seconds[n_critic])))
        self._ahead.ask(step, rounds, n_critic)
        return rounds

    def _prepare(self, step: int, rounds: int, n_critic: int) -> tuple[jax.Array, jax.Array]:
        """(images, plans) of a call on the devices, padded to the length that was compiled."""
        first, capacity, own = self._first, self._programs[n_critic].capacity, self._seeds[self._devices]
        plan_of_seed = {
            seed: images_seen(first, seed, step, rounds, n_critic, self._num_images) for seed in np.unique(own).tolist()
        }
        parts = np.stack([np.stack([plan_of_seed[seed] for seed in row.tolist()], axis=1) for row in own])
        padded = np.pad(parts, [(0, 0), (0, capacity - rounds), (0, 0), (0, 0), (0, 0)])  # [devices, K, P, n_critic, B]
        if not self.on_host:
            return self._images, parallel.scatter(padded)
        flat = parts.reshape(*parts.shape[:2], -1, first.batch_size)
        indices = feed.renumbered(padded.reshape(*padded.shape[:2], -1, first.batch_size)).reshape(padded.shape)
        return parallel.scatter((self._images.gather(flat, capacity), indices))


def _each_finite(tree: Any) -> jax.Array:  # [devices, members of a device]
    return jnp.stack([jnp.isfinite(leaf).reshape(*leaf.shape[:2], -1).all(axis=2) for leaf in jax.tree.leaves(tree)]).all(axis=0)
