"""Which images each critic update sees: a pure function of the seed and the number of batches before."""

import functools

import numpy as np


def index_plan(seed: int, before: int, rounds: int, num_batches: int, batch_size: int, num_images: int) -> np.ndarray:
    """Indices into the data set for the next `rounds` rounds, which read `num_batches` batches each.

    A run reads one endless stream of epochs, each a permutation of the data set. No image is seen twice before all images were
    seen once. A batch may contain the end of one epoch and the start of the next, so no batch is short and no image is dropped.

    Args:
      before: batches before these rounds; see Experiment.batches_before.
      num_batches: one for each critic update, or one that all updates of a round share.
      batch_size: images per batch, over all devices.

    Returns:
      int32 [rounds, num_batches, batch_size].
    """
    start = before * batch_size
    stop = start + rounds * num_batches * batch_size
    parts = []
    while start < stop:
        epoch, offset = divmod(start, num_images)
        parts.append(_permutation(seed, epoch, num_images)[offset : offset + stop - start])
        start += len(parts[-1])
    return np.concatenate(parts).reshape(rounds, num_batches, batch_size)


@functools.lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, num_images: int) -> np.ndarray:
    generator = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    return generator.permutation(num_images).astype(np.int32)
