"""Runs of configs/ for figures: trained by the trainer, so that the same command continues an interrupted one, then scored."""

import importlib
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from papers.shared.output import Options
from wgan_jax.algorithm.state import GANState, generate
from wgan_jax.devices import compiling
from wgan_jax.errors import UserError
from wgan_jax.metrics import frechet
from wgan_jax.metrics.features import registry
from wgan_jax.metrics.sliced import sliced_wasserstein
from wgan_jax.runs.build import prepare
from wgan_jax.runs.experiment import Experiment
from wgan_jax.runs.record import read_metrics
from wgan_jax.runs.saved_run import open_run
from wgan_jax.sample.generator import to_uint8
from wgan_jax.training import trainer

_BATCH = 250  # samples per call
_SHOWN = 25  # samples in a history
Title = TypeVar('Title', bound=Hashable)


class Size(NamedTuple):
    """How long runs are, and how often and on how many samples they are scored."""

    num_steps: int
    num_scores: int
    num_samples: int


class History(NamedTuple):
    """The log and the scored checkpoints of a run."""

    steps: np.ndarray  # [log points]
    metrics: dict[str, np.ndarray]  # [log points], means over the rounds since the previous log point
    scored: np.ndarray  # steps of the checkpoints [S]
    quality: np.ndarray  # [S], lower is better
    samples: np.ndarray  # uint8 [S, 25, H, W, C], always from the same latents


def histories(
    options: Options, figure: str, games: dict[Title, tuple[str, dict[str, Any]]], size: Size
) -> tuple[dict[Title, History], str]:
    """Trains and scores a run of each game.

    Args:
      options: of the command.
      figure: name of the figure.
      games: title -> (name of a config, changes of its keys).
      size: of each run.

    Returns:
      The histories by title, and the name of the score, which must be the same for all.
    """
    found, names = {}, set()
    for number, (title, (config_name, changes)) in enumerate(games.items()):
        experiment = experiment_of(config_name, options, num_steps=size.num_steps, num_scores=size.num_scores, **changes)
        found[title] = history(experiment, run_dir(options, figure, number), size.num_samples)
        names.add(score_name(experiment))
    (name,) = names
    return found, name


def experiment_of(config_name: str, options: Options, *, num_steps: int, num_scores: int, **changes: object) -> Experiment:
    """Builds a run of configs/<config_name>.py that keeps a checkpoint of each step that is scored.

    Args:
      config_name: a module of configs.
      options: has the directories of the data sets.
      num_steps: rounds.
      num_scores: number of checkpoints, at equal distances; must divide num_steps.
      **changes: other keys; a dict for those of a section.
    """
    config = importlib.import_module(f'configs.{config_name}').get_config()
    config.update(num_steps=num_steps, checkpoint_every=num_steps // num_scores, checkpoints_to_keep=num_scores)
    config.update(eval_every=None, sample_every=num_steps, num_samples=_SHOWN, log_every=max(1, num_steps // 200))
    config.update(changes)
    config.data.update(dir=options.dir, manual_dir=options.manual_dir if config.data.name in ('celeba', 'mnist') else None)
    return prepare(config)


def run_dir(options: Options, figure: str, number: int) -> Path:
    """The directory of run `number` of a figure."""
    return options.out / 'runs' / f'{figure}_{"quick" if options.quick else "full"}_{number}'


def score_name(experiment: Experiment) -> str:
    """The Frechet distance of the feature network for the data set, or swd where there is no such network."""
    network = _feature_network(experiment)
    return 'swd' if network is None else f'fd_{network}'


def train(experiment: Experiment, directory: Path) -> None:
    """Trains to the end, from the last checkpoint if there is one.

    Raises:
      UserError: see trainer.train; or a signal has stopped the run.
    """
    stopped_by = trainer.train(experiment, str(directory))
    if stopped_by is not None:
        raise UserError(f'Stopped by {stopped_by.name}: the same command continues from here.')


def checkpoints(experiment: Experiment, directory: Path) -> Iterator[tuple[int, GANState]]:
    """Trains to the end, from the last checkpoint if there is one; then yields the step and the state of each checkpoint.

    Args:
      experiment: from experiment_of.
      directory: the run's directory.

    Yields:
      (step, state of numpy arrays).

    Raises:
      UserError: see trainer.train; or a signal has stopped the run.
    """
    train(experiment, directory)
    every = experiment.outputs.checkpoint_every
    structure = jax.tree.structure(jax.eval_shape(experiment.create_state))
    for step in range(every, experiment.num_steps + 1, every):
        state = open_run(str(directory), str(step)).state
        # Each opened state has its own functions, with which every program would be compiled again.
        yield step, jax.tree.unflatten(structure, jax.tree.leaves(state))


def history(experiment: Experiment, directory: Path, num_samples: int) -> History:
    """Trains as `checkpoints` does, and scores `num_samples` samples, a multiple of 250, of each checkpoint."""
    score, generate_images = _score(experiment, num_samples), compiling.compiled(generate)
    for_images = compiling.compiled(experiment.for_images)
    shape = (num_samples // _BATCH, _BATCH, experiment.latent_dim)
    latents = jax.random.normal(jax.random.key(experiment.seed + 1), shape)
    scored, quality, shown = [], [], []
    for step, state in checkpoints(experiment, directory):
        state = for_images(state)
        images = np.concatenate([to_uint8(generate_images(state, batch)) for batch in latents])
        scored.append(step)
        quality.append(score(images))
        shown.append(images[:_SHOWN])
    lines = read_metrics(directory)
    metrics = {name: np.array([line[name] for line in lines]) for name in lines[0]}
    return History(metrics.pop('step'), metrics, np.array(scored), np.array(quality), np.stack(shown))


def _feature_network(experiment: Experiment) -> str | None:
    return registry.name_for(None, experiment.data.name, experiment.data.source.image_shape)


def _score(experiment: Experiment, num_samples: int) -> Callable[[np.ndarray], float]:
    """The function of uint8 images [num_samples, H, W, C] that computes the score of score_name."""
    images = experiment.data.source.load()
    name = _feature_network(experiment)
    if name is None:
        order = np.random.Generator(np.random.Philox(key=0)).permutation(len(images))
        real = np.asarray(images[np.sort(order[:num_samples])])
        return lambda samples: sliced_wasserstein(real, samples, patches_per_image=32, num_directions=128)['mean']
    network = registry.load(name, None)
    moments = frechet.Moments.of(network.apply(images)[0])
    return lambda samples: frechet.frechet_distance(frechet.Moments.of(network.apply(samples)[0]), moments)
