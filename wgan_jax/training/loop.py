"""A run in progress: trains, and writes, scores and saves at the intervals of its config."""

import signal
import time
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from wgan_jax.algorithm import state, steps
from wgan_jax.algorithm.state import GANState
from wgan_jax.data.source import is_plane
from wgan_jax.devices import compiling, parallel, processes
from wgan_jax.errors import LocalError
from wgan_jax.evaluate import scoring
from wgan_jax.runs import terminal
from wgan_jax.runs.checkpoint import Checkpoints, Score
from wgan_jax.runs.experiment import Experiment
from wgan_jax.runs.record import RunWriter
from wgan_jax.sample import generator, grid
from wgan_jax.training import not_finite
from wgan_jax.training.rounds import Calls
from wgan_jax.training.stopping import stop_request


class Run:
    """The state on the devices, and where it is written."""

    def __init__(
        self,
        config: ConfigDict,
        experiment: Experiment,
        images: np.ndarray,
        calls: Calls,
        writer: RunWriter | None,
        checkpoints: Checkpoints | None,
        evaluate: scoring.Evaluation | None,
        record: dict[str, Any],
        carry: tuple[GANState, steps.Metrics],
    ) -> None:
        """Places the state on the devices; only process 0 has a writer, checkpoints and scores."""
        self._config, self._calls, self._writer, self._evaluation = config, calls, writer, evaluate
        self._checkpoints, self._record = checkpoints, record
        self._state, self._sums = parallel.replicate(carry)
        self._latents = parallel.replicate(experiment.sample_latents())
        self._generate = compiling.compiled(state.generate, deterministic=config.deterministic)
        self._all_finite = compiling.compiled(steps.all_finite)
        self._watch = not_finite.Watch(images.shape[1:], config.clip_value)
        self._saved_step = self.step or None
        self._real = np.asarray(images[: config.num_samples])
        if self.step == 0:
            if writer is not None:
                writer.picture('real', self._picture(None), 0)
            self._sample()

    @property
    def step(self) -> int:
        """Rounds done."""
        return self._calls.step

    def until_done_or_stopped(self) -> signal.Signals | None:
        """Trains, writes at the intervals of the config, and saves at the end; returns the signal that stopped it, if one did."""
        config = self._config
        logged_step = self.step
        hidden = self._writer is None
        if config.eval_every is not None and self.step and self.step % config.eval_every == 0 and self._is_unscored():
            self._evaluate()  # it was stopped between saving and scoring
        with stop_request() as stop, terminal.progress_bar(self.step, config.num_steps, hidden=hidden) as bar:
            if self._writer is not None:
                self._writer.start_clock()
            # One process that is to stop stops all, after the same call.
            while self.step < config.num_steps and not (stopped_by := processes.greatest(stop.signal)):
                bar.update(self._advance())
                last = self.step == config.num_steps
                if self.step % config.log_every == 0 or last:
                    estimate = self._log(logged_step)
                    bar.set_postfix_str(f'estimate {estimate:.4g}')
                    logged_step = self.step
                    if warning := self._watch.warning(self.step, estimate):
                        bar.write(warning)
                if self.step % config.sample_every == 0 or last:
                    self._sample()
                scored = config.eval_every is not None and self.step % config.eval_every == 0
                if scored and config.best_metric is not None:
                    self._save(score=self._evaluate())
                elif self.step % config.checkpoint_every == 0:
                    self._save()  # first, for scoring may last minutes
                if scored and config.best_metric is None:
                    self._evaluate()
            if self._saved_step != self.step:
                self._save(stop=True)
            if self._checkpoints is not None:
                self._checkpoints.wait()
        return signal.Signals(stopped_by) if self.step < config.num_steps else None

    def _advance(self) -> int:
        """Does one call, and returns how many rounds it did.

        Raises:
          Diverged: the state or the metrics are no longer finite; nothing of it is written.
          LocalError: the images cannot be read.
        """
        before = self.step
        try:
            rounds, self._state, self._sums = self._calls.advance(self._state, self._sums)
        except OSError as error:
            reason = error.strerror or error
            raise LocalError(f'The images cannot be read ({reason}). Put them back, and give the same command again.') from error
        # The metrics alone do not tell: the generator's update comes after them. One truth value leaves the device.
        if not self._all_finite((self._state, self._sums)):
            raise not_finite.Diverged(self._state, self._sums, before, self.step, self._saved_step, self._record['rewinds'])
        return rounds

    def _log(self, logged_step: int) -> float:
        """Writes the means since the last log point and returns the estimate; this process has last logged at `logged_step`."""
        sums = {name: float(value) for name, value in jax.device_get(self._sums).items()}
        count = sums.pop('rounds')
        means = {name: value / count for name, value in sums.items()}
        if self._writer is not None:
            images_seen = self._calls.images_before(self.step) - self._calls.images_before(logged_step)
            self._writer.metrics(self.step, means, images_seen)
        if self._checkpoints is not None:
            self._checkpoints.check()
        if self.step % self._config.log_every == 0:  # a last line between log points must not change the next one
            self._sums = parallel.replicate(steps.zero_sums(self._config.gp_weight))
        return means['wasserstein_estimate']

    def _sample(self) -> None:
        samples = self._generate(self._state, self._latents)
        if self._writer is not None:
            self._writer.picture(f'step_{self.step:06d}', self._picture(np.asarray(samples)), self.step)

    def _picture(self, samples: np.ndarray | None) -> np.ndarray:
        """What samples look like, or real images if there are none."""
        if not is_plane(self._real.shape[1:]):
            return grid.grid(self._real if samples is None else generator.to_uint8(samples))
        from wgan_jax.sample import plane  # slow to import, and only points need it

        return plane.picture(self._real, samples, None if samples is None else jax.device_get(self._state))

    def _is_unscored(self) -> bool:
        return self._writer is not None and self._writer.scored_step != self.step

    def _evaluate(self) -> Score | None:
        """Writes the scores of the state, and returns what a checkpoint of it is kept for."""
        if self._evaluation is None or self._writer is None:
            return None
        began = time.perf_counter()
        report = self._evaluation(jax.device_get(self._state))
        self._writer.evaluation(self.step, report, time.perf_counter() - began)
        return self._evaluation.best_score(report['scores'])

    def _save(self, *, stop: bool = False, score: Score | None = None) -> None:
        if self._writer is not None and self._checkpoints is not None:
            self._writer.sync()
            self._checkpoints.save(self.step, (self._state, self._sums), self._record, stop=stop, score=score)
        self._saved_step = self.step
