"""A run that is looked at and not trained on: nothing in its directory is changed, and it may be training meanwhile."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from ml_collections import ConfigDict

from wgan_jax.algorithm import steps
from wgan_jax.algorithm.state import GANState
from wgan_jax.errors import UserError
from wgan_jax.metrics.scores import full_name
from wgan_jax.runs import checkpoint_format, files
from wgan_jax.runs.experiment import Experiment, make_experiment
from wgan_jax.runs.resume import config_of


class SavedRun(NamedTuple):
    """One checkpoint of a run."""

    config: ConfigDict  # as the run had it, but for what is given anew
    experiment: Experiment
    step: int
    state: GANState  # of numpy arrays
    data_set: dict[str, int]  # what data.identity said of the images it was trained on


def open_run(workdir: str, step: str | None = None, changes: dict[str, Any] | None = None) -> SavedRun:
    """Reads a checkpoint of the run in `workdir`.

    Args:
      workdir: the run's directory.
      step: a number; 'best', by the metric that the run kept it for; or None for the newest that can be read.
      changes: keys of the config, such as 'data.dir', that take these values instead; None leaves a key as it is.

    Raises:
      UserError: there is no such run, no such checkpoint, or it cannot be read.
    """
    try:
        directory = Path(workdir).expanduser() / 'checkpoints'
    except RuntimeError as error:
        raise UserError(f'--workdir={workdir} begins with the home of nobody here: check the path.') from error
    if not directory.is_dir():
        raise UserError(f'--workdir={workdir} holds no run: it has no directory checkpoints.')
    options = ocp.CheckpointManagerOptions(create=False)  # without a save it changes nothing
    manager = ocp.CheckpointManager(directory.absolute(), options=options)
    failures = []
    try:
        for number, meta in _candidates(manager, directory, step):
            config = _config(meta['record'], changes or {})
            experiment = make_experiment(config)
            template = jax.eval_shape(lambda: (experiment.create_state(), steps.zero_sums(config.gp_weight)))
            if found := checkpoint_format.differences(meta, template):
                raise UserError(f'Checkpoint {number} in {directory} is of other networks ({found}): use the code that wrote it.')
            try:
                state, _ = checkpoint_format.restore_arrays(manager, number, template, meta)
            except Exception as error:  # orbax raises plain Exception, and many others
                failures.append(_unreadable(directory, number, error))
                continue
            for failure in failures:
                print(f'Warning: {failure}')
            return SavedRun(config, experiment, number, state, meta['record']['data_set'])
    finally:
        manager.close()
    raise UserError(failures[0])


def _config(record: dict[str, Any], changes: dict[str, Any]) -> ConfigDict:
    config = config_of({name: value for name, value in record.items() if name not in ('data_set', 'rewinds')})
    for name, value in changes.items():
        if value is not None:
            section, _, key = name.rpartition('.')
            (config[section] if section else config)[key] = value
    return config


def _candidates(manager: ocp.CheckpointManager, directory: Path, step: str | None) -> Iterable[tuple[int, dict[str, Any]]]:
    """Numbers of checkpoints that will do, the best first, and their metadata; at least one."""
    there = sorted(manager.all_steps(), reverse=True)
    metas: dict[int, dict[str, Any]] = {}
    broken: dict[int, Exception] = {}
    wanted = there
    if step not in (None, 'best'):
        if not step.isdecimal() or int(step) not in there:
            known = ', '.join(map(str, sorted(there))) or 'none'
            raise UserError(f"--step={step} is no checkpoint of {directory}; there are: {known} (or 'best').")
        wanted = [int(step)]
    for number in wanted:
        try:
            metas[number] = checkpoint_format.read(manager, number)
        except Exception as error:
            broken[number] = error
            continue
        if metas[number]['format'] != checkpoint_format.FORMAT:
            raise UserError(f'Checkpoint {number} in {directory} has another format: use the version that wrote it.')
    if not metas:
        if not there:
            raise UserError(f'{directory} has no checkpoints yet.')
        number, error = next(iter(broken.items()))
        raise UserError(_unreadable(directory, number, error))
    for number, error in broken.items():
        print(f'Warning: {_unreadable(directory, number, error)}')
    if step != 'best':
        return metas.items()
    record = next(iter(metas.values()))['record']
    metric = full_name(record.get('best_metric'), record.get('eval_num_samples', 0))
    scores = {number: meta['score'][1] for number, meta in metas.items() if meta.get('score') and meta['score'][0] == metric}
    if not scores:
        raise UserError(f'--step=best: {directory} has no checkpoint with a score; set config.best_metric and config.eval_every.')
    best = min(scores, key=scores.__getitem__)
    return [(best, metas[best])]


def _unreadable(directory: Path, number: int, error: Exception) -> str:
    return f'Checkpoint {number} in {directory} cannot be read ({files.reason(error)}).'
