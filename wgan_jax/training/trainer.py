"""The training program: restore, train, and again if need be."""

import functools
import signal
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from wgan_jax.algorithm import noise, steps
from wgan_jax.data import identity, source_of
from wgan_jax.devices import processes
from wgan_jax.errors import UserError
from wgan_jax.evaluate import scoring
from wgan_jax.metrics.scores import full_name
from wgan_jax.runs.checkpoint import Checkpoints
from wgan_jax.runs.config import flatten
from wgan_jax.runs.directory import held, written_in
from wgan_jax.runs.experiment import Experiment, prepare
from wgan_jax.runs.files import reason, versions
from wgan_jax.runs.record import RunWriter
from wgan_jax.runs.resume import LOCAL, check_resumable
from wgan_jax.training import not_finite
from wgan_jax.training.loop import Run
from wgan_jax.training.rounds import Calls
from wgan_jax.training.stopping import stop_request


def train(config: ConfigDict, workdir: str) -> signal.Signals | None:
    """Trains until `config.num_steps`, from the last checkpoint in `workdir` if there is one.

    Stopped by SIGINT, SIGTERM or SIGHUP it saves where it is and returns. However it was stopped, the same call later ends with the
    same bits as a run that was never stopped. In a run of several processes each calls this; one that is to stop stops all.

    Args:
      config: a config with the keys of configs/default.py.
      workdir: the run's directory, created if need be.

    Returns:
      The signal that stopped it, or None: it is complete.

    Raises:
      UserError: the config, the data or the directory does not allow it, or training has diverged.
    """
    try:
        run_dir = Path(workdir).expanduser()
    except RuntimeError as error:
        raise UserError(f'--workdir={workdir} begins with the home of nobody here: check the path.') from error
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
        stopped_by = _train(config, run_dir, experiment, images, record)
    return stopped_by


def _train(
    config: ConfigDict, run_dir: Path, experiment: Experiment, images: np.ndarray, record: dict[str, Any]
) -> signal.Signals | None:
    """Trains from the last checkpoint; where training diverges, again, with other noise, as often as the config says."""
    with ExitStack() as stack:
        checkpoints = None
        with processes.all_or_none():
            if processes.is_first():
                stack.enter_context(held(run_dir))
                stack.enter_context(written_in(run_dir))
                metric = full_name(config.best_metric, config.eval_num_samples)
                checkpoints = stack.enter_context(Checkpoints(run_dir / 'checkpoints', config.checkpoints_to_keep, metric))
        rewinds = 0
        while True:
            try:
                return _go_on(config, run_dir, experiment, images, checkpoints, record, rewinds)
            except not_finite.Diverged as error:
                if config.on_nan != 'rewind' or error.rewinds >= config.max_rewinds:
                    raise UserError(f'{error} {error.advice(config.on_nan)}') from error
                rewinds = error.rewinds + 1
                print(f'{error} Going back, with other noise: {rewinds} of at most {config.max_rewinds} times.', flush=True)


def _go_on(
    config: ConfigDict,
    run_dir: Path,
    experiment: Experiment,
    images: np.ndarray,
    checkpoints: Checkpoints | None,
    record: dict[str, Any],
    rewinds: int,
) -> signal.Signals | None:
    """Restores, trains, and says what came of it; only process 0 has checkpoints.

    Args:
      rewinds: how often the run has gone back, in this process at least. A checkpoint remembers it; one that is killed before it
        saves meets the same divergence again, and goes back likewise.
    """
    step, carry = 0, (experiment.create_state(), steps.zero_sums(config.gp_weight))
    with processes.all_or_none():
        if checkpoints is not None:
            checkpoints.wait()
            check = functools.partial(check_resumable, config=record, workdir=str(run_dir))
            restored = checkpoints.restore(carry, check, before_stops=rewinds > 0)
            if restored is not None:
                step, carry = restored.step, restored.tree
                rewinds = max(rewinds, restored.record['rewinds'])
    step, rewinds, carry = processes.from_first((np.int32(step), np.int32(rewinds), carry))
    step, rewinds = int(step), int(rewinds)
    if step >= config.num_steps:
        print(f'{run_dir} is at step {step} already; to train on, give a --config.num_steps larger than that.')
        if checkpoints is not None:
            _report(run_dir)  # the process that came here first may have been killed before it did
        return None
    if step:
        print(f'Continuing {run_dir} at step {step}.')
    experiment = experiment._replace(train_key=noise.after_rewinds(experiment.train_key, rewinds))
    with ExitStack() as stack:
        writer, evaluate = None, None
        if config.eval_every is not None and max(step - 1, 0) // config.eval_every < config.num_steps // config.eval_every:
            with processes.all_or_none():
                if checkpoints is not None:
                    evaluate = scoring.Evaluation(config, experiment, images)
        if checkpoints is not None:
            at_log_point = step % config.log_every == 0
            writer = stack.enter_context(closing(RunWriter(run_dir, config.to_dict(), step, keep_last=at_log_point)))
        calls = stack.enter_context(closing(Calls(config, experiment, images, step)))
        run = Run(config, experiment, images, calls, writer, checkpoints, evaluate, {**record, 'rewinds': rewinds}, carry)
        del carry  # on several devices it is a copy that the run does not need
        stopped_by = run.until_done_or_stopped()
        if writer is not None:
            how, next_time = 'Done', 'To train on, give a larger --config.num_steps.'
            if stopped_by is not None:
                how, next_time = f'Stopped by {stopped_by.name}', 'The same command continues from here.'
            print(f'{how} at step {calls.step}. Last picture: {writer.last_picture}\n{next_time}')
            if stopped_by is None:  # else somebody waits for the process to be gone
                with stop_request():  # the run is complete: one that comes now changes nothing, a second ends it at once
                    _report(run_dir)
    return stopped_by


def _report(run_dir: Path) -> None:
    """Writes the report of a run that is complete; that this fails is told, and changes nothing else."""
    try:
        from wgan_jax.report.page import write  # slow to import, as matplotlib is

        write([run_dir], run_dir / 'report.html')
    except Exception as error:  # whatever is wrong with a page, the run is whole
        print(f'Warning: the report could not be written ({reason(error)}); python -m wgan_jax.report {run_dir} tries again.')
    else:
        print(f'Report: {run_dir / "report.html"}')
