"""The only file that knows devices.

The state has no device axis: it is replicated, enters and leaves the mapped program whole (`in_axes=None`), and a checkpoint
is the same on one device and on a pod. What is split is the batch.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS_NAME = 'devices'


def replicate(tree: Any) -> Any:
    """Puts a copy of every array on each device, with the sharding that the mapped program gives its results.

    An array that is placed otherwise would travel to the devices at every call and could not be donated.
    """
    return jax.device_put(tree, _sharding(PartitionSpec()))


def scatter(parts: Any) -> Any:  # [devices, ...]
    """Puts one part of every array on each device, with the sharding that the mapped program expects."""
    return jax.device_put(parts, _sharding(PartitionSpec(AXIS_NAME)))


def split_batch(indices: np.ndarray) -> np.ndarray:  # [K, n_critic, B] -> [devices, K, n_critic, B / devices]
    """Cuts the last axis, the global batch, into one part per device."""
    return np.stack(np.split(indices, jax.device_count(), axis=-1))


def bytes_per_device() -> int:
    """Memory of a device; where a device does not tell, as a CPU, its share of the machine's."""
    stats = jax.local_devices()[0].memory_stats() or {}
    return stats.get('bytes_limit') or _host_bytes() // jax.local_device_count()


def map_rounds(train_rounds: Callable[..., Any], *, split_images: bool = False, **settings: Any) -> Callable[..., Any]:
    """Compiles steps.train_rounds for all devices; the state is donated, the indices are split.

    Args:
      train_rounds: (state, sums, images, indices, num_rounds, key, axis_name=..., **settings) -> (state, sums).
      split_images: each device has images of its own, and its indices point into them; or all have the same.
      **settings: keyword arguments that do not change during the run.
    """

    def mapped(*args: Any) -> Any:
        return train_rounds(*args, axis_name=AXIS_NAME, **settings)

    in_axes = (None, None, 0 if split_images else None, 0, None, None)
    return jax.pmap(mapped, axis_name=AXIS_NAME, in_axes=in_axes, out_axes=None, donate_argnums=0)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a function of replicated arrays, such as sampling."""
    return jax.jit(function)


def _host_bytes() -> int:
    """Memory of the machine, or of the container that this process is in."""
    machine = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    limit = Path('/sys/fs/cgroup/memory.max')
    container = limit.read_text().strip() if limit.exists() else 'max'
    return machine if container == 'max' else min(machine, int(container))


def _sharding(spec: PartitionSpec) -> NamedSharding:
    return NamedSharding(Mesh(np.array(jax.devices()), (AXIS_NAME,)), spec)
