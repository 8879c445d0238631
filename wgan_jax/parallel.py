"""The only file that knows devices.

The state has no device axis: it is replicated, enters and leaves the mapped program whole (`in_axes=None`), and a checkpoint
is the same on one device and on a pod. What is split is the batch.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS_NAME = 'devices'


def replicate(tree: Any) -> Any:
    """Puts a copy of every array on each device, with the sharding that the mapped program gives its results.

    An array that is placed otherwise would travel to the devices at every call and could not be donated.
    """
    mesh = Mesh(np.array(jax.devices()), (AXIS_NAME,))
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def split_batch(indices: np.ndarray) -> np.ndarray:  # [K, n_critic, B] -> [devices, K, n_critic, B / devices]
    """Cuts the last axis, the global batch, into one part per device."""
    return np.stack(np.split(indices, jax.device_count(), axis=-1))


def map_rounds(train_rounds: Callable[..., Any], **settings: Any) -> Callable[..., Any]:
    """Compiles steps.train_rounds for all devices; the state is donated, the indices are split.

    Args:
      train_rounds: (state, sums, images, indices, num_rounds, key, axis_name=..., **settings) -> (state, sums).
      **settings: keyword arguments that do not change during the run.
    """

    def mapped(*args: Any) -> Any:
        return train_rounds(*args, axis_name=AXIS_NAME, **settings)

    in_axes = (None, None, None, 0, None, None)
    return jax.pmap(mapped, axis_name=AXIS_NAME, in_axes=in_axes, out_axes=None, donate_argnums=0)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a function of replicated arrays, such as sampling."""
    return jax.jit(function)
