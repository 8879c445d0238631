"""The training program: restore, train, and go back if training diverges."""

import signal
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

from wgan_jax.algorithm import noise
from wgan_jax.data import identity
from wgan_jax.data.array_file import check_unchanged
from wgan_jax.data.source import check_images
from wgan_jax.devices import numerics, processes
from wgan_jax.errors import UserError
from wgan_jax.evaluate.scoring import Scoring
from wgan_jax.runs.checkpoint import Checkpoints
from wgan_jax.runs.config import flatten
from wgan_jax.runs.directory import refuse_group
from wgan_jax.runs.experiment import Experiment
from wgan_jax.runs.files import run_directory, versions
from wgan_jax.runs.resume import LOCAL
from wgan_jax.sample.grid import check_size
from wgan_jax.training.continuing import complete, open_directory, restore, write_report, writing
from wgan_jax.training.loop import Run
from wgan_jax.training.member import Member, make_generate
from wgan_jax.training.not_finite import Diverged
from wgan_jax.training.rounds import Rounds
from wgan_jax.training.stopping import StopRequest


def train(experiment: Experiment, workdir: str, *, ends_process: bool = False) -> signal.Signals | None:
    """Trains to the last step, from the last checkpoint in `workdir` if there is one.

    SIGINT, SIGTERM or SIGHUP makes it save and return. However it was stopped, the same call later ends with the same bits as an
    uninterrupted run. In a run of several processes each calls this function, and a signal to one stops all.

    Args:
      experiment: the run, from runs.build.prepare.
      workdir: the run's directory; created if it does not exist.
      ends_process: the caller ends the process after a signal, so that further signals are ignored from then on.

    Returns:
      The signal that stopped it, or None when the run is complete.

    Raises:
      UserError: the data or the directory cannot be used, or training has diverged.
    """
    with processes.all_or_none():
        refuse_group(run_directory(workdir))
    run_dir, images, facts = prepare_images(experiment, workdir)
    experiment = experiment.in_rounds(len(images))
    # The last checkpoint may take longer than processes wait for each other when they end.
    with StopRequest(ends_process=ends_process) as stop, processes.all_or_none():
        return _train(experiment, run_dir, images, {**experiment.config, **facts}, stop)


def prepare_images(experiment: Experiment, workdir: str) -> tuple[Path, np.ndarray, dict[str, Any]]:
    """(directory, images, facts) of a run: `facts` are what its checkpoints record besides its config.

    Raises:
      UserError: the data or the directory cannot be used, or the processes of the run differ.
    """
    data = experiment.data
    with processes.all_or_none():
        run_dir = run_directory(workdir)
        check_grid(experiment)
        folder = data.source.folder
        if folder is not None and run_dir.resolve().is_relative_to(folder.resolve()):
            raise UserError(
                f'--workdir={workdir} lies in {folder}, of which every image is used, and the pictures of the run would become '
                'training images: choose another directory.'
            )
    numbers = {'settings': numerics.settings(), 'rounding': numerics.rounding()}
    processes.check_same('other versions, devices or settings', versions() | flatten(numbers))
    same = {name: value for name, value in flatten(experiment.config).items() if name not in LOCAL}
    same['code'] = experiment.code and experiment.code.sha256  # its path may differ
    processes.check_same('another config', same)
    images = processes.first_before_others(data.source.load)
    with processes.all_or_none():
        check_images(data.name, data.source, images)
    data_set = identity(images)
    processes.check_same('other images', data_set)
    return run_dir, images, {'data_set': data_set, **numbers}


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
        checkpoints, rewinds = open_directory(run_dir, experiment.outputs, stack), 0
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
    restored = restore(experiment, run_dir, record, checkpoints, rewinds)
    step, rewinds, carry = restored.step, restored.rewinds, restored.carry
    if step >= experiment.num_steps:
        print(f'{run_dir} is at step {step} already; to train on, give a --config.num_steps larger than that.')
        if checkpoints is not None:
            complete(experiment, run_dir, images, restored)
            write_report([run_dir], run_dir)
        return None
    if step:
        print(f'Continuing {run_dir} at step {step}.')
    experiment = experiment._replace(train_key=noise.after_rewinds(experiment.train_key, rewinds))
    check_unchanged(images)  # a run that goes back reads them again
    with ExitStack() as stack:
        scoring = _scoring(experiment, images)
        writers = stack.enter_context(writing(experiment, run_dir, len(images), restored, checkpoints, scoring, record))
        rounds = stack.enter_context(closing(Rounds(experiment, images, step)))
        member = Member(experiment, make_generate(experiment), images, writers, step, rewinds=rewinds)
        run = Run(experiment, rounds, [member], [carry])
        del carry, restored  # a second copy of the state, when there are several devices
        stopped_by = run.train(stop)
        if writers is not None:
            how, next_time = 'Done', 'To train on, give a larger --config.num_steps.'
            if stopped_by is not None:
                how, next_time = f'Stopped by {stopped_by.name}', 'The same command continues from here.'
            print(f'{how} at step {run.step}. Last picture: {writers.record.last_picture}\n{next_time}')
            if stopped_by is None:  # after a signal the process should end quickly
                write_report([run_dir], run_dir)
    return stopped_by


def _scoring(experiment: Experiment, images: np.ndarray) -> Scoring | None:
    """What scores the run, in process 0."""
    if experiment.outputs.eval_every is None:
        return None
    with processes.all_or_none():
        if processes.is_first():
            return Scoring(experiment, images, best_metric=experiment.outputs.best_metric)
    return None
