"""Which images each critic update sees: a pure function of the seed and the number of updates before."""

import functools

import numpy as np


def index_plan(seed: int, updates: int, rounds: int, n_critic: int, batch_size: int, num_images: int) -> np.ndarray:
    """Indices into the data set for the next `rounds` rounds of `n_critic` critic updates each.

    A run reads one endless stream of epochs, each a permutation of the data set. No image is seen twice before all images were
    seen once. A batch may contain the end of one epoch and the start of the next, so no batch is short and no image is dropped.

    Args:
      updates: critic updates before these rounds; see Schedule.updates_before.
      batch_size: images per critic update, over all devices.

    Returns:
      int32 [rounds, n_critic, batch_size].
    """
    start = updates * batch_size
    stop = start + rounds * n_critic * batch_size
    parts = []
    while start < stop:
        epoch, offset = divmod(start, num_images)
        parts.append(_permutation(seed, epoch, num_images)[offset : offset + stop - start])
        start += len(parts[-1])
    return np.concatenate(parts).reshape(rounds, n_critic, batch_size)


@functools.lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, num_images: int) -> np.ndarray:
    generator = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    return generator.permutation(num_images).astype(np.int32)
