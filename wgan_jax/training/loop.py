"""The training loop: call, check, log, sample, score, save, stop."""

import signal
import sys
import time
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from wgan_jax.algorithm import steps
from wgan_jax.algorithm.state import GANState, generate
from wgan_jax.data.source import is_plane
from wgan_jax.devices import compiling, parallel, processes
from wgan_jax.errors import LocalError
from wgan_jax.evaluate.scoring import Scoring
from wgan_jax.runs.checkpoint import Checkpoints, Score
from wgan_jax.runs.experiment import Experiment
from wgan_jax.runs.record import RunWriter
from wgan_jax.runs.terminal import log_line, progress_bar
from wgan_jax.sample.generator import to_uint8
from wgan_jax.sample.grid import grid
from wgan_jax.training import not_finite
from wgan_jax.training.rounds import Rounds
from wgan_jax.training.stopping import StopRequest


class Writers(NamedTuple):
    """Where a run is written; only process 0 has them."""

    record: RunWriter
    checkpoints: Checkpoints
    scoring: Scoring | None
    saved_with: dict[str, Any]  # the record that goes into each checkpoint, with what the logs hold


class Run:
    """A run in progress: the state on the devices, and where it is written."""

    def __init__(
        self,
        experiment: Experiment,
        rounds: Rounds,
        images: np.ndarray,
        carry: tuple[GANState, steps.Metrics],
        writers: Writers | None,
        rewinds: int,
    ) -> None:
        """Places the state on the devices; writes the first pictures of a new run."""
        self._experiment, self._rounds, self._writers, self._rewinds = experiment, rounds, writers, rewinds
        self._state, self._sums = parallel.replicate(carry)
        self._latents = parallel.replicate(experiment.sample_latents())
        self._generate = compiling.compiled(
            lambda state, latents: generate(experiment.for_images(state), latents), deterministic=experiment.deterministic
        )
        self._all_finite = compiling.compiled(not_finite.all_finite)
        self._watch = not_finite.Watch(images.shape[1:], experiment.clip_value)
        self._saved_step, self._logged_step = self.step or None, self.step
        self._real = np.asarray(images[: experiment.outputs.num_samples])
        if self.step == 0:
            if writers is not None:
                writers.record.picture('real', self._picture(None), 0)
            self._sample()

    @property
    def step(self) -> int:
        """Rounds done."""
        return self._rounds.step

    def train(self, stop: StopRequest) -> signal.Signals | None:
        """Trains to the last step, or until a signal; saves, and returns the signal."""
        every, num_steps = self._experiment.outputs, self._experiment.num_steps
        self._score_after_resume()
        stop.listen()
        self._began = time.perf_counter(), self.step
        with progress_bar(self.step, num_steps, hidden=self._writers is None) as bar:
            if self._writers is not None:
                self._writers.record.start_clock()
            # A signal to one process stops all of them, after the same call.
            while self.step < num_steps and not (stopped_by := processes.greatest(stop.signal)):
                bar.update(self._advance())
                last = self.step == num_steps
                if last or self._is_due(every.log_every):
                    self._log(bar)
                if last or self._is_due(every.sample_every):
                    self._sample()
                is_scored = every.eval_every is not None and (last or self._is_due(every.eval_every))
                is_saved = self._is_due(every.checkpoint_every)
                if every.best_metric is not None and is_scored:
                    self._save(stop=not (is_saved or self._is_due(every.eval_every)), score=self._score())
                else:
                    if is_saved or (last and is_scored):
                        self._save(stop=not is_saved)  # before scoring, which may take minutes
                    if is_scored:
                        self._score()
            if self.step < num_steps:
                stop.record(stopped_by)
            if self._saved_step != self.step:
                self._save(stop=True)
            if self._writers is not None:
                self._writers.checkpoints.wait()
        return signal.Signals(stopped_by) if self.step < num_steps else None

    def _is_due(self, interval: int | None) -> bool:
        return interval is not None and self.step % interval == 0

    def _advance(self) -> int:
        """Runs one call; returns its number of rounds.

        Raises:
          Diverged: the state or the metrics are not finite; nothing of them is written.
          LocalError: the images cannot be read.
        """
        before = self.step
        try:
            rounds, self._state, self._sums = self._rounds.advance(self._state, self._sums)
        except OSError as error:
            reason = error.strerror or error
            raise LocalError(f'The images cannot be read ({reason}). Restore them, and give the same command again.') from error
        # The state as well as the metrics, since the generator's update comes after them. One boolean leaves the device.
        if not self._all_finite((self._state, self._sums)):
            raise not_finite.Diverged(self._state, self._sums, before, self.step, self._saved_step, self._rewinds)
        return rounds

    def _log(self, bar: tqdm) -> None:
        """Writes the means over the rounds since the last log point; the last step need not be one, and then the sums go on."""
        is_due = self._is_due(self._experiment.outputs.log_every)
        sums = {name: float(value) for name, value in jax.device_get(self._sums).items()}
        count = sums.pop('rounds')
        means = {name: value / count for name, value in sums.items()}
        if self._writers is not None:
            images_seen = self._rounds.images_before(self.step) - self._rounds.images_before(self._logged_step)
            epoch = self._rounds.epochs_before(self.step)
            rate = self._writers.record.metrics(self.step, epoch, means, images_seen, provisional=not is_due)
            if bar.disable or not sys.stdout.isatty():
                began, first = self._began
                num_steps = self._experiment.num_steps
                seconds_left = (time.perf_counter() - began) / (self.step - first) * (num_steps - self.step)
                print(log_line(self.step, num_steps, epoch, means, count, rate, seconds_left), flush=True)
            self._writers.checkpoints.check()
        self._logged_step = self.step
        if is_due:
            self._sums = parallel.replicate(steps.zero_sums(self._experiment.round_settings['gp_weight']))
        bar.set_postfix_str(f'estimate {means["wasserstein_estimate"]:.4g}')
        if warning := self._watch.warning(self.step, means['wasserstein_estimate']):
            bar.write(warning)

    def _sample(self) -> None:
        samples = self._generate(self._state, self._latents)  # in all processes: their devices share the program
        if self._writers is not None:
            self._writers.record.picture(f'step_{self.step:06d}', self._picture(np.asarray(samples)), self.step)

    def _picture(self, samples: np.ndarray | None) -> np.ndarray:
        """The picture of generated samples, or of real images if there are none."""
        if not is_plane(self._real.shape[1:]):
            return grid(self._real if samples is None else to_uint8(samples))
        from wgan_jax.sample import plane  # imports matplotlib, which only points need during training

        return plane.picture(self._real, samples, None if samples is None else jax.device_get(self._state))

    def _score_after_resume(self) -> None:
        """Scores the step that the run resumed from, if it was stopped between saving and scoring."""
        is_due = self.step and self._is_due(self._experiment.outputs.eval_every)
        if is_due and self._writers is not None and self._writers.record.scored_step != self.step:
            self._score()

    def _score(self) -> Score | None:
        """Writes the scores of the state; returns the score that its checkpoint is kept for."""
        if self._writers is None or self._writers.scoring is None:
            return None
        provisional = not self._is_due(self._experiment.outputs.eval_every)
        return write_scores(self._writers.record, self._writers.scoring, self.step, self._state, provisional=provisional)

    def _save(self, *, stop: bool = False, score: Score | None = None) -> None:
        if self._writers is not None:
            self._writers.record.sync()
            carry = (self._state, self._sums)
            record = {**self._writers.saved_with, 'held': self._writers.record.held()}
            self._writers.checkpoints.save(self.step, carry, record, stop=stop, score=score)
        self._saved_step = self.step


def write_scores(record: RunWriter, scoring: Scoring, step: int, state: GANState, *, provisional: bool) -> Score | None:
    """Writes the scores of a state and prints the first; returns the score that its checkpoint is kept for.

    `provisional` scores are those of a last step that eval_every does not reach: they go when the run is extended.
    """
    start = time.perf_counter()
    report = scoring(jax.device_get(state))
    seconds = time.perf_counter() - start
    record.evaluation(step, report, seconds, provisional=provisional)
    name, value = next(iter(report['scores'].items()))
    tqdm.write(f'step {step}, scored in {seconds:.0f} s: {name} {value:.4g}')
    return scoring.best_score(report['scores'])
