"""The exact distance between generated and real points at a log point: the truth beside the critic's estimate of it."""

import jax
import numpy as np

from wgan_jax.metrics.distances import wasserstein_of_samples
from wgan_jax.runs.experiment import Experiment

_EXACT = 2**20  # folded into the sample key: larger than all that standing statistics fold into it


def latents(experiment: Experiment, step: int) -> jax.Array:
    """The latents of the generated points of a step, [exact_points, latent_dim]."""
    key = jax.random.fold_in(jax.random.fold_in(experiment.sample_key, _EXACT), step)
    return jax.random.normal(key, (experiment.outputs.exact_points, experiment.latent_dim))


def measure(generated: np.ndarray, real: np.ndarray, seed: int, step: int) -> dict[str, float]:
    """The columns of metrics.jsonl.

    Args:
      generated: points [N, 1, 1, D] of the state of this step.
      real: all real points [M, 1, 1, D].
      seed: of the run.
      step: rounds done.

    Returns:
      `wasserstein_true`, the Wasserstein-1 distance between the generated points and N real ones, drawn with replacement; NaN if a
      generated point is not finite. And `wasserstein_floor`, the same with N other real points in place of the generated ones:
      samples of one distribution have a distance too, which falls as N grows, slowly in many dimensions.
    """
    count = len(generated)
    chosen = np.random.Generator(np.random.Philox([seed, step, _EXACT])).integers(len(real), size=2 * count)
    points, others = np.split(np.asarray(real[chosen]).reshape(2 * count, -1), 2)
    generated = np.asarray(generated).reshape(count, -1)
    true = wasserstein_of_samples(points, generated) if np.isfinite(generated).all() else float('nan')
    return {'wasserstein_true': true, 'wasserstein_floor': wasserstein_of_samples(points, others)}
