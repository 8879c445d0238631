"""Prepares the data of the next call on a thread while the device works on the current one."""

import mmap
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from wgan_jax.data.array_file import check_unchanged

PLACEMENTS = ('auto', 'device', 'host')
CHUNK_BYTES = 16 * 2**20  # target size of gathered images, which are transferred whole even if a call uses only some rounds


def stays_on_host(placement: str, num_bytes: int, device_bytes: int) -> bool:
    """Whether all images stay in host memory; 'auto' puts them on the device if they take at most half of its memory."""
    return placement == 'host' or (placement == 'auto' and 2 * num_bytes > device_bytes)


def rounds_per_chunk(bytes_per_round: int) -> int:
    """The number of rounds whose images fit into CHUNK_BYTES, at least one."""
    return max(1, CHUNK_BYTES // bytes_per_round)


class Gatherer:
    """Copies images of a data set [N, ...] in any order, as fast as the disk allows if memory does not hold the whole set."""

    def __init__(self, images: np.ndarray) -> None:
        self._images = images
        owner = images
        while isinstance(owner, np.ndarray):
            owner = owner.base
        self._map = owner if isinstance(owner, mmap.mmap) and images[:1].flags.c_contiguous else None
        if self._map is not None:
            self._offset = images.ctypes.data - np.frombuffer(self._map, np.uint8).ctypes.data
            # Otherwise the system also reads the neighbourhood of each image: hundreds of times its size with 8 MiB of readahead.
            self._map.madvise(mmap.MADV_RANDOM)

    def gather(self, parts: np.ndarray, capacity: int) -> np.ndarray:
        """Copies the images of some rounds in the order of their use.

        Args:
          parts: each device's indices, int32 [devices, rounds, n_critic, B / devices].
          capacity: rounds for which the result has room; the memory after the last round is not initialised.

        Returns:
          [devices, capacity * n_critic * B / devices, ...], for the indices that renumbered() returns.

        Raises:
          LocalError: the file of the images has changed.
        """
        check_unchanged(self._images)  # before, because reading a file that was cut ends the process
        per_round = parts[0, 0].size
        # A new array each time: jax may use this memory without a copy and still read it while the next chunk is filled.
        chunk = np.empty((len(parts), capacity * per_round, *self._images.shape[1:]), self._images.dtype)
        if self._map is not None:
            self._fetch(parts)
        for rows, part in zip(chunk, parts, strict=True):
            # No index is out of bounds, and the default mode 'raise' would copy through a buffer.
            np.take(self._images, part.reshape(-1), axis=0, out=rows[: part.size], mode='clip')
        check_unchanged(self._images)  # after, because what was copied may be new
        return chunk

    def _fetch(self, parts: np.ndarray) -> None:
        """Requests all these images from the disk at once; the copy alone would wait for one page after the other."""
        size = self._images[0].nbytes
        for start in (self._offset + parts.reshape(-1).astype(np.int64) * self._images.strides[0]).tolist():
            page = start - start % mmap.PAGESIZE
            self._map.madvise(mmap.MADV_WILLNEED, page, start + size - page)


def renumbered(parts: np.ndarray) -> np.ndarray:
    """Indices of the images of `parts` in the chunk that Gatherer.gather returns: 0, 1, 2, ... in the shape of `parts`."""
    return np.broadcast_to(np.arange(parts[0].size, dtype=np.int32).reshape(parts.shape[1:]), parts.shape)


class Ahead:
    """A thread that computes `prepare(*request)` before the result is needed."""

    def __init__(self, prepare: Callable[..., Any]) -> None:
        self._prepare = prepare
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix='feed')
        self._prepared: Future | None = None

    def ask(self, *request: Any) -> None:
        """Starts `prepare(*request)` on the thread."""
        self._prepared = self._thread.submit(self._prepare, *request)

    def take(self) -> Any:
        """Waits for the result of the last request and returns it; an exception on the thread is raised here."""
        prepared, self._prepared = self._prepared, None  # releases the arrays of the previous call
        return prepared.result()

    def close(self) -> None:
        """Waits for the current request and ends the thread."""
        self._thread.shutdown(cancel_futures=True)
