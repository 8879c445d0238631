"""The training loop: call, check, log, sample, score, save, stop."""

import signal
import statistics
import sys
import time
from collections.abc import Sequence
from itertools import compress

import jax
from tqdm import tqdm

from wgan_jax.algorithm.steps import Carry
from wgan_jax.devices import processes
from wgan_jax.errors import LocalError
from wgan_jax.runs.experiment import Experiment
from wgan_jax.runs.terminal import log_line, progress_bar
from wgan_jax.training import not_finite
from wgan_jax.training.member import Member
from wgan_jax.training.member_rounds import MemberRounds
from wgan_jax.training.rounds import Rounds
from wgan_jax.training.stopping import StopRequest


class Run:
    """A run in progress, or a group of them: the state on the devices, and the members that write it."""

    def __init__(
        self, experiment: Experiment, rounds: Rounds | MemberRounds, members: Sequence[Member], carries: Sequence[Carry]
    ) -> None:
        """Places the states on the devices; writes the first pictures of new runs.

        Args:
          experiment: the run, or one of the group.
          rounds: its calls.
          members: the run, or all runs of the group.
          carries: their states and sums.
        """
        self._experiment, self._rounds, self._members = experiment, rounds, members
        self._writers = [member.writers for member in members if member.writers is not None]
        self._say_compiled()
        self._state, self._sums = rounds.place(carries)
        self._fetched: list[Carry] | None = None
        for member, (state, _) in zip(members, self._carries(), strict=True):
            if member.step == 0:
                member.first_pictures(state)

    def _say_compiled(self) -> None:
        print(f'Compiled in {self._rounds.compile_seconds:.0f} s; training to step {self._experiment.num_steps} on', end=' ')
        print(f'{jax.device_count()} x {jax.devices()[0].device_kind}', end='')
        print(f' in {jax.process_count()} processes' if jax.process_count() > 1 else '', end='')
        print(', the images in host memory.' if self._rounds.on_host else '.', flush=True)

    @property
    def step(self) -> int:
        """Rounds done by the members that have done the fewest."""
        return self._rounds.step

    def train(self, stop: StopRequest) -> signal.Signals | None:
        """Trains to the last step, or until a signal; saves, and returns the signal."""
        every, num_steps = self._experiment.outputs, self._experiment.num_steps
        self._score_after_resume()
        stop.listen()
        self._began = time.perf_counter(), self.step
        with progress_bar(self.step, num_steps, hidden=not self._writers) as bar:
            for writers in self._writers:
                writers.record.start_clock()
            # A signal to one process stops all of them, after the same call.
            while self.step < num_steps and not (stopped_by := processes.greatest(stop.signal)):
                bar.update(self._advance())
                last, saves, scores = self.step == num_steps, self._is_due(every.checkpoint_every), self._is_due(every.eval_every)
                if last or self._is_due(every.log_every):
                    self._log(bar)
                if last or self._is_due(every.sample_every):
                    self._sample()
                if every.best_metric is None:
                    if last or saves:
                        self._save(stop=not saves)  # before scoring, which may take minutes
                    if last or scores:
                        self._score()
                elif last or saves or scores:  # with the score that decides whether the checkpoint is kept
                    self._save(stop=not (saves or scores), scored=last or scores)
            if self.step < num_steps:
                stop.record(stopped_by)
                self._save(stop=True)
            for writers in self._writers:
                writers.checkpoints.wait()
        return signal.Signals(stopped_by) if self.step < num_steps else None

    def _is_due(self, interval: int | None) -> bool:
        return interval is not None and self.step % interval == 0

    def _advance(self) -> int:
        """Runs one call; returns its number of rounds.

        Raises:
          Diverged: the state or the metrics of a single run are not finite. Nothing of them is written, nor of those of a member of
            a group, which ends while the others go on.
          LocalError: the images cannot be read.
        """
        before = self.step
        try:
            self._fetched = None  # before the call, which donates what these arrays may be views of
            rounds, self._state, self._sums = self._rounds.advance(self._state, self._sums)
        except OSError as error:
            reason = error.strerror or error
            raise LocalError(f'The images cannot be read ({reason}). Restore them, and give the same command again.') from error
        for member, moved in zip(self._members, self._rounds.moved, strict=True):
            member.step += rounds if moved else 0
        # The state as well as the metrics, since the generator's update comes after them. Booleans leave the device, and no more.
        for number in self._rounds.drop_diverged((self._state, self._sums)):
            member = self._members[number]
            # No variable holds the error: it refers to this frame, and a circle would keep the run in memory.
            if member.name is None:
                raise self._diverged(number, before)
            tqdm.write(f'{member.name}: {self._diverged(number, before)}')
            if member.writers is not None:
                member.writers.record.fail()
        return rounds

    def _diverged(self, number: int, before: int) -> not_finite.Diverged:
        member, (state, sums) = self._members[number], self._carries()[number]
        return not_finite.Diverged(state, sums, before, member.step, member.saved_step, member.rewinds)

    def _carries(self) -> list[Carry]:
        """What each member carries; for a group a copy on the host, made once per call, and anew when sums were cleared."""
        if self._fetched is None:
            self._fetched = self._rounds.each((self._state, self._sums))
        return self._fetched

    def _moved(self) -> list[tuple[Member, Carry]]:
        """The members that have moved in the last call, with what they carry."""
        return [*compress(zip(self._members, self._carries(), strict=True), self._rounds.moved)]

    def _log(self, bar: tqdm) -> None:
        """Writes the means over the rounds since the last log point; the last step need not be one, and then the sums go on."""
        exact, of_members = self._exact_distances(), zip(self._members, self._rounds.each(self._sums), strict=True)
        logged = [
            (member, {name: float(value) for name, value in sums.items()})
            for member, sums in compress(of_members, self._rounds.moved)
        ]
        if self._is_due(self._experiment.outputs.log_every):
            self._sums, self._fetched = self._rounds.cleared(self._sums), None
        if not logged:  # all have diverged
            return
        written = [member.log(sums, own) for (member, sums), own in zip(logged, exact, strict=True)]
        means, rates = zip(*written, strict=True)
        estimates = [mean['wasserstein_estimate'] for mean in means]
        bar.set_postfix_str(f'estimate {statistics.mean(estimates):.4g}')
        if not bar.disable and sys.stdout.isatty():
            return
        began, first = self._began
        seconds_left = (time.perf_counter() - began) / (self.step - first) * (self._experiment.num_steps - self.step)
        mean_of = {name: statistics.mean(mean[name] for mean in means) for name in means[0]}
        (member, sums), *_ = logged
        line = log_line(self.step, self._experiment.num_steps, member.epoch, mean_of, sums['rounds'], sum(rates), seconds_left)
        if len(self._members) > 1:
            line += f'; means of {len(logged)} members, with estimates from {min(estimates):.4g} to {max(estimates):.4g}'
        print(line, flush=True)

    def _exact_distances(self) -> list[dict[str, float]]:
        """Those of each member that has moved; {} for each if the config asks for none."""
        if self._experiment.outputs.exact_points is None:
            return [{}] * sum(self._rounds.moved)
        start = time.perf_counter()
        found = [member.exact_distances(state) for member, (state, _) in self._moved()]
        self._pause(time.perf_counter() - start)
        return found

    def _sample(self) -> None:
        for member, (state, _) in self._moved():
            member.sample(state)

    def _score_after_resume(self) -> None:
        """Scores the steps of runs that were stopped between saving and scoring."""
        for member, (state, _) in zip(self._members, self._carries(), strict=True):
            if member.must_be_scored():
                member.score(state)

    def _score(self) -> None:
        start = time.perf_counter()
        for member, (state, _) in self._moved():
            member.score(state)
        self._pause(time.perf_counter() - start)

    def _pause(self, seconds: float) -> None:
        """Does not count the seconds as training, in any member."""
        for writers in self._writers:
            writers.record.pause(seconds)

    def _save(self, *, stop: bool, scored: bool = False) -> None:
        """Saves what has changed since it was saved, with its scores if these decide which checkpoints are kept."""
        for member, carry in compress(zip(self._members, self._carries(), strict=True), self._rounds.alive):
            if member.step and member.saved_step != member.step:  # a run that stops at once begins anew
                start = time.perf_counter()
                score = member.score(carry[0]) if scored else None
                self._pause(time.perf_counter() - start)
                member.save(carry, stop=stop, score=score)
