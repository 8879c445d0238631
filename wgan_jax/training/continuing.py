"""Where a run continues: its last checkpoint, and its record, which goes on from there; and what is written when it is complete."""

import functools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wgan_jax.algorithm.steps import Carry
from wgan_jax.devices import processes
from wgan_jax.evaluate.scoring import Scoring
from wgan_jax.runs import own_code
from wgan_jax.runs.checkpoint import Checkpoints
from wgan_jax.runs.directory import locked, written_in
from wgan_jax.runs.experiment import Experiment, Outputs
from wgan_jax.runs.files import reason
from wgan_jax.runs.record import RunWriter, read_evaluations, remove_evaluations_after
from wgan_jax.runs.resume import check_resumable
from wgan_jax.runs.starts import record_start
from wgan_jax.training.member import Member, Writers, make_generate

_INTERVALS = {'line': 'log_every', 'picture': 'sample_every', 'scores': 'eval_every'}  # of what a run writes


class RestoredRun(NamedTuple):
    """Where a run continues."""

    step: int
    rewinds: int
    carry: Carry
    saved: dict[str, Any]  # the record of the checkpoint; {} for a new run, and in processes without checkpoints


def open_directory(run_dir: Path, outputs: Outputs, stack: ExitStack) -> Checkpoints | None:
    """Locks a run's directory until the stack is closed, and opens its checkpoints; None in all processes but the first."""
    with processes.all_or_none():
        if not processes.is_first():
            return None
        stack.enter_context(locked(run_dir))
        stack.enter_context(written_in(run_dir))
        return stack.enter_context(Checkpoints(run_dir / 'checkpoints', outputs.checkpoints_to_keep, outputs.best_metric))


def restore(
    experiment: Experiment, run_dir: Path, record: dict[str, Any], checkpoints: Checkpoints | None, rewinds: int
) -> RestoredRun:
    """The last checkpoint, or a new run, in all processes.

    Checkpoints record the rewinds. A process that is killed between going back and saving diverges again, and goes back again.
    """
    going_back, step, carry = rewinds > 0, 0, experiment.create_carry()
    saved: dict[str, Any] = {}
    with processes.all_or_none():
        if checkpoints is not None:
            checkpoints.wait()
            check = functools.partial(check_resumable, now=record, workdir=str(run_dir))
            restored = checkpoints.restore(carry, check, before_stops=going_back)
            if restored is not None:
                step, carry, saved = restored.step, restored.tree, restored.record
                rewinds = max(rewinds, saved['rewinds'])
            if going_back:
                remove_evaluations_after(run_dir, step)
    step, rewinds, carry = processes.from_first((np.int32(step), np.int32(rewinds), carry))
    return RestoredRun(int(step), int(rewinds), carry, saved)


@contextmanager
def writing(
    experiment: Experiment,
    run_dir: Path,
    num_images: int,
    restored: RestoredRun,
    checkpoints: Checkpoints | None,
    scoring: Scoring | None,
    record: dict[str, Any],
) -> Iterator[Writers | None]:
    """Opens the record of a run where it continues, and notes there how this process was started; None without checkpoints."""
    if checkpoints is None:
        yield None
        return
    own_code.keep(experiment.code, run_dir)
    writer = RunWriter(
        run_dir,
        experiment.config,
        restored.step,
        held=restored.saved.get('held'),
        dropped=_written_by_an_end(experiment, num_images, restored),
        on_log=experiment.outputs.on_log,
        on_sample=experiment.outputs.on_sample,
        tracking=experiment.outputs.tracking,
    )
    with closing(writer):
        record_start(run_dir, restored.step)
        yield Writers(writer, checkpoints, scoring, {**record, 'rewinds': restored.rewinds})


def _written_by_an_end(experiment: Experiment, num_images: int, restored: RestoredRun) -> list[str]:
    """What the run wrote at the restored step because it ended there, between two ends of its intervals; now it goes on."""
    step, saved = restored.step, restored.saved
    if step >= experiment.num_steps:  # it does not: a member of a group that is complete
        return []
    rounds = experiment.rounds_per_epoch(num_images) if saved.get('interval_unit') == 'epochs' else 1
    return [what for what, interval in _INTERVALS.items() if step % (rounds * (saved.get(interval) or 1))]


def complete(
    experiment: Experiment, run_dir: Path, images: np.ndarray, restored: RestoredRun, scoring: Scoring | None = None
) -> None:
    """Writes the scores of the last step, if the process was killed after its checkpoint and before scoring."""
    every, scored, step = experiment.outputs.eval_every, read_evaluations(run_dir), restored.step
    if every is not None and step == experiment.num_steps and (not scored or scored[-1]['step'] < step):
        tracking = experiment.outputs.tracking
        with closing(RunWriter(run_dir, experiment.config, step, held=restored.saved.get('held'), tracking=tracking)) as writer:
            writers = Writers(writer, None, scoring or Scoring(experiment, images), {})
            Member(experiment, make_generate(experiment), images, writers, step).score(restored.carry[0])


def write_report(run_dirs: Sequence[Path], into: Path) -> None:
    """Writes the report of complete runs; a failure is printed and changes nothing else."""
    try:
        from wgan_jax.report.page import write  # imports matplotlib, and is needed once, at the end

        write(run_dirs, into / 'report.html')
    except Exception as error:  # whatever goes wrong here, the run is complete
        print(f'Warning: the report could not be written ({reason(error)}); python -m wgan_jax.report {into} tries again.')
    else:
        print(f'Report: {into / "report.html"}')
