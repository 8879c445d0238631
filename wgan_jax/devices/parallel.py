"""Places arrays on the devices and maps the rounds over them; the only module with pmap, meshes and shardings.

The state of a run has no device axis: it is replicated, and the mapped program takes and returns it whole (`in_axes=None`), so
that a checkpoint is the same on one device and on a pod. Only the batch is split. The members of a group are whole, each on one
device (`map_members`).
"""

import mmap
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from wgan_jax.errors import UserError

AXIS_NAME = 'devices'
_QUOTA = Path('/sys/fs/cgroup/cpu.max')  # of a container: microseconds of all cores in a period, and the period


def check_devices() -> None:
    """Refuses to start without the devices that the environment asks for; to be called before anything uses a device.

    Raises:
      UserError: JAX finds no such device, or may not compile.
    """
    if jax.config.jax_disable_jit:
        raise UserError('JAX_DISABLE_JIT is set, and this program compiles what it runs: unset it.')
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # AssertionError: a kind of device that JAX skips, such as cuda without a GPU
        why = str(error).splitlines()[0] if str(error) else 'it finds none'
        if jax.config.jax_platforms:
            raise UserError(
                f'JAX cannot use the devices of JAX_PLATFORMS={jax.config.jax_platforms} ({why}): unset it, set it to cpu, or '
                'install what JAX needs for them.'
            ) from error
        raise UserError(f'JAX cannot use the devices of this machine ({why}); JAX_PLATFORMS=cpu runs on the CPU.') from error


def all_devices() -> list[jax.Device]:
    """The devices of all processes, grouped by process."""
    return [device for index in range(jax.process_count()) for device in jax.local_devices(index)]


def own_devices() -> list[int]:
    """The places of the devices of this process in `all_devices`."""
    return [place for place, device in enumerate(all_devices()) if device.process_index == jax.process_index()]


