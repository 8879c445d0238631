"""The compiled programs of a run and of a group: up to so many rounds per call, mapped over the devices."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import DTypeLike

from wgan_jax.algorithm import steps
from wgan_jax.algorithm.state import GANState
from wgan_jax.data import feed
from wgan_jax.devices import compiling, parallel
from wgan_jax.runs.experiment import Experiment

MAX_ROUNDS_PER_CALL = 100
PLAN_BYTES = 16 * 2**20  # limit of the indices of a call with more than one round


class Program(NamedTuple):
    """The compiled program of rounds with one number of critic updates."""

    run: Any  # the arguments of parallel.map_rounds or map_members -> (state, sums)
    capacity: int  # the most rounds per call: its indices, and its chunk of images, have this length
    image_bytes: int  # images on a device: the data set, or two chunks, one in use and the next

    @property
    def working_bytes(self) -> int:
        """Temporary memory on a device, as the compiler reports it; 0 if it does not."""
        analysis = self.run.memory_analysis()
        return analysis.temp_size_in_bytes if analysis else 0


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
    pixels = math.prod(shape[1:])
    capacity = rounds_at_most(experiment, n_critic * experiment.batch_size, pixels * np.dtype(dtype).itemsize if on_host else 0)
    num_devices = len(devices or parallel.all_devices())
    batch = experiment.batch_size // num_devices
    indices = jax.ShapeDtypeStruct((num_devices, capacity, n_critic, batch), jnp.int32)
    images = (num_devices, capacity * n_critic * batch, pixels) if on_host else (shape[0], pixels)
    state, sums = jax.eval_shape(experiment.create_carry)
    settings = {'image_shape': shape[1:], **experiment.round_settings}
    run = parallel.map_rounds(steps.train_rounds, split_images=on_host, devices=devices, **settings)
    arguments = state, sums, jax.ShapeDtypeStruct(images, dtype), indices, np.int32(1), experiment.train_key
    compiled = compiling.compile_ahead(run, arguments, deterministic=experiment.deterministic)
    image_bytes = np.dtype(dtype).itemsize * (2 * math.prod(images[1:]) if on_host else math.prod(shape))
    return Program(compiled, capacity, image_bytes)


def compile_members(
    experiment: Experiment,
    varied: Sequence[str],
    shape: tuple[int, ...],
    n_critic: int,
    members: int,
    plans: int,
    *,
    on_host: bool,
    dtype: DTypeLike = np.uint8,
    devices: Sequence[jax.Device] | None = None,
) -> Program:
    """Compiles the program of rounds with `n_critic` critic updates for a group.

    Args:
      experiment: one of the group.
      varied: names of the numbers that differ between members.
      shape, n_critic, on_host, dtype, devices: as for compile_rounds.
      members: of one device.
      plans: different seeds among them.
    """
    pixels, itemsize = math.prod(shape[1:]), np.dtype(dtype).itemsize
    images_per_round = plans * n_critic * experiment.batch_size
    capacity = rounds_at_most(experiment, images_per_round, pixels * itemsize if on_host else 0)
    num_devices = len(devices or parallel.all_devices())

    def train_member(state: GANState, sums: steps.Metrics, images: Any, plan: Any, num_rounds: Any, key: Any, numbers: Any) -> Any:
        precision = jax.tree.leaves(state.critic.params)[0].dtype  # another one would change that of the optimizers' states
        numbers = {name: value.astype(precision) for name, value in numbers.items()}
        with_numbers, settings = experiment.with_numbers(state, numbers)
        trained, sums = steps.train_rounds(with_numbers, sums, images, plan, num_rounds, key, image_shape=shape[1:], **settings)
        return jax.tree.unflatten(jax.tree.structure(state), jax.tree.leaves(trained)), sums

    def spread(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((num_devices, members, *leaf.shape), leaf.dtype), tree)

    carry = jax.eval_shape(experiment.create_carry)
    images = (num_devices, capacity * images_per_round, pixels) if on_host else (shape[0], pixels)
    number, count = jax.ShapeDtypeStruct((), jnp.result_type(float)), jax.ShapeDtypeStruct((), jnp.int32)
    arguments = (
        *spread(carry),
        jax.ShapeDtypeStruct(images, dtype),
        jax.ShapeDtypeStruct((num_devices, capacity, plans, n_critic, experiment.batch_size), jnp.int32),
        *spread((count, count, jax.random.key_data(experiment.train_key), dict.fromkeys(varied, number))),
    )
    run = parallel.map_members(train_member, split_images=on_host, devices=devices)
    compiled = compiling.compile_ahead(run, arguments, deterministic=experiment.deterministic)
    image_bytes = itemsize * (2 * math.prod(images[1:]) if on_host else math.prod(shape))
    return Program(compiled, capacity, image_bytes)


def rounds_at_most(experiment: Experiment, images_per_round: int, bytes_per_image: int) -> int:
    """The most rounds of a call.

    Args:
      experiment: the run.
      images_per_round: indices of one round.
      bytes_per_image: of the images that travel with each call; 0 if they are on the devices.
    """
    outputs = experiment.outputs
    rounds = min(MAX_ROUNDS_PER_CALL, outputs.log_every, outputs.sample_every, outputs.checkpoint_every)
    rounds = min(rounds, max(1, PLAN_BYTES // (4 * images_per_round)))
    return min(rounds, feed.rounds_per_chunk(images_per_round * bytes_per_image)) if bytes_per_image else rounds
