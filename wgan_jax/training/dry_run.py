"""How much memory a run takes, told before it begins."""

import math
import re
import resource
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict
from numpy.typing import DTypeLike

from wgan_jax.data import source_of
from wgan_jax.runs.experiment import Experiment, num_parameters, prepare
from wgan_jax.runs.memory_limits import num_bytes
from wgan_jax.training.rounds import compile_rounds, make_schedule, stays_on_host

# The state and what is made of it while a checkpoint is written: the copy that goes to the disk, and the disk's own form of it.
_STATES = 3


class Need(NamedTuple):
    """Bytes that a run takes at its peak."""

    state: int  # on each device: both players, their optimizers and averages
    images: int  # on each device: the data set, or the chunk that is read and the next one
    working: int  # on each device, of a round
    process: int  # of the host's memory, without files that are mapped; on CPU the devices' memory is part of it
    on_host: bool  # whether the data set stays in host memory

    def __str__(self) -> str:
        parts = {'state': self.state, 'images': self.images, 'working memory of a round': self.working}
        return ', '.join(f'{name} {size / 2**20:,.1f} MiB' for name, size in parts.items())


def of_run(config: ConfigDict, experiment: Experiment, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> Need:
    """Compiles all that the run will need, and adds up.

    Args:
      config: a config with the keys of configs/default.py.
      experiment: what it builds.
      shape: [N, H, W, C] of the data set.
      dtype: of the data set.
    """
    on_host = stays_on_host(config, math.prod(shape) * np.dtype(dtype).itemsize)
    kinds = make_schedule(config).kinds(0, config.num_steps)
    programs = [compile_rounds(config, experiment, shape, n_critic, on_host=on_host, dtype=dtype) for n_critic in kinds]
    state = num_bytes(jax.eval_shape(experiment.create_state))
    images = max(program.image_bytes for program in programs)
    working = max(program.working_bytes for program in programs)
    process = of_process() + (_STATES - 1) * state
    if jax.default_backend() == 'cpu':
        process += jax.local_device_count() * (state + images + working)
    elif on_host:
        process += images
    return Need(state, images, working, process, on_host)


def dry_run(config: ConfigDict) -> None:
    """Prints the resolved config, the parameters of both players and the memory a run will take; reads no data.

    Raises:
      UserError: the config makes no sense.
    """
    experiment = prepare(config)
    source = source_of(config.data)
    print(config.to_json_best_effort(indent=2))
    shape = source.num_images or 1, *source.image_shape  # one stands for an unknown number
    need = of_run(config, experiment, shape, source.dtype)
    size = math.prod(shape) * np.dtype(source.dtype).itemsize / 2**20
    state = jax.eval_shape(experiment.create_state)
    for name in ('generator', 'critic'):
        print(f'{name}: {num_parameters(getattr(state, name).params):,} parameters')
    where = 'in host memory, two chunks of them on each device' if need.on_host else 'on each device'
    if source.num_images:
        print(f'images: {source.num_images:,}, {size:,.2f} MiB {where}')
    else:
        print(f'images: an unknown number, {size:,.3f} MiB each, which come on top of what follows')
    print(f'memory per device: {need}')
    print(f'memory of the process: about {need.process / 2**20:,.0f} MiB, besides files that it maps')


def of_process() -> int:
    """Bytes of this process's own memory, without files that it maps; where the system does not tell, the most that it has had."""
    status = Path('/proc/self/status')
    if status.exists():
        return 1024 * int(re.search(r'RssAnon:\s+(\d+) kB', status.read_text())[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)
