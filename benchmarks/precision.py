"""The effect of bfloat16 on quality: runs on the digits in float32 and in bfloat16, with several seeds.

    python benchmarks/precision.py [--config digits_wgan_gp] [--seeds 3] [--steps 8000]

Prints, for each dtype, the Wasserstein estimate (mean of the last tenth of the log) and the Frechet distance between Gaussians
fitted to the pixels of the data set and of as many samples (64 numbers in [-1, 1] per image, no feature network). The last row is
the distance between two halves of the data set, which a perfect generator would have with half as many images.
"""

import argparse
import contextlib
import io
import statistics
import tempfile
from pathlib import Path

import jax
import numpy as np
from measuring import deviation, load_config

from wgan_jax.algorithm import steps
from wgan_jax.algorithm.state import generate
from wgan_jax.metrics.frechet import Moments, frechet_distance
from wgan_jax.runs.build import build
from wgan_jax.runs.experiment import Experiment
from wgan_jax.runs.record import read_metrics
from wgan_jax.runs.saved_run import open_run
from wgan_jax.runs.terminal import keep_orbax_quiet
from wgan_jax.training import trainer


def quality(experiment: Experiment, real: np.ndarray) -> tuple[float, float]:
    """Trains, and returns (estimate, distance)."""
    with tempfile.TemporaryDirectory() as workdir:
        with contextlib.redirect_stdout(io.StringIO()):
            trainer.train(experiment, workdir)
        lines = read_metrics(Path(workdir))
        state = open_run(workdir).state_for_images()
    latents = jax.random.normal(jax.random.key(2**31), (len(real), experiment.latent_dim))
    fake = np.asarray(generate(state, latents), np.float64).reshape(len(real), -1)
    estimate = statistics.mean(line['wasserstein_estimate'] for line in lines[-max(1, len(lines) // 10) :])
    return estimate, frechet_distance(Moments.of(real), Moments.of(fake))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--config', default='digits_wgan_gp')
    parser.add_argument('--seeds', type=int, default=3)
    parser.add_argument('--steps', type=int)
    arguments = parser.parse_args()
    keep_orbax_quiet()
    config = load_config(arguments.config, None)
    config.num_steps = arguments.steps or config.num_steps
    config.eval_every = None
    images = build(config).data.source.load()
    real = np.asarray(steps.to_float(images), np.float64).reshape(len(images), -1)
    print(f'{arguments.config}, {config.num_steps} rounds, {arguments.seeds} seeds: mean and standard deviation')
    print(f'{"dtype":10}{"estimate":>20}{"pixel Frechet distance":>28}', flush=True)
    for dtype in ('float32', 'bfloat16'):
        results = []
        for seed in range(arguments.seeds):
            config.dtype, config.seed = dtype, seed
            results.append(quality(build(config), real))
        cells = [f'{statistics.mean(column):.3f} +- {deviation(column):.3f}' for column in zip(*results, strict=True)]
        print(f'{dtype:10}{cells[0]:>20}{cells[1]:>28}', flush=True)
    halves = np.array_split(np.random.default_rng(0).permutation(real), 2)
    floor = frechet_distance(*map(Moments.of, halves))
    print(f'{"real":10}{"":>20}{floor:>20.3f}')


if __name__ == '__main__':
    main()
