"""What the commands sample from: latents by seed, a generator of a run or of a file, and images from both."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.devices.compiling import compiled, in_batches
from wgan_jax.export import stablehlo
from wgan_jax.export.stablehlo import Generator
from wgan_jax.runs.saved_run import SavedRun, open_run

BATCH = 64  # images per call


def load(workdir: str | None, generator: Path | None, step: str | None, *, raw: bool, trust_code: bool = False) -> Generator:
    """The generator of a run, or one that python -m wgan_jax.export wrote.

    Both are the same program, so a run and its export give the same bytes.

    Args:
      workdir: directory of the run, or None.
      generator: file of the exported generator, if there is no run.
      step: which checkpoint of the run; see saved_run.open_run.
      raw: use the generator itself, even if the run has an average of it.
      trust_code: execute the code that the run brings.

    Raises:
      UserError: there is no such run, checkpoint or file, or it cannot be read.
    """
    if generator is not None:
        return stablehlo.load(generator)
    return of_run(open_run(workdir, step, trust_code=trust_code), raw=raw)


def of_run(run: SavedRun, *, raw: bool = False) -> Generator:
    """The generator of an open run; `raw` as for `load`."""
    return stablehlo.of_exported(stablehlo.export_generator(run.state_for_images(raw=raw), run.experiment.latent_dim))


def images_of(generator: Generator, seeds: np.ndarray, truncation: float | None) -> Iterator[np.ndarray]:
    """Images in [-1, 1] of seeds [N], in batches; a seed gives the same bits whichever seeds are beside it."""
    draw = _drawer(generator.latent_dim, truncation)
    return in_batches(lambda batch: generator.call(draw(batch)), seeds, BATCH)


def latents_of(generator: Generator, seeds: np.ndarray, truncation: float | None) -> np.ndarray:
    """The latents [N, latent_dim] of seeds [N]."""
    return np.concatenate([*in_batches(_drawer(generator.latent_dim, truncation), seeds, BATCH)])


def _drawer(latent_dim: int, truncation: float | None) -> Callable[[np.ndarray], jax.Array]:
    return compiled(functools.partial(latents, latent_dim=latent_dim, truncation=truncation))


def latents(seeds: jax.Array, latent_dim: int, truncation: float | None = None) -> jax.Array:
    """One latent vector per seed, independent of the other seeds.

    Args:
      seeds: [N], uint32.
      latent_dim: size of a latent vector.
      truncation: None for the standard normal distribution of training, or the bound T of the truncation trick (Brock et al. 2019,
        "Large Scale GAN Training for High Fidelity Natural Image Synthesis", section 3.1): the normal distribution cut off at T
        and -T. It gives better single images, and less variety. Both distributions
        are drawn by inverting their distribution function at the same uniform numbers, so a seed gives a similar picture.

    Returns:
      [N, latent_dim], float32.
    """

    def draw(seed: jax.Array) -> jax.Array:
        key = jax.random.key(seed, impl='threefry2x32')  # whatever JAX_DEFAULT_PRNG_IMPL is: numbers of rbg depend on their batch
        if truncation is None:
            return jax.random.normal(key, (latent_dim,), jnp.float32)
        return jax.random.truncated_normal(key, -truncation, truncation, (latent_dim,), jnp.float32)

    return jax.vmap(draw)(seeds)


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Images in [-1, 1] to uint8, the inverse of steps.to_float; values outside are clipped."""
    return np.clip(np.rint((np.asarray(images, np.float32) + 1.0) * 127.5), 0, 255).astype(np.uint8)
