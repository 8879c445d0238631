"""The commands that train: they join the processes of a run, choose the devices, and end with the right status."""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import jax

from wgan_jax.devices import cluster, compiling, parallel, processes
from wgan_jax.errors import LocalError, UserError
from wgan_jax.runs.experiment import Experiment
from wgan_jax.runs.tracking import tracking_by
from wgan_jax.training import dry_run, group, trainer

Train = Callable[[], signal.Signals | None]


class Place(NamedTuple):
    """Which process of a run this is, for a run of several that JAX does not detect by itself."""

    coordinator: str | None = None  # HOST:PORT of the first process
    num_processes: int | None = None
    process_id: int | None = None


def train_one(prepare: Callable[[], Experiment], workdir: str, place: Place, *, dry: bool, track: str | None = None) -> None:
    """Trains a run, or prints what it would need; ends the process with a status if it fails or is stopped.

    Args:
      prepare: makes the run.
      workdir: its directory.
      place: this process among those of the run.
      dry: whether to print only.
      track: the name of a tracker, see runs.tracking, or None.
    """

    def train() -> signal.Signals | None:
        with processes.all_or_none():
            experiment = prepare().tracked_by(tracking_by(track))
        return dry_run.dry_run(experiment) if dry else trainer.train(experiment, workdir, ends_process=True)

    _run(train, None if dry else place)


def train_many(
    prepare: Callable[[], Mapping[str, Experiment]],
    workdir: str,
    place: Place,
    *,
    count: Callable[[], int],
    dry: bool,
    track: str | None = None,
    then: Train = lambda: None,
) -> None:
    """Like `train_one` for a group of runs, by name.

    Args:
      count: tells how many runs `prepare` will make, without using a device.
      then: is called when all are complete.
    """

    def train() -> signal.Signals | None:
        with processes.all_or_none():
            tracking = tracking_by(track, group=Path(workdir).name)
            experiments = {name: experiment.tracked_by(tracking) for name, experiment in prepare().items()}
        if dry:
            dry_run.dry_run_of_group(experiments)
            return None
        return group.train_group(experiments, workdir, ends_process=True) or then()

    _run(train, None if dry else place, lambda: parallel.use_a_device_per_core(count()))


def _run(train: Train, place: Place | None, choose_devices: Callable[[], None] = lambda: None) -> None:
    """Trains, in a run of several processes if `place` is given; exits with 128 + the signal if one has stopped it."""
    several = False
    try:
        choose_devices()
        if place is not None:
            cluster.join(*place)  # which uses the devices
        parallel.check_devices()
        several = jax.process_count() > 1
        if not several:  # JAX would have several processes share one cache, on a disk that all of them see
            compiling.use_compilation_cache()
        if not processes.is_first():
            sys.stdout = open(os.devnull, 'w')  # noqa: SIM115 - only process 0 prints
        stopped_by = train()
        if stopped_by is not None:
            sys.exit(128 + stopped_by)  # the shell's convention for a signal: 130 after Ctrl-C, 143 after SIGTERM
    except UserError as error:
        if several and isinstance(error, LocalError):
            cluster.exit_at_once(f'Error: {error}', 1)
        sys.exit(f'Error: {error}')
    except Exception as error:
        if not several:
            raise
        cluster.end(error)
    except KeyboardInterrupt:
        if several:
            cluster.exit_at_once('Interrupted; what was saved before is intact.', 130)
        print('Interrupted; what was saved before is intact.')
        sys.exit(130)