def replicate(tree: Any) -> Any:
    """Puts a copy of every array on each device, with the sharding of the mapped program's results.

    Otherwise each call would transfer the array again, and it could not be donated. All processes must pass the same values; this
    is not checked.
    """
    sharding = _sharding(PartitionSpec())

    def place(leaf: Any) -> jax.Array:
        if jax.process_count() == 1:
            return jax.device_put(leaf, sharding)
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(place(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        # jax.device_put would send the whole array between processes, to compare it
        return jax.make_array_from_process_local_data(sharding, np.asarray(leaf), leaf.shape)

    return jax.tree.map(place, tree)


def replicate_copy(array: np.ndarray) -> jax.Array:
    """Like `replicate`, for an array whose memory may change afterwards, such as a mapped file."""
    if jax.default_backend() == 'cpu':
        # jax takes aligned memory as it is, even with may_alias=False: so all devices share this copy, which begins a page.
        memory = mmap.mmap(-1, array.nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        copy = np.frombuffer(memory, array.dtype).reshape(array.shape)
        np.copyto(copy, array)
        array = copy
    return jax.block_until_ready(replicate(array))


def scatter(parts: Any) -> Any:  # [devices of this process, ...]
    """Puts one part of every array on each device of this process, with the sharding that the mapped program expects."""
    sharding = _sharding(PartitionSpec(AXIS_NAME))
    return jax.tree.map(lambda part: jax.make_array_from_process_local_data(sharding, part), parts)


def split_batch(indices: np.ndarray) -> np.ndarray:  # [K, n_critic, B] -> [devices of this process, K, n_critic, B / devices]
    """Splits the last axis, the global batch, into one part per device, and returns the parts of this process."""
    parts = np.split(indices, jax.device_count(), axis=-1)
    return np.stack([parts[index] for index in own_devices()])


def bytes_per_device() -> int:
    """Memory of one device; if the device does not report it, its share of the machine's memory."""
    return known_bytes_per_device() or _host_bytes() // jax.local_device_count()


def known_bytes_per_device() -> int | None:
    """Memory of one device: for a CPU, its share of the machine's; None if the device does not report it (GPU, some allocators)."""
    if jax.default_backend() == 'cpu':
        return _host_bytes() // jax.local_device_count()
    return (jax.local_devices()[0].memory_stats() or {}).get('bytes_limit')


def map_rounds(
    train_rounds: Callable[..., Any],
    *,
    split_images: bool = False,
    devices: Sequence[jax.Device] | None = None,
    **settings: Any,
) -> Callable[..., Any]:
    """Maps steps.train_rounds over the devices. The state is donated; the indices are split.

    Args:
      train_rounds: (state, sums, images, indices, num_rounds, key, axis_name=..., **settings) -> (state, sums).
      split_images: whether each device has its own images, which its indices refer to, or all devices have the same.
      devices: None for all of them; tests give others, as does compiling for a machine that is not present.
      **settings: keyword arguments that stay the same during the run.
    """

    def mapped(*args: Any) -> Any:
        return train_rounds(*args, axis_name=AXIS_NAME, **settings)

    in_axes = (None, None, 0 if split_images else None, 0, None, None)
    devices = devices or all_devices()
    return jax.pmap(mapped, axis_name=AXIS_NAME, in_axes=in_axes, out_axes=None, donate_argnums=0, devices=devices)


def map_members(
    train_member: Callable[..., Any],
    *,
    split_images: bool = False,
    devices: Sequence[jax.Device] | None = None,
    one_by_one: bool | None = None,
) -> Callable[..., Any]:
    """Maps the training of one run over many, the members of a group: each is whole on its device, and nothing is exchanged.

    Every array has two leading axes, devices and the members of a device, unless its shape is given here. On a CPU the members of a
    device follow one another: it is slow at batched small products, and a device for each core keeps all cores busy
    (`use_a_device_per_core`). Elsewhere they are one batched program, which fills a device that a single small run leaves idle. The
    states are donated.

    Args:
      train_member: (state, sums, images, indices, num_rounds, key, numbers) -> (state, sums).
      split_images: as for map_rounds.
      devices: as for map_rounds.
      one_by_one: whether the members of a device follow one another; None: on a CPU.

    Returns:
      (states, sums, images, plans, plan_of, num_rounds, keys, numbers) -> (states, sums). `plans` are indices
      [devices, K, P, n_critic, B]; `plan_of` are numbers from 0 to P - 1, since members with one seed share a plan. `num_rounds`
      are 0 for members that wait, and equal for the others. `keys` are the data of PRNG keys.
    """
    devices = devices or all_devices()
    one_by_one = devices[0].platform == 'cpu' if one_by_one is None else one_by_one

    def mapped(states: Any, sums: Any, images: Any, plans: Any, plan_of: Any, num_rounds: Any, keys: Any, numbers: Any) -> Any:
        def train(state: Any, sums: Any, plan: Any, rounds: Any, key: Any, numbers: Any) -> Any:
            return train_member(state, sums, images, plans[:, plan], rounds, jax.random.wrap_key_data(key), numbers)

        members, others = (states, sums), (plan_of, num_rounds, keys, numbers)
        if one_by_one:

            def body(i: jax.Array, members: Any) -> Any:  # a loop over a carry, which changes it in place
                trained = train(*jax.tree.map(lambda array: array[i], (*members, *others)))
                return jax.tree.map(lambda array, new: array.at[i].set(new), members, trained)

            return jax.lax.fori_loop(0, len(plan_of), body, members)
        # A number of rounds for each member would make a loop that selects the states of all members after every round.
        most = num_rounds.max()
        trained = jax.vmap(lambda state, sums, plan, _, key, numbers: train(state, sums, plan, most, key, numbers))(
            *members, *others
        )
        moved = num_rounds > 0
        return jax.tree.map(lambda old, new: jnp.where(moved.reshape(-1, *(1,) * (old.ndim - 1)), new, old), members, trained)

    in_axes = (0, 0, 0 if split_images else None, 0, 0, 0, 0, 0)
    return jax.pmap(mapped, axis_name=AXIS_NAME, in_axes=in_axes, donate_argnums=(0, 1), devices=devices)


def map_independent(function: Callable[..., Any]) -> Callable[..., Any]:
    """Maps a function over two leading axes of its arguments: devices, and what one device has.

    As in `map_members`, each call is whole on its device, one after the other on a CPU and batched elsewhere.
    """
    one_by_one = all_devices()[0].platform == 'cpu'

    def mapped(*arguments: Any) -> Any:
        return jax.lax.map(lambda one: function(*one), arguments) if one_by_one else jax.vmap(function)(*arguments)

    return jax.pmap(mapped, axis_name=AXIS_NAME, devices=all_devices())


def use_a_device_per_core(most: int | None = None) -> None:
    """Makes a device of each core of a CPU, for the members of a group; to be called before anything uses a device.

    It does nothing if the user has chosen a number of devices.

    Args:
      most: number of members: each device has its share of the memory, so there should not be more of them.
    """
    chosen = 'JAX_NUM_CPU_DEVICES' in os.environ or '--xla_force_host_platform_device_count' in os.environ.get('XLA_FLAGS', '')
    if hasattr(os, 'sched_getaffinity') and not chosen:
        cores = _allowed_cores(len(os.sched_getaffinity(0)))
        jax.config.update('jax_num_cpu_devices', cores if most is None else max(1, min(cores, most)))


def _allowed_cores(cores: int) -> int:
    """The cores of the process, or as many as its container may use."""
    allowed, _, period = _QUOTA.read_text().strip().partition(' ') if _QUOTA.exists() else ('max', '', '')
    return cores if allowed == 'max' else max(1, min(cores, -(-int(allowed) // int(period))))


def _host_bytes() -> int:
    """Memory of the machine, or of the container if it has less."""
    machine = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    limit = Path('/sys/fs/cgroup/memory.max')
    container = limit.read_text().strip() if limit.exists() else 'max'
    return machine if container == 'max' else min(machine, int(container))


def _sharding(spec: PartitionSpec) -> NamedSharding:
    return NamedSharding(Mesh(np.array(all_devices()), (AXIS_NAME,)), spec)
