"""GAN, WGAN and WGAN-GP in JAX and Flax.

Start with `algorithm/`: losses, optimizers with weight clipping, and the steps are the papers' Algorithm 1, and need nothing else
of the package. The rest, from the bottom up; a wing imports from those above it in this list only:

    errors         the exception whose message is for the user
    disk           files: read if regular and of bounded size, written whole, by one process at a time
    algorithm      losses, optimizers, noise, schedule, state, update, steps
    convolutions   the convolutions of all networks, faster than XLA's own on CPU
    models         the networks, by name
    data           sources of images, one uint8 array on disk, which images each step sees
    devices        pmap, compilation, several processes
    metrics        scores of samples; features/: feature networks; critic/: what the critic's numbers are worth; exact distances
    runs           a run and its files: config, experiment and its builder, groups, checkpoints, record, resume
    export         python -m wgan_jax.export: a generator or a critic as one file
    sample         python -m wgan_jax.sample: pictures from a trained generator
    evaluate       python -m wgan_jax.evaluate: scores of a checkpoint
    report         python -m wgan_jax.report: one HTML page of one or more runs
    training       python train.py: the trainer, groups of runs, the loop, compiled rounds, divergence, signals
    sweep          python -m wgan_jax.sweep: a config with other settings and seeds

From the command to the formula: training.__main__.main -> command.train_one -> trainer.train -> Run.train (loop) ->
Rounds.advance -> steps.train_rounds -> train_round -> critic_step, generator_step -> update.

In Python, `load_config`, `train`, `open_run`, `generate` and `score` below do what the commands do, and `extend` registers
networks, losses and the like of your own; docs/python.md shows each. They import jax when they are called, not before.
"""

import importlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import signal

    import numpy as np

    from wgan_jax.runs.saved_run import SavedRun


def load_config(name: str = 'default') -> Any:
    """A config, whose keys can be changed.

    Args:
      name: a name of configs/, or the path of a config file of your own.

    Returns:
      A config of ml_collections.

    Raises:
      UserError: there is no such file.
    """
    from wgan_jax.runs import config_files

    return config_files.load(name)


def train(
    config: Any,
    workdir: str,
    *,
    on_log: Callable[[int, dict[str, Any]], None] | None = None,
    on_sample: Callable[[int, 'np.ndarray'], None] | None = None,
) -> 'signal.Signals | None':
    """Trains a run, or continues it, as train.py does; an interrupt makes it save and return.

    Args:
      config: from load_config.
      workdir: the run's directory.
      on_log: called with the step and what a line of metrics.jsonl has, at every log point.
      on_sample: called with the step and a grid of samples, uint8 [H, W, C], whenever one is written.

    Returns:
      The signal that stopped it, or None when the run is complete.

    Raises:
      UserError: the config, the data or the directory cannot be used, or training has diverged.
    """
    from wgan_jax.runs.build import prepare
    from wgan_jax.training import trainer

    experiment = prepare(config)
    outputs = experiment.outputs._replace(on_log=on_log, on_sample=on_sample)
    return trainer.train(experiment._replace(outputs=outputs), workdir)


def open_run(
    workdir: str, step: int | str | None = None, changes: dict[str, Any] | None = None, *, trust_code: bool = False
) -> 'SavedRun':
    """Opens a checkpoint of a run; nothing in its directory changes.

    Args:
      workdir: the run's directory.
      step: of the checkpoint; 'best', by the metric of the run; or None for the newest.
      changes: values for keys of the config, such as {'eval_num_samples': 1000}.
      trust_code: execute the code that the run brings, even if it has not been executed here before.

    Raises:
      UserError: there is no such run or checkpoint, or it cannot be read.
    """
    from wgan_jax.runs import saved_run

    return saved_run.open_run(workdir, None if step is None else str(step), changes, trust_code=trust_code)


def generate(run: 'SavedRun', seeds: Sequence[int], *, truncation: float | None = None, raw: bool = False) -> 'np.ndarray':
    """Images of a run's generator, the same as those of python -m wgan_jax.sample.

    Args:
      run: from open_run.
      seeds: one for each image.
      truncation: bound of the truncation trick; see sample.generator.latents.
      raw: use the generator itself, even if the run has an average of it.

    Returns:
      [N, H, W, C], float32, in [-1, 1] for images.
    """
    import numpy as np

    from wgan_jax.sample import generator

    return np.concatenate([*generator.images_of(generator.of_run(run, raw=raw), np.asarray(seeds, np.uint32), truncation)])


def score(run: 'SavedRun', *, seed: int = 0) -> dict[str, Any]:
    """Scores a checkpoint, as python -m wgan_jax.evaluate does; `eval_num_samples` and the like are keys of the run's config.

    Args:
      run: from open_run.
      seed: of the latents and of every other random choice.

    Returns:
      `scores`, `floor` (the scores of held-out real images), `critic`, `protocol` and others; see evaluate.scoring.Scoring.

    Raises:
      UserError: the images of the run cannot be found, have changed, or are points.
    """
    from wgan_jax.evaluate import command, scoring

    return scoring.Scoring(run.experiment, command.images_of(run), seed=seed)(run.state)


def __getattr__(name: str) -> ModuleType:
    if name == 'extend':
        return importlib.import_module('wgan_jax.runs.extend')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
