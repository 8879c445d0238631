"""Weights & Biases, MLflow and Trackio: how each is told about a run. They are optional, and imported when a run is opened.

Where each one stores or sends what it gets is its own setting: WANDB_MODE, WANDB_PROJECT; MLFLOW_TRACKING_URI,
MLFLOW_EXPERIMENT_NAME; TRACKIO_DIR, TRACKIO_SPACE_ID.
"""

import contextvars
import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from PIL import Image

from wgan_jax.runs.config import flatten

_PROJECT = 'wgan_jax'
_INIT_SECONDS, _UPLOAD_SECONDS = 30, 20  # that Weights & Biases may take, at the end also before the process ends
_PARAMETERS = 100  # that MLflow takes at once


class Start(NamedTuple):
    """What a tracker gets when a run is opened."""

    name: str
    group: str | None
    config: dict[str, Any]
    directory: Path  # of the run
    known: str | None  # its id, if it was tracked before
    fresh: str  # an id for a new run


class Run(Protocol):
    """A run in a tracker. Each method may raise anything."""

    id: str  # by which it is continued

    def scalars(self, values: dict[str, float], step: int) -> None: ...

    def picture(self, tag: str, png: bytes, step: int) -> None: ...

    def close(self, *, failed: bool) -> None: ...


class _Wandb:
    def __init__(self, start: Start) -> None:
        import wandb

        self._wandb, self.id = wandb, start.known or start.fresh
        self._run = wandb.init(
            project=os.environ.get('WANDB_PROJECT', _PROJECT),
            name=start.name,
            group=start.group,
            id=self.id,
            resume='allow',
            config=start.config,
            dir=str(start.directory),
            reinit='create_new',  # the runs of a group are open at the same time
            settings=wandb.Settings(console='off', init_timeout=_INIT_SECONDS, finish_timeout=_UPLOAD_SECONDS),
        )
        # Steps of its own never go back, as those of a run do that continues from a checkpoint.
        self._run.define_metric('step', hidden=True)
        self._run.define_metric('*', step_metric='step')

    def scalars(self, values: dict[str, float], step: int) -> None:
        self._run.log({**values, 'step': step})

    def picture(self, tag: str, png: bytes, step: int) -> None:
        self._run.log({tag: self._wandb.Image(_image(png)), 'step': step})

    def close(self, *, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


class _Mlflow:
    def __init__(self, start: Start) -> None:
        import mlflow

        self._mlflow, self._client = mlflow, mlflow.MlflowClient()
        if start.known is not None:
            self.id = start.known
            self._client.update_run(self.id, status='RUNNING')
            return
        name = os.environ.get('MLFLOW_EXPERIMENT_NAME', _PROJECT)
        experiment = self._client.get_experiment_by_name(name)
        number = self._client.create_experiment(name) if experiment is None else experiment.experiment_id
        tags = {} if start.group is None else {'group': start.group}
        self.id = self._client.create_run(number, run_name=start.name, tags=tags).info.run_id
        parameters = [mlflow.entities.Param(key, str(value)) for key, value in flatten(start.config).items()]
        for first in range(0, len(parameters), _PARAMETERS):
            self._client.log_batch(self.id, params=parameters[first : first + _PARAMETERS])

    def scalars(self, values: dict[str, float], step: int) -> None:
        now = int(1000 * time.time())
        metrics = [self._mlflow.entities.Metric(name, value, now, step) for name, value in values.items()]
        self._client.log_batch(self.id, metrics=metrics)

    def picture(self, tag: str, png: bytes, step: int) -> None:
        self._client.log_image(self.id, _image(png), key=tag, step=step, synchronous=True)

    def close(self, *, failed: bool) -> None:
        self._client.set_terminated(self.id, 'FAILED' if failed else 'FINISHED')


class _Trackio:
    def __init__(self, start: Start) -> None:
        import trackio

        self._trackio = trackio
        self.id = start.known or f'{start.name}-{start.fresh}'  # runs are continued by their names
        # In a context of its own, since it would end the run that was opened before in the same one.
        self._run = contextvars.Context().run(
            trackio.init, project=_PROJECT, name=self.id, group=start.group, config=flatten(start.config), resume='allow'
        )

    def scalars(self, values: dict[str, float], step: int) -> None:
        self._run.log(values, step=step)

    def picture(self, tag: str, png: bytes, step: int) -> None:
        self._run.log({tag: self._trackio.Image(_image(png))}, step=step)

    def close(self, *, failed: bool) -> None:
        self._run.finish()


OPENERS: dict[str, Callable[[Start], Run]] = {'wandb': _Wandb, 'mlflow': _Mlflow, 'trackio': _Trackio}


def _image(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert('RGB')
