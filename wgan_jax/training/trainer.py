"""The training program: restore, train, and go back if training diverges."""

import functools
import signal
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

from wgan_jax.algorithm import noise, steps
from wgan_jax.algorithm.state import GANState
from wgan_jax.data import identity
from wgan_jax.data.array_file import check_unchanged
from wgan_jax.devices import numerics, processes
from wgan_jax.errors import UserError
from wgan_jax.evaluate.scoring import Scoring
from wgan_jax.runs.checkpoint import Checkpoints
from wgan_jax.runs.config import flatten
from wgan_jax.runs.directory import locked, written_in
from wgan_jax.runs.experiment import Experiment
from wgan_jax.runs.files import expand, reason, run_directory, versions
from wgan_jax.runs.record import RunWriter, read_evaluations
from wgan_jax.runs.resume import LOCAL, check_resumable
from wgan_jax.sample.grid import check_size
from wgan_jax.training.loop import Run, Writers, write_scores
from wgan_jax.training.not_finite import Diverged
from wgan_jax.training.rounds import Rounds
from wgan_jax.training.stopping import StopRequest

Carry = tuple[GANState, steps.Metrics]


def train(experiment: Experiment, workdir: str) -> signal.Signals | None:
    """Trains to the last step, from the last checkpoint in `workdir` if there is one.

    SIGINT, SIGTERM or SIGHUP makes it save and return. However it was stopped, the same call later ends with the same bits as an
    uninterrupted run. In a run of several processes each calls this function, and a signal to one stops all.

    Args:
      experiment: the run, from runs.experiment.prepare.
      workdir: the run's directory; created if it does not exist.

    Returns:
      The signal that stopped it, or None when the run is complete.

    Raises:
      UserError: the data or the directory cannot be used, or training has diverged.
    """
    data = experiment.data
    with processes.all_or_none():
        run_dir = run_directory(workdir)
        check_grid(experiment)
        folder = data.settings['folder']
        if folder and run_dir.resolve().is_relative_to(expand(folder).resolve()):
            raise UserError(
                f'--workdir={workdir} lies in config.data.folder={folder}, and the pictures of the run would become training '
                'images: choose another directory.'
            )
    numbers = {'settings': numerics.settings(), 'rounding': numerics.rounding()}
    processes.check_same('other versions, devices or settings', versions() | flatten(numbers))
    processes.check_same('another config', {name: value for name, value in flatten(experiment.config).items() if name not in LOCAL})
    images = processes.first_before_others(data.source.load)
    data_set = identity(images)
    processes.check_same('other images', data_set)
    experiment = experiment.in_rounds(len(images))
    # The last checkpoint may take longer than processes wait for each other when they end.
    with StopRequest() as stop, processes.all_or_none():
        return _train(experiment, run_dir, images, {**experiment.config, 'data_set': data_set, **numbers}, stop)


def check_grid(experiment: Experiment) -> None:
    """Refuses a grid of samples that is too large for a picture.

    Raises:
      UserError: it is.
    """
    count = experiment.outputs.num_samples
    check_size(f'config.num_samples={count}', count, experiment.data.source.image_shape, 'use fewer')


def _train(
    experiment: Experiment, run_dir: Path, images: np.ndarray, record: dict[str, Any], stop: StopRequest
) -> signal.Signals | None:
    """Trains; if training diverges, goes back and trains again with other noise, as often as the config allows."""
    with ExitStack() as stack:
        checkpoints = None
        with processes.all_or_none():
            if processes.is_first():
                stack.enter_context(locked(run_dir))
                stack.enter_context(written_in(run_dir))
                outputs = experiment.outputs
                checkpoints = stack.enter_context(
                    Checkpoints(run_dir / 'checkpoints', outputs.checkpoints_to_keep, outputs.best_metric)
                )
        rewinds = 0
        while True:
            try:
                return _train_once(experiment, run_dir, images, record, checkpoints, rewinds, stop)
            except Diverged as error:
                if error.rewinds >= experiment.max_rewinds:
                    raise UserError(f'{error} {error.advice(experiment.max_rewinds)}') from error
                rewinds = error.rewinds + 1
                print(f'{error} Going back, with other noise: {rewinds} of at most {experiment.max_rewinds} times.', flush=True)


