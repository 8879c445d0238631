"""Opens a run to look at it: nothing in its directory changes, and it may be training at the same time."""

import time
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from ml_collections import ConfigDict

from wgan_jax.algorithm.state import GANState
from wgan_jax.devices.compiling import compiled
from wgan_jax.disk import check_tree
from wgan_jax.errors import UserError
from wgan_jax.metrics.scores import full_name
from wgan_jax.runs import checkpoint_format, own_code
from wgan_jax.runs.build import build
from wgan_jax.runs.checkpoint import newest_readable
from wgan_jax.runs.config import check_scores
from wgan_jax.runs.directory import no_run
from wgan_jax.runs.experiment import Experiment
from wgan_jax.runs.files import reason, run_directory
from wgan_jax.runs.key_names import wrong_key
from wgan_jax.runs.resume import config_of

# A run that trains meanwhile replaces old checkpoints by new ones.
_ATTEMPTS = 20
_DELETION_SECONDS = 0.3  # until the files of a checkpoint that is being removed are gone
_BEFORE = {'standing_batches': 0, 'exact_points': None, 'code': None}  # keys that older runs lack, with what they did


class SavedRun(NamedTuple):
    """One checkpoint of a run."""

    experiment: Experiment  # of the run's config, with the changes that were asked for
    step: int
    state: GANState  # of numpy arrays
    data_set: dict[str, int]  # data.identity of the images that it was trained on

    def state_for_images(self, *, raw: bool = False) -> GANState:
        """The state with the batch statistics with which images are made; with `raw`, without the average of the generator."""
        state = self.state.replace(ema=None) if raw else self.state
        if not self.experiment.outputs.standing_batches:
            return state  # and not a copy of it, optimizers included, on the device
        return compiled(self.experiment.for_images, deterministic=self.experiment.deterministic)(state)


def open_run(workdir: str, step: str | None = None, changes: dict[str, Any] | None = None, *, trust_code: bool = False) -> SavedRun:
    """Reads a checkpoint of the run in `workdir`.

    Args:
      workdir: the run's directory.
      step: a number; 'best', by the metric of the run; or None for the newest readable one.
      changes: values for keys of the config, such as 'data.dir'; None leaves a key as it is.
      trust_code: execute the code that the run brings, even if it has not been executed here before.

    Raises:
      UserError: there is no such run or checkpoint, it cannot be read, or it brings code that is not trusted.
    """
    directory = run_directory(workdir) / 'checkpoints'
    if not directory.is_dir():
        raise UserError(no_run(directory.parent))
    built: dict[str, Experiment] = {}

    def template_of(record: dict[str, Any]) -> Any:
        code = own_code.of_run(directory.parent, trusted=trust_code) if record.get('code') else None
        built['experiment'] = experiment = _experiment(record, changes or {}, code)
        return jax.eval_shape(experiment.create_carry)

    try:
        check_tree(directory)  # orbax would wait for a pipe
    except OSError as error:
        raise UserError(f'{error.filename} cannot be read ({error.strerror}): remove it.') from error
    options = ocp.CheckpointManagerOptions(create=False)  # read-only until something is saved
    restored, failures = None, {}
    for _ in range(_ATTEMPTS):
        try:
            manager = ocp.CheckpointManager(directory.absolute(), options=options)
        except (FileNotFoundError, NotADirectoryError):  # a training run has replaced a checkpoint while orbax listed it
            time.sleep(_DELETION_SECONDS)
            continue
        with manager:
            restored, failures = newest_readable(manager, _steps(manager, step), template_of)
        if failures:
            time.sleep(_DELETION_SECONDS)
        if all((directory / str(number)).exists() for number in failures):
            break
    there = {number: error for number, error in failures.items() if (directory / str(number)).exists()}
    unreadable = [f'Checkpoint {number} in {directory} cannot be read ({reason(error)}).' for number, error in there.items()]
    if restored is None:
        if not unreadable:
            raise UserError(f'The checkpoints in {directory} are replaced faster than they can be read: try again later.')
        raise UserError(unreadable[0])
    for message in unreadable:
        print(f'Warning: {message}')
    state, _ = restored.tree
    return SavedRun(built['experiment'], restored.step, state, restored.record['data_set'])


def _experiment(record: dict[str, Any], changes: dict[str, Any], code: own_code.Code | None) -> Experiment:
    config = ConfigDict({**_BEFORE, **config_of(record)})
    for name, value in changes.items():
        if value is not None:
            if complaint := wrong_key(name, config):
                raise UserError(f'The changes cannot be made: {complaint}')
            section, _, key = name.rpartition('.')
            (config[section] if section else config)[key] = value
    experiment = build(config, code)
    check_scores(config, experiment.data.source.image_shape)
    return experiment


def _steps(manager: ocp.CheckpointManager, step: str | None) -> list[int]:
    """The steps of the checkpoints that may be opened, the preferred one first; at least one."""
    steps = sorted(manager.all_steps(), reverse=True)
    if step == 'best':
        return [_best(manager, steps)]
    if step is not None:
        if not step.isdecimal() or int(step) not in steps:
            known = ', '.join(map(str, sorted(steps))) or 'none'
            raise UserError(
                f'--step={step} is not a checkpoint of {manager.directory}; there are: {known} '
                "(or 'best', of a run with config.best_metric)."
            )
        return [int(step)]
    if not steps:
        raise UserError(f'{manager.directory} has no checkpoints yet.')
    return steps


def _best(manager: ocp.CheckpointManager, steps: list[int]) -> int:
    """The step with the lowest score, of the metric that the newest checkpoint has in its config."""
    metas = {}
    for step in steps:
        try:
            metas[step] = checkpoint_format.read(manager, step)
        except Exception as error:  # orbax raises plain Exception, and many others, for a damaged file
            if not (manager.directory / str(step)).exists():
                continue  # a training run has just removed it
            print(f'Warning: Checkpoint {step} in {manager.directory} cannot be read ({reason(error)}).')
    record = next((meta['record'] for meta in metas.values() if 'record' in meta), {})
    metric = full_name(record.get('best_metric'), record.get('eval_num_samples', 0))
    scores = {step: meta['score'][1] for step, meta in metas.items() if meta.get('score') and meta['score'][0] == metric}
    if not scores:
        raise UserError(
            f'--step=best: {manager.directory} has no checkpoint with a score; set config.best_metric and config.eval_every.'
        )
    return checkpoint_format.lowest(scores, steps[0])
