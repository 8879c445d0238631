"""Trains a group of runs, those that differ in numbers only in one program; each leaves what it would have left alone."""

import json
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from wgan_jax.algorithm import noise
from wgan_jax.data.array_file import check_unchanged
from wgan_jax.devices import processes
from wgan_jax.errors import UserError
from wgan_jax.evaluate.scoring import Scoring
from wgan_jax.runs.checkpoint import Checkpoints
from wgan_jax.runs.config import flatten
from wgan_jax.runs.experiment import Experiment
from wgan_jax.runs.files import run_directory
from wgan_jax.runs.members import programs, varied
from wgan_jax.runs.resume import LOCAL
from wgan_jax.training.continuing import RestoredRun, complete, open_directory, restore, write_report, writing
from wgan_jax.training.loop import Run
from wgan_jax.training.member import Member, make_generate
from wgan_jax.training.member_rounds import MemberRounds, as_many_as_fit
from wgan_jax.training.stopping import StopRequest
from wgan_jax.training.trainer import prepare_images


def train_group(experiments: Mapping[str, Experiment], workdir: str, *, ends_process: bool = False) -> signal.Signals | None:
    """Trains all members to their last step, each from its last checkpoint in `workdir`/<name> if there is one.

    The members of one program are trained together, as many as fit into memory, and programs follow one another. A member that
    diverges ends, and the others go on. Otherwise like trainer.train: the same call continues a group that was stopped, and its
    members then have the same bits as in a group that was never stopped. Members are spread over the devices of all processes.

    Args:
      experiments: the members by name, from runs.build.prepare_group.
      workdir: the directory of the group; created if it does not exist.
      ends_process: the caller ends the process after a signal, so that further signals are ignored from then on.

    Returns:
      The signal that stopped it, or that came while complete members were written; None if there was none.

    Raises:
      UserError: the data or the directory cannot be used, or all members have diverged.
    """
    with processes.all_or_none():
        directory = run_directory(workdir)
        if (directory / 'config.json').exists():
            raise UserError(f'--workdir={workdir} holds a single run, and a group needs a directory of its own: give another one.')
    configs = {name: experiment.config for name, experiment in experiments.items()}
    same = {name: {key: value for key, value in flatten(config).items() if key not in LOCAL} for name, config in configs.items()}
    processes.check_same('another group', flatten(same))
    of_programs = programs(configs)
    if len(of_programs) > 1:
        print(f'{len(experiments)} runs in {len(of_programs)} programs, one after the other.')
    diverged: list[str] = []
    # The last checkpoint may take longer than processes wait for each other when they end.
    with StopRequest(ends_process=ends_process) as stop, processes.all_or_none():
        for names in of_programs:
            chosen = {name: experiments[name] for name in names}
            stopped_by = _train_program(chosen, directory, stop, diverged)
            if stopped_by is not None:
                print(f'Stopped by {stopped_by.name}. The same command continues from here.')
                return stopped_by
        late = processes.greatest(stop.signal)  # after the last round
    if len(diverged) == len(experiments):
        raise UserError(f'All {len(diverged)} runs of the group have diverged: try smaller learning rates.')
    if diverged:
        names = ', '.join(diverged)
        print(f'{len(diverged)} of {len(experiments)} runs have diverged, and what they saved before is intact: {names}.')
    if processes.is_first():
        write_report([directory / name for name in experiments], directory)
    return signal.Signals(late) if late else None


class _Opened(NamedTuple):
    """A member, and where it continues."""

    name: str
    experiment: Experiment
    run_dir: Path
    record: dict[str, Any]
    checkpoints: Checkpoints | None  # in process 0
    restored: RestoredRun


def _train_program(
    experiments: Mapping[str, Experiment], directory: Path, stop: StopRequest, diverged: list[str]
) -> signal.Signals | None:
    """Trains the members of one program, as many at a time as fit into memory."""
    names = list(experiments)
    _, images, facts = prepare_images(experiments[names[0]], str(directory))

    def train(part: slice) -> signal.Signals | None:
        chosen = {name: experiments[name].in_rounds(len(images)) for name in names[part]}
        return _train_together(chosen, directory, images, facts, stop, diverged)

    return next(filter(None, as_many_as_fit(len(names), train)), None)


