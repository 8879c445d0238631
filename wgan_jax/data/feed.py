"""Gets the data of the next call ready on a thread, while the device is busy with the present one."""

import mmap
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

PLACEMENTS = ('auto', 'device', 'host')
CHUNK_BYTES = 16 * 2**20  # what a chunk of gathered images aims at: it travels whole, however few of its rounds a call does


def stays_on_host(placement: str, num_bytes: int, device_bytes: int) -> bool:
    """Whether the images stay in host memory; 'auto' gives them at most half of a device's memory.

    Args:
      placement: 'auto', 'device' or 'host'.
      num_bytes: bytes of all images.
      device_bytes: memory of one device.
    """
    return placement == 'host' or (placement == 'auto' and 2 * num_bytes > device_bytes)


def rounds_per_chunk(bytes_per_round: int) -> int:
    """Rounds whose images fit into CHUNK_BYTES, at least one."""
    return max(1, CHUNK_BYTES // bytes_per_round)


class Gatherer:
    """Copies images out of a data set, in any order, as fast as the disk allows when memory does not hold the set."""

    def __init__(self, images: np.ndarray) -> None:
        """Takes the data set, [N, ...], memory-mapped or not."""
        self._images = images
        owner = images
        while isinstance(owner, np.ndarray):
            owner = owner.base
        self._map = owner if isinstance(owner, mmap.mmap) and images[:1].flags.c_contiguous else None
        if self._map is not None:
            self._offset = images.ctypes.data - np.frombuffer(self._map, np.uint8).ctypes.data
            # Else each image that is not in memory brings in its surroundings, with 8 MiB of readahead hundreds of times its size.
            self._map.madvise(mmap.MADV_RANDOM)

    def gather(self, parts: np.ndarray, capacity: int) -> np.ndarray:
        """Copies the images of some rounds, in the order in which they are used.

        Args:
          parts: each device's indices, int32 [devices, rounds, n_critic, B / devices].
          capacity: rounds that the result has room for; what lies behind the last round is left as it is.

        Returns:
          [devices, capacity * n_critic * B / devices, ...]; renumbered() says which row is which.
        """
        per_round = parts[0, 0].size
        # A new array each time: jax may use this very memory as its own, and read it when the next one is being filled.
        chunk = np.empty((len(parts), capacity * per_round, *self._images.shape[1:]), self._images.dtype)
        self._fetch(parts)
        for rows, part in zip(chunk, parts, strict=True):
            # Any mode but 'raise', which would go through a copy; no index is out of bounds.
            np.take(self._images, part.reshape(-1), axis=0, out=rows[: part.size], mode='clip')
        return chunk

    def _fetch(self, parts: np.ndarray) -> None:
        """Has the system read all these images from the disk at once; the copy alone would wait for one page after the other."""
        if self._map is None:
            return
        size = self._images[0].nbytes
        for start in (self._offset + parts.reshape(-1).astype(np.int64) * self._images.strides[0]).tolist():
            page = start - start % mmap.PAGESIZE
            self._map.madvise(mmap.MADV_WILLNEED, page, start + size - page)


def renumbered(parts: np.ndarray) -> np.ndarray:
    """The indices [devices, capacity, n_critic, B / devices] of the same images in a gathered chunk: 0, 1, 2, ..."""
    return np.broadcast_to(np.arange(parts[0].size, dtype=np.int32).reshape(parts.shape[1:]), parts.shape)


class Ahead:
    """One thread that does one thing ahead of its use."""

    def __init__(self, prepare: Callable[..., Any]) -> None:
        self._prepare = prepare
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix='feed')
        self._prepared: Future | None = None

    def ask(self, *request: Any) -> None:
        """Begins `prepare(*request)` on the thread."""
        self._prepared = self._thread.submit(self._prepare, *request)

    def take(self) -> Any:
        """Waits for what was asked for last and returns it; an exception on the thread is raised here as itself."""
        prepared, self._prepared = self._prepared, None  # lets go of the arrays of the call before
        return prepared.result()

    def close(self) -> None:
        """Ends the thread, with what it is doing."""
        self._thread.shutdown(cancel_futures=True)
