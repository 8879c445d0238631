"""Compiling: ahead of time, with a store on the disk, and with algorithms that repeat their bits."""

import os
import platform
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax


def use_compilation_cache() -> None:
    """Keeps compiled programs on disk, so that a run that goes on, or is begun again, need not compile.

    They go where JAX_COMPILATION_CACHE_DIR says, or else under the user's cache directory, apart for each kind of processor: the
    code for a CPU may not run on another. It is machine code that is run as it is found, so the directory is made for the user
    alone, and one that others may write to is not used.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return
    cpuinfo = Path('/proc/cpuinfo')
    flags = next((line for line in cpuinfo.read_text().splitlines() if line.startswith('flags')), '') if cpuinfo.exists() else ''
    directory = Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache').expanduser() / 'wgan_jax'
    processor = f'{platform.machine()}-{zlib.crc32(flags.encode()):08x}'
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        status = directory.stat()
    except OSError as error:
        print(f'Warning: {directory} cannot be made ({error.strerror}); compiled programs are not kept.')
        return
    if status.st_mode & 0o022 or status.st_uid != os.geteuid():
        print(f'Warning: others may write to {directory}; compiled programs are not kept: chmod go-w it, or remove it.')
        return
    jax.config.update('jax_compilation_cache_dir', str(directory / processor))


def compile_ahead(mapped: Callable[..., Any], arguments: Any, *, deterministic: bool = False) -> Any:
    """Compiles what map_rounds returns.

    Args:
      mapped: what map_rounds returns.
      arguments: arrays or shapes, where they are split with all devices in front.
      deterministic: on a GPU, take only algorithms that give the same bits each time.

    Returns:
      A function of arrays that replicate and scatter have placed.
    """
    # Abstract values: shapes and arrays pmap would take for those of this process alone.
    lowered = mapped.lower(*jax.tree.map(lambda x: jax.core.ShapedArray(x.shape, x.dtype), arguments))
    return lowered.compile(_compiler_options(deterministic))


def compiled(function: Callable[..., Any], *, deterministic: bool = False) -> Callable[..., Any]:
    """Compiles a function of replicated arrays, such as sampling."""
    return jax.jit(function, compiler_options=_compiler_options(deterministic))


def _compiler_options(deterministic: bool) -> dict[str, bool]:
    return {'xla_gpu_deterministic_ops': True} if deterministic and jax.default_backend() != 'tpu' else {}
