"""What the benchmarks share: the compiled rounds of a config, clocks, the memory of a process, and the name of the machine.

Each benchmark imports this module before wgan_jax: it puts the root of the repository on the path.
"""

import importlib
import math
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from wgan_jax.data import make_source  # noqa: E402 - after the change of the path

NUM_IMAGES = 4096  # random images in place of a data set
BLOCK_SECONDS = 0.5  # of rounds between two readings of the clock, as in a call of training


def load_config(name: str, batch_size: int | None, dtype: str = 'float32') -> ConfigDict:
    """configs/<name>.py with another dtype and, unless it is None, another batch size."""
    config = importlib.import_module(f'configs.{name}').get_config()
    config.batch_size = batch_size or config.batch_size
    config.dtype = dtype
    return config


def deviation(values: Sequence[float]) -> float:
    """The standard deviation; nan for a single value."""
    return statistics.stdev(values) if len(values) > 1 else math.nan


def random_images(config: ConfigDict) -> np.ndarray:
    """uint8 [NUM_IMAGES, H, W, C], of the size of the config's data set."""
    shape = make_source(config.data.name, image_size=config.data.image_size).image_shape
    return np.random.default_rng(0).integers(0, 256, (NUM_IMAGES, *shape), dtype=np.uint8)


class OurRounds:
    """Rounds as the trainer runs them: the same compiled program, with random images on the device."""

    def __init__(self, config: ConfigDict) -> None:
        import jax  # here, because on a GPU it would take the memory of the processes that time PyTorch

        from wgan_jax.algorithm import steps
        from wgan_jax.algorithm.state import num_parameters
        from wgan_jax.data.plan import index_plan
        from wgan_jax.devices import parallel
        from wgan_jax.runs.build import build
        from wgan_jax.training.programs import compile_rounds

        experiment, images = build(config), random_images(config)
        rows = images.reshape(len(images), -1)
        self.state, self._sums, self._images, self._key = parallel.replicate(
            (experiment.create_state(), steps.zero_sums(config.gp_weight), rows, experiment.train_key)
        )
        self.num_parameters = [num_parameters(player.params) for player in (self.state.generator, self.state.critic)]
        self._block = jax.block_until_ready
        start = time.perf_counter()
        self._program = compile_rounds(experiment, images.shape, config.n_critic, on_host=False)
        self.compile_seconds = time.perf_counter() - start
        plan = index_plan(0, 0, self._program.capacity, config.n_critic, config.batch_size, NUM_IMAGES)
        self._indices = parallel.scatter(parallel.split_batch(plan))

    def run(self, rounds: int) -> None:
        """Runs some rounds and waits for them."""
        while rounds:
            now = min(rounds, self._program.capacity)
            self.state, self._sums = self._program.run(
                self.state, self._sums, self._images, self._indices, np.int32(now), self._key
            )
            self._block(self._sums)
            rounds -= now


def seconds_per_round(run: Callable[[int], None], least_rounds: int, least_seconds: float) -> float:
    """Median over blocks of rounds, after three that warm up.

    Args:
      run: runs a number of rounds and waits for them.
      least_rounds: rounds to time, at least.
      least_seconds: seconds to time, at least.
    """
    run(1)
    run(1)
    block = min(100, max(1, int(BLOCK_SECONDS / _seconds(run, 1))))
    times = []
    while len(times) < 3 or block * len(times) < least_rounds or sum(times) < least_seconds:
        times.append(_seconds(run, block))
    return statistics.median(times) / block


def median_seconds(function: Callable[..., Any], *arguments: Any, calls: int = 5) -> float:
    """Median of some calls, after two that warm up; the function must wait for its result."""
    return statistics.median([_seconds(function, *arguments) for _ in range(2 + calls)][2:])


def _seconds(function: Callable[..., Any], *arguments: Any) -> float:
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def process_status(process_id: int | str = 'self') -> dict[str, int]:
    """Memory of a process without mapped files, in bytes, and its number of threads (Linux).

    Raises:
      FileNotFoundError: there is no such process.
      TypeError: the process has just ended.
    """
    status = Path(f'/proc/{process_id}/status').read_text()
    memory, threads = (int(re.search(rf'{name}:\s+(\d+)', status)[1]) for name in ('RssAnon', 'Threads'))
    return {'memory': 1024 * memory, 'threads': threads}


def machine() -> str:
    """The processor, its cores, and its vector and matrix instructions."""
    cpuinfo = Path('/proc/cpuinfo')
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    known = dict(map(str.strip, line.split(':', 1)) for line in lines if ':' in line)
    flags = known.get('flags', '').split()
    has = [flag for flag in ('avx2', 'avx512f', 'avx512_bf16', 'amx_tile', 'amx_bf16') if flag in flags]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    return f'{known.get("model name", "unknown processor")}, {cores} cores, {" ".join(has) or "no avx2"}'
