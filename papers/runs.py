"""Whole runs for figures: trained by the trainer, so that one that was interrupted goes on, and looked at at each checkpoint.

Nothing else in wgan_jax knows configs/, which is not installed with it: these figures are made from the root of the repository.
"""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from papers import Options
from wgan_jax.algorithm.state import GANState, generate
from wgan_jax.data import source_of
from wgan_jax.devices import compiling
from wgan_jax.errors import UserError
from wgan_jax.metrics import frechet
from wgan_jax.metrics.features import registry
from wgan_jax.metrics.sliced import sliced_wasserstein
from wgan_jax.runs.record import read_metrics
from wgan_jax.runs.saved_run import open_run
from wgan_jax.runs.terminal import keep_orbax_quiet
from wgan_jax.sample import generator
from wgan_jax.training import trainer

_BATCH = 250  # samples that are generated together
_SHOWN = 25


class History(NamedTuple):
    """What a run has left."""

    steps: np.ndarray  # [log points]
    metrics: dict[str, np.ndarray]  # [log points], means over the rounds since the log point before
    scored: np.ndarray  # steps of the checkpoints [S]
    quality: np.ndarray  # [S], lower is better
    samples: np.ndarray  # uint8 [S, 25, H, W, C], of the same latents


def config_of(name: str, options: Options, *, num_steps: int, num_scores: int, **changes: object) -> ConfigDict:
    """configs/<name>.py for a figure: with a checkpoint at each step that is scored, all of them kept.

    Args:
      name: of a module of configs.
      options: say where data sets live.
      num_steps: rounds.
      num_scores: checkpoints, equally far from each other; num_steps is a multiple of it.
      **changes: other keys; those of a section are a dict.

    Raises:
      UserError: configs cannot be found.
    """
    try:
        module = importlib.import_module(f'configs.{name}')
    except ModuleNotFoundError as error:
        raise UserError('configs/ is not here: make this figure from the root of the repository.') from error
    config = module.get_config()
    config.update(num_steps=num_steps, checkpoint_every=num_steps // num_scores, checkpoints_to_keep=num_scores)
    config.update(eval_every=None, sample_every=num_steps, num_samples=_SHOWN, log_every=max(1, num_steps // 200))
    config.update(changes)
    config.data.update(dir=options.dir, manual_dir=options.manual_dir if config.data.name in ('celeba', 'mnist') else None)
    return config


def score_name(config: ConfigDict) -> str:
    """The score of a run on these data: a Frechet distance where there is a feature network of theirs, swd where not."""
    network = registry.name_for(None, config.data.name, source_of(config.data).image_shape)
    return 'swd' if network is None else f'fd_{network}'


def checkpoints(config: ConfigDict, run_dir: Path) -> Iterator[tuple[int, GANState]]:
    """Trains to the end, from where it was left; then gives each checkpoint, a state of numpy arrays, with its step.

    Args:
      config: of config_of.
      run_dir: the run's directory.

    Raises:
      UserError: as trainer.train; or a signal has stopped it.
    """
    keep_orbax_quiet()
    stopped_by = trainer.train(config, str(run_dir))
    if stopped_by is not None:
        raise UserError(f'Stopped by {stopped_by.name}: the same command goes on from there.')
    structure = None
    for step in range(config.checkpoint_every, config.num_steps + 1, config.checkpoint_every):
        state = open_run(str(run_dir), str(step), dict(config.data.items())).state
        structure = structure or jax.tree.structure(state)  # each has functions of its own, for which all would be compiled anew
        yield step, jax.tree.unflatten(structure, jax.tree.leaves(state))


def history(config: ConfigDict, run_dir: Path, num_samples: int) -> History:
    """Trains as checkpoints does, and scores `num_samples` samples of each, a multiple of 250."""
    score, generate_images = _score(config, num_samples), compiling.compiled(generate)
    latents = jax.random.normal(jax.random.key(config.seed + 1), (num_samples // _BATCH, _BATCH, config.latent_dim))
    scored, quality, shown = [], [], []
    for step, state in checkpoints(config, run_dir):
        images = np.concatenate([generator.to_uint8(generate_images(state, batch)) for batch in latents])
        scored.append(step)
        quality.append(score(images))
        shown.append(images[:_SHOWN])
    lines = read_metrics(run_dir)
    metrics = {name: np.array([line[name] for line in lines]) for name in lines[0]}
    return History(metrics.pop('step'), metrics, np.array(scored), np.array(quality), np.stack(shown))


def _score(config: ConfigDict, num_samples: int) -> Callable[[np.ndarray], float]:
    """The score that score_name names: of uint8 images [num_samples, H, W, C]."""
    images = source_of(config.data).load()
    name = registry.name_for(None, config.data.name, images.shape[1:])
    if name is None:
        order = np.random.Generator(np.random.Philox(key=0)).permutation(len(images))
        real = np.asarray(images[np.sort(order[:num_samples])])
        return lambda samples: sliced_wasserstein(real, samples, patches_per_image=32, num_directions=128)['mean']
    network = registry.load(name, None)
    moments = frechet.Moments.of(network.apply(images)[0])
    return lambda samples: frechet.frechet_distance(frechet.Moments.of(network.apply(samples)[0]), moments)
