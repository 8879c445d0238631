"""What the benchmarks share: a config's compiled rounds, seconds per round, and a line that names the machine."""

import importlib
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
NUM_IMAGES = 4096  # of random pixels, in place of a data set
BLOCK_SECONDS = 0.5  # rounds between two looks at the clock; a call of training aims at the same


def load_config(name: str, batch_size: int | None, dtype: str = 'float32') -> Any:
    """configs/<name>.py with another batch size, and with `dtype` where there is such a key."""
    config = importlib.import_module(f'configs.{name}').get_config()
    config.batch_size = batch_size or config.batch_size
    if 'dtype' in config:
        config.dtype = dtype
    elif dtype != 'float32':
        raise ValueError(f'configs have no dtype, so {name} computes in float32 only')
    return config


def random_images(config: Any) -> np.ndarray:
    """Images of the size of the config's data set, uint8 [N, H, W, C]."""
    from wgan_jax.data import source_of

    shape = (NUM_IMAGES, *source_of(config.data).image_shape)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


class OurRounds:
    """Rounds as the trainer runs them: its own compiled program, the images on the device."""

    def __init__(self, config: Any) -> None:
        import jax

        from wgan_jax.algorithm import steps
        from wgan_jax.data.plan import index_plan
        from wgan_jax.devices import parallel
        from wgan_jax.runs.experiment import make_experiment, num_parameters
        from wgan_jax.training.rounds import compile_rounds

        experiment, images = make_experiment(config), random_images(config)
        rows = images.reshape(len(images), -1)
        self.state, self._sums, self._images, self._key = parallel.replicate(
            (experiment.create_state(), steps.zero_sums(config.gp_weight), rows, experiment.train_key)
        )
        self.num_parameters = [num_parameters(player.params) for player in (self.state.generator, self.state.critic)]
        self._block = jax.block_until_ready
        began = time.perf_counter()
        self._program = compile_rounds(config, experiment, images.shape, config.n_critic, on_host=False)
        self.compile_seconds = time.perf_counter() - began
        plan = index_plan(0, 0, self._program.capacity, config.n_critic, config.batch_size, NUM_IMAGES)
        self._indices = parallel.scatter(parallel.split_batch(plan))

    def run(self, rounds: int) -> None:
        """Does some rounds and waits for them."""
        while rounds:
            now = min(rounds, self._program.capacity)
            self.state, self._sums = self._program.run(
                self.state, self._sums, self._images, self._indices, np.int32(now), self._key
            )
            self._block(self._sums)
            rounds -= now


def seconds_per_round(run: Callable[[int], None], least_rounds: int, least_seconds: float) -> float:
    """Median over blocks of rounds, after three that warm up; `run` does some rounds and waits for them."""
    run(1)
    run(1)
    began = time.perf_counter()
    run(1)
    block = min(100, max(1, int(BLOCK_SECONDS / (time.perf_counter() - began))))
    times = []
    while len(times) < 3 or block * len(times) < least_rounds or sum(times) < least_seconds:
        began = time.perf_counter()
        run(block)
        times.append(time.perf_counter() - began)
    return statistics.median(times) / block


def machine() -> str:
    """The processor, its cores, and what it has for products of matrices."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    known = dict(map(str.strip, line.split(':', 1)) for line in lines if ':' in line)
    flags = known.get('flags', '').split()
    has = [flag for flag in ('avx2', 'avx512f', 'avx512_bf16', 'amx_tile', 'amx_bf16') if flag in flags]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    return f'{known.get("model name", "unknown processor")}, {cores} cores, {" ".join(has) or "no avx2"}'