def _train_once(
    experiment: Experiment,
    run_dir: Path,
    images: np.ndarray,
    record: dict[str, Any],
    checkpoints: Checkpoints | None,
    rewinds: int,
    stop: StopRequest,
) -> signal.Signals | None:
    """Restores, trains, and prints how it ended; only process 0 has checkpoints."""
    step, rewinds, carry, saved = _restore(experiment, run_dir, record, checkpoints, rewinds)
    if step >= experiment.num_steps:
        print(f'{run_dir} is at step {step} already; to train on, give a --config.num_steps larger than that.')
        if checkpoints is not None:
            _complete(experiment, run_dir, images, step, carry, saved)
        return None
    if step:
        print(f'Continuing {run_dir} at step {step}.')
    experiment = experiment._replace(train_key=noise.after_rewinds(experiment.train_key, rewinds))
    check_unchanged(images)  # a run that goes back reads them again
    with ExitStack() as stack:
        scoring = _scoring(experiment, images)
        writers = None
        if checkpoints is not None:
            writer = RunWriter(
                run_dir,
                experiment.config,
                step,
                held=saved.get('held'),
                keep_line=int(carry[1]['rounds']) == 0,
                keep_picture=_was_due('sample_every', step, saved, experiment, len(images)),
                keep_scores=_was_due('eval_every', step, saved, experiment, len(images)),
            )
            stack.enter_context(closing(writer))
            writers = Writers(writer, checkpoints, scoring, {**record, 'rewinds': rewinds})
        rounds = stack.enter_context(closing(Rounds(experiment, images, step)))
        run = Run(experiment, rounds, images, carry, writers, rewinds)
        del carry  # a second copy of the state, when there are several devices
        stopped_by = run.train(stop)
        if writers is not None:
            how, next_time = 'Done', 'To train on, give a larger --config.num_steps.'
            if stopped_by is not None:
                how, next_time = f'Stopped by {stopped_by.name}', 'The same command continues from here.'
            print(f'{how} at step {run.step}. Last picture: {writers.record.last_picture}\n{next_time}')
            if stopped_by is None:  # after a signal the process should end quickly
                _report(run_dir)
    return stopped_by


def _restore(
    experiment: Experiment, run_dir: Path, record: dict[str, Any], checkpoints: Checkpoints | None, rewinds: int
) -> tuple[int, int, Carry, dict[str, Any]]:
    """(step, rewinds, state and sums) of the last checkpoint, or of a new run, in all processes; and its record, in process 0.

    Checkpoints record the rewinds. A process that is killed between going back and saving diverges again, and goes back again.
    """
    step, carry = 0, (experiment.create_state(), steps.zero_sums(experiment.round_settings['gp_weight']))
    saved: dict[str, Any] = {}
    with processes.all_or_none():
        if checkpoints is not None:
            checkpoints.wait()
            check = functools.partial(check_resumable, now=record, workdir=str(run_dir))
            restored = checkpoints.restore(carry, check, before_stops=rewinds > 0)
            if restored is not None:
                step, carry, saved = restored.step, restored.tree, restored.record
                rewinds = max(rewinds, saved['rewinds'])
    step, rewinds, carry = processes.from_first((np.int32(step), np.int32(rewinds), carry))
    return int(step), int(rewinds), carry, saved


def _was_due(interval: str, step: int, saved: dict[str, Any], experiment: Experiment, num_images: int) -> bool:
    """Whether an interval, from the record of the checkpoint of `step`, reached that step, or only the end of a run did."""
    rounds = experiment.rounds_per_epoch(num_images) if saved.get('interval_unit') == 'epochs' else 1
    return step % (rounds * (saved.get(interval) or 1)) == 0


def _scoring(experiment: Experiment, images: np.ndarray) -> Scoring | None:
    """What scores the run, in process 0."""
    if experiment.outputs.eval_every is None:
        return None
    with processes.all_or_none():
        if processes.is_first():
            return Scoring(experiment, images, best_metric=experiment.outputs.best_metric)
    return None


def _complete(experiment: Experiment, run_dir: Path, images: np.ndarray, step: int, carry: Carry, saved: dict[str, Any]) -> None:
    """Writes what a process did not write that was killed after the checkpoint of the last step: its scores and the report."""
    every, scored = experiment.outputs.eval_every, read_evaluations(run_dir)
    if every is not None and step == experiment.num_steps and (not scored or scored[-1]['step'] < step):
        with closing(RunWriter(run_dir, experiment.config, step, held=saved.get('held'))) as writer:
            write_scores(writer, Scoring(experiment, images), step, carry[0], provisional=step % every != 0)
    _report(run_dir)


def _report(run_dir: Path) -> None:
    """Writes the report of a complete run; a failure is printed and changes nothing else."""
    try:
        from wgan_jax.report.page import write  # imports matplotlib, and is needed once, at the end

        write([run_dir], run_dir / 'report.html')
    except Exception as error:  # whatever goes wrong here, the run is complete
        print(f'Warning: the report could not be written ({reason(error)}); python -m wgan_jax.report {run_dir} tries again.')
    else:
        print(f'Report: {run_dir / "report.html"}')
