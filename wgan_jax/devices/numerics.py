"""What decides the numbers of a run besides its config: settings of JAX and of its compilers, and the devices."""

import os
import shlex
from typing import Any

import jax

# Of JAX, from its configuration or variables such as JAX_ENABLE_X64: what is drawn, and how precisely it is computed.
_SETTINGS = (
    'jax_default_matmul_precision',
    'jax_default_prng_impl',
    'jax_enable_x64',
    'jax_random_seed_offset',
    'jax_threefry_partitionable',
)
# In which order numbers are added, and the like.
_ROUNDING_SETTINGS = ('jax_disable_most_optimizations', 'jax_optimization_level')
_ROUNDING_VARIABLES = ('LIBTPU_INIT_ARGS', 'NVIDIA_TF32_OVERRIDE', 'XLA_FLAGS')
_NO_NUMBERS = ('--xla_force_host_platform_device_count', '--xla_dump_', '--xla_gpu_cuda_data_dir')  # flags of XLA


def settings() -> dict[str, Any]:
    """Values that change what a run computes, by name; JSON."""
    return {name: jax.config.values.get(name) for name in _SETTINGS}


def rounding() -> dict[str, Any]:
    """Values that change at most the last bits of what a run computes, by name; JSON."""
    return {
        'device': jax.local_devices()[0].device_kind,
        'num_devices': jax.device_count(),
        **{name: jax.config.values.get(name) for name in _ROUNDING_SETTINGS},
        **{name: _flags(os.environ.get(name, '')) or None for name in _ROUNDING_VARIABLES},
    }


def products(dtype: str) -> str:
    """How networks of a dtype multiply on these devices, in a few words.

    A CPU multiplies float32 as it is. JAX lets a GPU round the factors to TensorFloat-32 and a TPU to bfloat16, unless
    jax_default_matmul_precision says otherwise (jax.lax.Precision).
    """
    chosen = jax.config.values['jax_default_matmul_precision']
    if dtype != 'float32' or jax.default_backend() == 'cpu':
        return dtype
    return f'{dtype}, at the precision {chosen!r}' if chosen else f"{dtype}, at the device's own precision"


def _flags(text: str) -> str:
    """Flags in one order, without those that change no number."""
    try:
        flags = shlex.split(text)
    except ValueError:  # a quotation mark without its partner
        flags = [text]
    return ' '.join(sorted(flag for flag in flags if not flag.startswith(_NO_NUMBERS)))
