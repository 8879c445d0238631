"""Compiling functions: with a cache on disk, ahead of time, and for GPUs with deterministic algorithms.

`in_batches` calls a compiled function on many rows, always with the same shape, so that it is compiled once.
"""

import os
import platform
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from wgan_jax.disk import user_cache


def use_compilation_cache() -> None:
    """Keeps compiled programs on disk, so that the next run of the same programs does not compile them again.

    The directory is JAX_COMPILATION_CACHE_DIR, or else lies in the user's cache directory, with a subdirectory for each kind of
    CPU, because machine code for one may not run on another.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return
    processor = f'{platform.machine()}-{zlib.crc32(_processor_flags().encode()):08x}'
    if (directory := private_directory('compiled programs are not kept')) is not None:
        jax.config.update('jax_compilation_cache_dir', str(directory / processor))


def _processor_flags() -> str:
    """The line of the processor's abilities; '' where the system does not say."""
    cpuinfo = Path('/proc/cpuinfo')
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line for line in lines if line.startswith(('flags', 'Features'))), '')  # the second on ARM


def gains_nothing_by_bfloat16() -> bool:
    """Whether programs run on a CPU that is known to have no AMX, whose products of bfloat16 are fast (docs/performance.md)."""
    flags = _processor_flags()
    return jax.default_backend() == 'cpu' and flags.startswith('flags') and 'amx_bf16' not in flags.split()


def private_directory(otherwise: str) -> Path | None:
    """The directory in the user's cache directory for what is run as it is found, such as machine code.

    It is created for the user alone, and is not used if others can write to it: then a warning is printed.

    Args:
      otherwise: what is not done without it, for the warning.
    """
    if (cache := user_cache()) is None:
        print(f'Warning: this user has no home directory; {otherwise}: set XDG_CACHE_HOME to a directory.')
        return None
    directory = cache / 'wgan_jax'
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        status = directory.stat()
    except OSError as error:
        print(f'Warning: {directory} cannot be created ({error.strerror}); {otherwise}.')
        return None
    if status.st_mode & 0o022 or status.st_uid != os.geteuid():
        print(f'Warning: other users can write to {directory}; {otherwise}: chmod go-w it, or remove it.')
        return None
    return directory


def compile_ahead(mapped: Callable[..., Any], arguments: Any, *, deterministic: bool = False) -> Any:
    """Compiles the function that parallel.map_rounds or map_members returns.

    Args:
      mapped: the function.
      arguments: arrays or their shapes; split ones have a leading axis over the devices of all processes.
      deterministic: on a GPU, use only algorithms that give the same bits each time.

    Returns:
      A function of arrays that parallel.replicate and parallel.scatter have placed.
    """
    # Abstract values, because pmap would take arrays and jax.ShapeDtypeStruct for the part of this process.
    lowered = mapped.lower(*jax.tree.map(lambda x: jax.core.ShapedArray(x.shape, x.dtype), arguments))
    return lowered.compile(_compiler_options(deterministic))


def compiled(function: Callable[..., Any], *, deterministic: bool = False) -> Callable[..., Any]:
    """Compiles a function of replicated arrays at its first call; `deterministic` as in compile_ahead."""
    return jax.jit(function, compiler_options=_compiler_options(deterministic))


def in_batches(function: Callable[[np.ndarray], Any], rows: np.ndarray, batch_size: int) -> Iterator[Any]:
    """Yields the results of a function that treats each row independently, for `batch_size` rows at a time.

    All calls have the same shape: the last batch is padded with copies of its last row, whose results are dropped. A program for
    another number of rows may add in another order, so only in this way is the result of a row the same to the bit in any batch.

    Args:
      function: [batch_size, ...] -> an array or a pytree of arrays [batch_size, ...].
      rows: [N, ...], may be memory-mapped.
      batch_size: rows per call.

    Yields:
      Numpy arrays with at most batch_size rows, N in total.

    Raises:
      ValueError: batch_size is not positive.
    """
    if batch_size < 1:
        raise ValueError(f'batch_size={batch_size} must be greater than 0')
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        count = len(batch)
        padding = np.broadcast_to(batch[-1:], (batch_size - count, *batch.shape[1:]))
        yield jax.tree.map(lambda array: np.asarray(array)[:count], function(np.concatenate([batch, padding])))


def _compiler_options(deterministic: bool) -> dict[str, bool]:
    return {'xla_gpu_deterministic_ops': True} if deterministic and jax.default_backend() != 'tpu' else {}
