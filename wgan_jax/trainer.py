"""The training program: restore, run rounds, log, sample, save, stop."""

import fcntl
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from wgan_jax import parallel, processes, sampling, steps, writers
from wgan_jax.calls import Calls
from wgan_jax.checkpoint import Checkpoints, versions
from wgan_jax.config import LOCAL, check_resumable, flatten
from wgan_jax.data import identity, source_of
from wgan_jax.errors import UserError
from wgan_jax.experiment import Experiment, prepare
from wgan_jax.state import GANState


def train(config: ConfigDict, workdir: str) -> bool:
    """Trains until `config.num_steps`, from the last checkpoint in `workdir` if there is one.

    Stopped by SIGINT or SIGTERM it saves where it is and returns. However it was stopped, the same call later ends with the
    same bits as a run that was never stopped. In a run of several processes each calls this; one that is to stop stops all.

    Args:
      config: a config with the keys of configs/default.py.
      workdir: the run's directory, created if need be.

    Returns:
      Whether the run is complete.

    Raises:
      UserError: the config, the data or the directory does not allow it, or training has diverged.
    """
    run_dir = Path(workdir).expanduser()
    with processes.all_or_none():
        experiment = prepare(config)
        if config.data.folder and run_dir.resolve().is_relative_to(Path(config.data.folder).expanduser().resolve()):
            raise UserError(
                f'--workdir={workdir} lies in config.data.folder={config.data.folder}: the pictures of the run would become images '
                'to train on. Choose another.'
            )
    local = {'device': jax.local_devices()[0].device_kind, 'jax_enable_x64': jax.config.jax_enable_x64}
    processes.check_same('other versions or devices', versions() | local)
    processes.check_same('another config', {name: value for name, value in flatten(config).items() if name not in LOCAL})
    images = processes.first_before_others(source_of(config.data).load)
    data_set = identity(images)
    processes.check_same('other images', data_set)
    record = {**config.to_dict(), 'data_set': data_set}
    with processes.all_or_none():  # leaving is given less time than the last checkpoint may take
        complete = _train(config, run_dir, experiment, images, record)
    return complete


def _train(config: ConfigDict, run_dir: Path, experiment: Experiment, images: np.ndarray, record: dict[str, Any]) -> bool:
    """Restores, trains, and says what came of it; returns whether the run is complete."""
    with ExitStack() as stack:
        step, carry, checkpoints = 0, (experiment.create_state(), steps.zero_sums(config.gp_weight)), None
        with processes.all_or_none():
            if processes.is_first():
                checkpoints = stack.enter_context(_open(run_dir, config.checkpoints_to_keep))
                restored = checkpoints.restore(carry, lambda saved: check_resumable(saved, record, str(run_dir)))
                if restored is not None:
                    step, carry = restored
        step, carry = processes.from_first((np.int32(step), carry))
        step = int(step)
        if step >= config.num_steps:
            print(f'{run_dir} is at step {step} already; to train on, give a --config.num_steps larger than that.')
            return True
        if step:
            print(f'Continuing {run_dir} at step {step}.')
        writer = None
        if checkpoints is not None:
            at_log_point = step % config.log_every == 0
            writer = stack.enter_context(closing(writers.RunWriter(run_dir, config.to_dict(), step, keep_last=at_log_point)))
        calls = stack.enter_context(closing(Calls(config, experiment, images, step)))
        run = _Run(config, experiment, images, calls, writer, checkpoints, record, carry)
        del carry  # on several devices it is a copy that the run does not need
        complete = run.until_done_or_stopped()
        if writer is not None:
            print(f'{"Done" if complete else "Stopped"} at step {calls.step}. Last picture: {writer.last_picture}')
            print('To train on, give a larger --config.num_steps.' if complete else 'The same command continues from here.')
    return complete


