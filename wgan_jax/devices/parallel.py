"""The only file that knows devices.

The state has no device axis: it is replicated, enters and leaves the mapped program whole (`in_axes=None`), and a checkpoint
is the same on one device and on a pod. What is split is the batch.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS_NAME = 'devices'


def all_devices() -> list[jax.Device]:
    """The devices of all processes, those of each process one after the other."""
    return [device for index in range(jax.process_count()) for device in jax.local_devices(index)]


def replicate(tree: Any) -> Any:
    """Puts a copy of every array on each device, with the sharding that the mapped program gives its results.

    An array that is placed otherwise would travel to the devices at every call and could not be donated. Several processes must
    all give the same values; what is put is not compared.
    """
    sharding = _sharding(PartitionSpec())

    def place(leaf: Any) -> jax.Array:
        if jax.process_count() == 1:
            return jax.device_put(leaf, sharding)
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(place(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        # jax.device_put would send the whole array around to compare it.
        return jax.make_array_from_process_local_data(sharding, np.asarray(leaf), leaf.shape)

    return jax.tree.map(place, tree)


def scatter(parts: Any) -> Any:  # [devices of this process, ...]
    """Puts one part of every array on each device of this process, with the sharding that the mapped program expects."""
    sharding = _sharding(PartitionSpec(AXIS_NAME))
    return jax.tree.map(lambda part: jax.make_array_from_process_local_data(sharding, part), parts)


def split_batch(indices: np.ndarray) -> np.ndarray:  # [K, n_critic, B] -> [devices of this process, K, n_critic, B / devices]
    """Cuts the last axis, the global batch, into one part per device, and takes those of this process."""
    parts = np.split(indices, jax.device_count(), axis=-1)
    mine = [index for index, device in enumerate(all_devices()) if device.process_index == jax.process_index()]
    return np.stack([parts[index] for index in mine])


def bytes_per_device() -> int:
    """Memory of a device, or of what is like it: where it does not tell, its share of the machine's."""
    return known_bytes_per_device() or _host_bytes() // jax.local_device_count()


def known_bytes_per_device() -> int | None:
    """Memory of a device; None where it does not tell, as a GPU with some allocators. A CPU has its share of the machine's."""
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
    """Maps steps.train_rounds over the devices; the state is donated, the indices are split.

    Args:
      train_rounds: (state, sums, images, indices, num_rounds, key, axis_name=..., **settings) -> (state, sums).
      split_images: each device has images of its own, and its indices point into them; or all have the same.
      devices: None for all; others are for tests, and for compiling for machines that are not there.
      **settings: keyword arguments that do not change during the run.
    """

    def mapped(*args: Any) -> Any:
        return train_rounds(*args, axis_name=AXIS_NAME, **settings)

    in_axes = (None, None, 0 if split_images else None, 0, None, None)
    devices = devices or all_devices()
    return jax.pmap(mapped, axis_name=AXIS_NAME, in_axes=in_axes, out_axes=None, donate_argnums=0, devices=devices)


def _host_bytes() -> int:
    """Memory of the machine, or of the container that this process is in."""
    machine = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    limit = Path('/sys/fs/cgroup/memory.max')
    container = limit.read_text().strip() if limit.exists() else 'max'
    return machine if container == 'max' else min(machine, int(container))


def _sharding(spec: PartitionSpec) -> NamedSharding:
    return NamedSharding(Mesh(np.array(all_devices()), (AXIS_NAME,)), spec)