def _train_together(
    experiments: Mapping[str, Experiment],
    directory: Path,
    images: np.ndarray,
    facts: dict[str, Any],
    stop: StopRequest,
    diverged: list[str],
) -> signal.Signals | None:
    """Restores, trains, and prints how it ended."""
    group, first = list(experiments.values()), next(iter(experiments.values()))
    numbers = varied([experiment.config for experiment in group])
    facts = {**facts, 'rounding': {**facts['rounding'], 'num_devices': 1, 'in_a_group': _arithmetic(numbers, len(group))}}
    check_unchanged(images)
    with ExitStack() as stack:
        opened = [_open(directory / name, experiment, first, facts, stack) for name, experiment in experiments.items()]
        scoring: list[Scoring | None] = [None] * len(group)
        with processes.all_or_none():
            if processes.is_first():
                scoring = _scorings(group, images)
        done = [one.restored.step for one in opened]
        if min(done) >= first.num_steps:
            print(
                f'All {len(group)} runs are at step {min(done)} already; to train on, give a --config.num_steps larger than that.'
            )
            if processes.is_first():
                _complete(opened, scoring, images)
            return None
        if max(done):
            print(f'Continuing {len(group)} runs, which are at steps {min(done)} to {max(done)}.')
        # A member may have gone back, alone, after it diverged here: its noise is that of its last process.
        keys = [noise.after_rewinds(one.experiment.train_key, one.restored.rewinds) for one in opened]
        group = [experiment._replace(train_key=key) for experiment, key in zip(group, keys, strict=True)]
        # Before anything is written: with too little memory, fewer members are tried.
        rounds = stack.enter_context(closing(MemberRounds(group, numbers, images, done)))
        make_images, members = make_generate(first), []
        for one, scores in zip(opened, scoring, strict=True):
            opening = writing(one.experiment, one.run_dir, len(images), one.restored, one.checkpoints, scores, one.record)
            writers, step, rewinds = stack.enter_context(opening), one.restored.step, one.restored.rewinds
            members.append(Member(one.experiment, make_images, images, writers, step, name=one.name, rewinds=rewinds))
        run = Run(first, rounds, members, [one.restored.carry for one in opened])
        del opened
        stopped_by = run.train(stop)
        alive = [*compress(members, rounds.alive)]
        diverged += [member.name for member in members if member not in alive]
        if stopped_by is None and alive:
            print(f'Done: {len(alive)} runs are at step {first.num_steps}. To train on, give a larger --config.num_steps.')
            for member in alive:
                if member.writers is not None:
                    write_report([directory / member.name], directory / member.name)
    return stopped_by


def _open(run_dir: Path, experiment: Experiment, first: Experiment, facts: dict[str, Any], stack: ExitStack) -> _Opened:
    """Locks the directory of a member and restores it; its functions are those of the first one, compiled once."""
    record, checkpoints = {**experiment.config, **facts}, open_directory(run_dir, experiment.outputs, stack)
    shared = experiment._replace(create=first.create, with_image_statistics=first.with_image_statistics)
    return _Opened(run_dir.name, shared, run_dir, record, checkpoints, restore(shared, run_dir, record, checkpoints, rewinds=0))


def _complete(opened: Sequence[_Opened], scoring: Sequence[Scoring | None], images: np.ndarray) -> None:
    """Writes what a process did not write that was killed at the end."""
    for one, scores in zip(opened, scoring, strict=True):
        complete(one.experiment, one.run_dir, images, one.restored, scores)
        if not (one.run_dir / 'report.html').exists():
            write_report([one.run_dir], one.run_dir)


def _arithmetic(numbers: Mapping[str, Any], count: int) -> str:
    """What may change the last bits of a member against the same run in another group."""
    how = 'one by one' if jax.default_backend() == 'cpu' else f'{-(-count // jax.device_count())} at once'
    return ', '.join([how, *numbers])


def _scorings(experiments: Sequence[Experiment], images: np.ndarray) -> list[Scoring | None]:
    """What scores each member; those whose critics are trained alike share it, and all share the features of real images."""
    known: dict[tuple[Any, ...], Scoring | None] = {}
    for experiment in experiments:
        kind, best = _objective(experiment), experiment.outputs.best_metric
        if experiment.outputs.eval_every is None:
            known[kind] = None
        elif kind not in known:
            scorer = next(iter(known.values())).scorer if known else None
            known[kind] = Scoring(experiment, images, best_metric=best, scorer=scorer, num_devices=1)
    return [known[_objective(experiment)] for experiment in experiments]


def _objective(experiment: Experiment) -> tuple[Any, ...]:
    """What may differ between the members of a program and changes how the critic is trained on, to see whether it is optimal."""
    optimizer = json.dumps(experiment.config['critic_optimizer'], sort_keys=True)
    return experiment.clip_value, experiment.round_settings['gp_weight'], optimizer
