"""One run in progress, and where it is written: its log, pictures, scores and checkpoints."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from wgan_jax.algorithm.state import GANState, generate
from wgan_jax.algorithm.steps import Carry
from wgan_jax.data.source import is_points
from wgan_jax.devices import compiling, parallel
from wgan_jax.evaluate.scoring import Scoring
from wgan_jax.runs.checkpoint import Checkpoints, Score
from wgan_jax.runs.experiment import Experiment
from wgan_jax.runs.record import RunWriter
from wgan_jax.sample.generator import to_uint8
from wgan_jax.sample.grid import grid
from wgan_jax.training import exact_distance, not_finite


class Writers(NamedTuple):
    """Where a run is written; only process 0 has them."""

    record: RunWriter
    checkpoints: Checkpoints
    scoring: Scoring | None
    saved_with: dict[str, Any]  # the record that goes into each checkpoint, with what the logs hold


def make_generate(experiment: Experiment) -> Callable[[GANState, jax.Array, jax.Array], jax.Array]:
    """Compiles (state, sample key, latents) -> images; a group shares it."""

    def images_of(state: GANState, key: jax.Array, latents: jax.Array) -> jax.Array:
        return generate(experiment.with_image_statistics(state, key), latents)

    return compiling.compiled(images_of, deterministic=experiment.deterministic)


class Member:
    """A run in progress; alone, or one of a group that is trained in one program.

    Attributes:
      step: rounds done.
      saved_step: the step of the last checkpoint; None if there is none.
    """

    def __init__(
        self,
        experiment: Experiment,
        make_images: Callable[[GANState, jax.Array, jax.Array], jax.Array],
        images: np.ndarray,
        writers: Writers | None,
        step: int,
        *,
        name: str | None = None,
        rewinds: int = 0,
    ) -> None:
        """Prepares to write.

        Args:
          experiment: the run.
          make_images: the result of make_generate.
          images: all real images.
          writers: None in processes that do not write.
          step: rounds done.
          name: in a group, what distinguishes the run; None for a run alone.
          rewinds: how often the run has gone back after divergence.
        """
        self.name, self.writers, self.step, self.saved_step = name, writers, step, step or None
        self.rewinds, self.experiment = rewinds, experiment
        self._make_images, self._logged_step = make_images, step
        self._latents = experiment.sample_latents()
        self._watch = not_finite.Watch(images.shape[1:], experiment.clip_value)
        self._images, self._real = images, np.asarray(images[: experiment.outputs.num_samples])

    def first_pictures(self, state: GANState) -> None:
        """Writes the real images, and samples of the untrained generator."""
        if self.writers is not None:
            self.writers.record.picture('real', self._picture(None, state), 0)
        self.sample(state)

    def is_due(self, interval: int) -> bool:
        """Whether an interval ends at this step."""
        return self.step % interval == 0

    @property
    def epoch(self) -> float:
        """How often the rounds so far have read the data set."""
        return self.experiment.epochs_before(self.step, len(self._images))

    def exact_distances(self, state: GANState) -> dict[str, float]:
        """exact_distance.measure of the generator that the critic sees, not of its average; called as `sample` is."""
        generated = self._generated(state.replace(ema=None), exact_distance.latents(self.experiment, self.step))
        return {} if generated is None else exact_distance.measure(generated, self._images, self.experiment.seed, self.step)

    def log(self, sums: dict[str, float], exact: dict[str, float]) -> tuple[dict[str, float], float]:
        """Writes a log point; returns its metrics, means over the rounds since the last one, and the images per second.

        Args:
          sums: each metric's sum since the last log point, and the number of `rounds`.
          exact: the result of exact_distances for the state.
        """
        count = sums['rounds']
        means = {name: value / count for name, value in sums.items() if name != 'rounds'} | exact
        rate = 0.0
        if self.writers is not None:
            seen, before = (self.experiment.images_before(step) for step in (self.step, self._logged_step))
            provisional = not self.is_due(self.experiment.outputs.log_every)
            rate = self.writers.record.metrics(self.step, self.epoch, means, seen - before, provisional=provisional)
            self.writers.checkpoints.check()
        self._logged_step = self.step
        if warning := self._watch.warning(self.step, means['wasserstein_estimate']):
            tqdm.write(f'{self._prefix}{warning}')
        return means, rate

    def sample(self, state: GANState) -> None:
        """Writes a picture of samples; for a single run, to be called in all processes, since their devices share the program."""
        samples = self._generated(state, self._latents)
        if samples is not None:
            self.writers.record.picture(f'step_{self.step:06d}', self._picture(samples, state), self.step)

    def score(self, state: GANState) -> Score | None:
        """Writes the scores of the state and prints the first; returns the score that its checkpoint is kept for."""
        if self.writers is None or self.writers.scoring is None:
            return None
        start = time.perf_counter()
        report = self.writers.scoring(jax.device_get(state), sample_key=self.experiment.sample_key)
        # The scores of a last step that eval_every does not reach go when the run is extended.
        provisional = not self.is_due(self.experiment.outputs.eval_every)
        self.writers.record.evaluation(self.step, report, provisional=provisional)
        metric, value = next(iter(report['scores'].items()))
        seconds = time.perf_counter() - start
        tqdm.write(f'{self._prefix}step {self.step}, scored in {seconds:.0f} s: {metric} {value:.4g}')
        return self.writers.scoring.best_score(report['scores'])

    def must_be_scored(self) -> bool:
        """Whether the run was stopped between saving this step and scoring it."""
        every, last = self.experiment.outputs.eval_every, self.step == self.experiment.num_steps
        scores = self.step > 0 and every is not None and (last or self.is_due(every))
        return scores and self.writers is not None and self.writers.record.scored_step != self.step

    def save(self, carry: Carry, *, stop: bool, score: Score | None) -> None:
        """Saves a checkpoint, after everything that leads to it."""
        if self.writers is not None:
            self.writers.record.sync()
            record = {**self.writers.saved_with, 'held': self.writers.record.held()}
            self.writers.checkpoints.save(self.step, carry, record, stop=stop, score=score)
        self.saved_step = self.step

    @property
    def _prefix(self) -> str:
        return f'{self.name}: ' if self.name else ''

    def _generated(self, state: GANState, latents: jax.Array) -> np.ndarray | None:
        """Images in the process that writes, None in others.

        The state of a run alone is on all devices, whose processes generate together. That of a member of a group comes from the
        host, and only the process that writes generates, on one device.
        """
        if self.name is not None:
            return None if self.writers is None else np.asarray(self._make_images(state, self.experiment.sample_key, latents))
        generated = self._make_images(state, *parallel.replicate((self.experiment.sample_key, latents)))
        return None if self.writers is None else np.asarray(generated)

    def _picture(self, samples: np.ndarray | None, state: GANState) -> np.ndarray:
        """The picture of generated samples, or of real images if there are none."""
        if not is_points(self._real.shape[1:]):
            return grid(self._real if samples is None else to_uint8(samples))
        from wgan_jax.sample import plane  # imports matplotlib, which only points need during training

        return plane.picture(self._real, samples, None if samples is None else jax.device_get(state))