class _Run:
    """A run in progress: the state on the devices, and where it is written."""

    def __init__(
        self,
        config: ConfigDict,
        experiment: Experiment,
        images: np.ndarray,
        calls: Calls,
        writer: writers.RunWriter | None,
        checkpoints: Checkpoints | None,
        record: dict[str, Any],
        carry: tuple[GANState, steps.Metrics],
    ) -> None:
        """Places the state on the devices; only process 0 has a writer and checkpoints."""
        self._config, self._calls, self._writer = config, calls, writer
        self._checkpoints, self._record = checkpoints, record
        self._state, self._sums = parallel.replicate(carry)
        self._latents = parallel.replicate(experiment.sample_latents())
        self._generate = parallel.compiled(sampling.generate, deterministic=config.deterministic)
        self._all_finite = parallel.compiled(steps.all_finite)
        if self.step == 0:
            if writer is not None:
                writer.picture('real', sampling.grid(images[: config.num_samples]), 0)
            self._sample()

    @property
    def step(self) -> int:
        """Rounds done."""
        return self._calls.step

    def until_done_or_stopped(self) -> bool:
        """Trains, writes at the intervals of the config, and saves at the end; returns whether it is done."""
        config = self._config
        saved_step = logged_step = self.step
        hidden = self._writer is None
        with _stop_request() as stop, writers.progress_bar(self.step, config.num_steps, hidden=hidden) as bar:
            if self._writer is not None:
                self._writer.start_clock()
            # One process that is to stop stops all, after the same call.
            while self.step < config.num_steps and not processes.greatest(stop.is_set()):
                rounds, self._state, self._sums = self._calls.advance(self._state, self._sums)
                bar.update(rounds)
                last = self.step == config.num_steps
                if self.step % config.log_every == 0 or last:
                    estimate = self._log(logged_step)
                    bar.set_postfix_str(f'estimate {estimate:.4g}')
                    logged_step = self.step
                if self.step % config.sample_every == 0 or last:
                    self._sample()
                if self.step % config.checkpoint_every == 0:
                    self._save()
                    saved_step = self.step
            if saved_step != self.step:
                self._save()
            if self._checkpoints is not None:
                self._checkpoints.wait()
        return self.step == config.num_steps

    def _log(self, logged_step: int) -> float:
        """Writes the means since the last log point and returns the estimate; this process has last logged at `logged_step`."""
        self._check_finite()
        sums = {name: float(value) for name, value in jax.device_get(self._sums).items()}
        count = sums.pop('rounds')
        means = {name: value / count for name, value in sums.items()}
        if self._writer is not None:
            images_seen = self._calls.images_before(self.step) - self._calls.images_before(logged_step)
            self._writer.metrics(self.step, means, images_seen)
        if self.step % self._config.log_every == 0:  # a last line between log points must not change the next one
            self._sums = parallel.replicate(steps.zero_sums(self._config.gp_weight))
        return means['wasserstein_estimate']

    def _sample(self) -> None:
        self._check_finite()
        images = self._generate(self._state, self._latents)
        if self._writer is not None:
            self._writer.picture(f'step_{self.step:06d}', sampling.grid(sampling.to_uint8(images)), self.step)

    def _save(self) -> None:
        self._check_finite()
        if self._writer is not None and self._checkpoints is not None:
            self._writer.sync()
            self._checkpoints.save(self.step, (self._state, self._sums), self._record)

    def _check_finite(self) -> None:
        """Stops a run that has diverged before anything of it is written.

        The metrics alone do not tell: the generator's update comes after them.
        """
        carry = self._state, self._sums
        if self._all_finite(carry):  # one truth value leaves the device, not the state
            return
        leaves = jax.tree_util.tree_leaves_with_path(jax.device_get(carry))
        name = next(
            jax.tree_util.keystr(path[1:], simple=True, separator='.') for path, leaf in leaves if not np.isfinite(leaf).all()
        )
        raise UserError(
            f'Training diverged: {name} is no longer finite after step {self.step}, of which nothing was saved; try a '
            'smaller learning rate or another config.seed, with another --workdir.'
        )


@contextmanager
def _open(run_dir: Path, keep: int) -> Iterator[Checkpoints]:
    """The checkpoints of a run, whose directory is this process's alone."""
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        checkpoints = Checkpoints(run_dir / 'checkpoints', keep)
    except OSError as error:
        raise UserError(f'--workdir={run_dir} cannot be a directory of this run ({error.strerror}); choose another.') from error
    with _only_run(run_dir), closing(checkpoints):
        yield checkpoints


@contextmanager
def _only_run(run_dir: Path) -> Iterator[None]:
    """Holds the directory for this process; the system lets go of it however the process ends."""
    with (run_dir / '.lock').open('a') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f'Another process is training in {run_dir}; wait for it, or give another --workdir.') from None
        yield


@contextmanager
def _stop_request() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; a second one ends the process at once."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def request(number: int, frame: Any) -> None:
        del frame
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    if threading.current_thread() is threading.main_thread():
        for number in before:
            signal.signal(number, request)
    try:
        yield stop
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)
