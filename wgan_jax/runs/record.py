"""The record of a run: config.json, metrics.jsonl, evaluations.jsonl, pictures, TensorBoard, trackers; writing and reading."""

import json
import re
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from wgan_jax.disk import replace_file
from wgan_jax.runs import json_lines
from wgan_jax.runs.directory import callers_function
from wgan_jax.runs.files import save_png
from wgan_jax.runs.json_lines import Log
from wgan_jax.runs.tensorboard import Events
from wgan_jax.runs.tracking import TrackedRun, Tracking

_METRICS, _EVALUATIONS = 'metrics.jsonl', 'evaluations.jsonl'
_PICTURE = re.compile(r'step_(\d+)\.png')
_AFTERWARDS = re.compile(r'step_(\d+)_.*\.json')  # the scores that wgan_jax.evaluate writes


class RunWriter:
    """Writes the record of a run; a resumed run leaves the same record as an uninterrupted one."""

    def __init__(
        self,
        run_dir: Path,
        config: dict[str, Any],
        step: int,
        *,
        held: dict[str, Any] | None = None,
        dropped: Collection[str] = (),
        on_log: Callable[[int, dict[str, Any]], None] | None = None,
        on_sample: Callable[[int, np.ndarray], None] | None = None,
        tracking: Tracking | None = None,
    ) -> None:
        """Continues after `step`: removes what an earlier process wrote about later steps, since it will be written again.

        Args:
          run_dir: an existing directory.
          config: the resolved config.
          step: rounds done.
          held: the result of `held` when the checkpoint of `step` was saved.
          dropped: which of 'line', 'picture' and 'scores' of `step` itself are removed too.
          on_log: called with the step and the content of each log point.
          on_sample: called with the step and each grid of samples.
          tracking: a tracker that also gets the config, the metrics and the pictures; None for none.
        """
        self._run_dir, self._on_log, self._on_sample = run_dir, on_log, on_sample
        replace_file(run_dir / 'config.json', (json.dumps(config, indent=2) + '\n').encode())
        last_line, last_picture, last_scores = (step - (what in dropped) for what in ('line', 'picture', 'scores'))
        held = held or {}
        self._metrics = Log(run_dir / _METRICS, _has_seconds, last_line, held.get(_METRICS))
        self._evaluations = Log(run_dir / _EVALUATIONS, _has_scores, last_scores, held.get(_EVALUATIONS), may_be_missing=True)
        pictures = sample_pictures(run_dir)
        for later in [number for number in pictures if number > last_picture]:
            pictures.pop(later).unlink()
        self._viewers: list[Events | TrackedRun] = [Events(run_dir / 'tensorboard', step)]
        if tracking is not None:
            self._viewers.append(tracking.open(run_dir, config))
        self._seconds_before = held.get('seconds', self._metrics.last['seconds'] if self._metrics.last else 0.0)
        self._began = self._last_time = time.perf_counter()
        self.last_picture = pictures[max(pictures)] if pictures else None

    @property
    def scored_step(self) -> int | None:
        """The last step with scores."""
        return self._evaluations.last['step'] if self._evaluations.last else None

    def start_clock(self) -> None:
        """Starts to count the seconds of training; to be called after compilation."""
        self._began = self._last_time = time.perf_counter()

    def metrics(self, step: int, epoch: float, means: dict[str, float], images_seen: int, *, provisional: bool = False) -> float:
        """Writes one log point; returns the images per second.

        Args:
          step: rounds done.
          epoch: how often they have read the data set.
          means: each metric's mean since the last log point.
          images_seen: real images shown to the critic since the last log point of this process.
          provisional: whether the next line covers these rounds too, if the run is extended.
        """
        now = time.perf_counter()
        timing = {
            'seconds': self._seconds(now),
            'images_per_second': round(images_seen / (now - self._last_time), 1),
        }
        self._last_time = now
        line = {'epoch': round(epoch, 4), **means, **timing}
        self._metrics.append(step, line, provisional=provisional)
        if self._on_log is not None:
            with callers_function():
                self._on_log(step, line)
        self._show({**means, 'images_per_second': timing['images_per_second']}, step)
        return timing['images_per_second']

    def _seconds(self, now: float | None = None) -> float:
        return round(self._seconds_before + (now or time.perf_counter()) - self._began, 3)

    def pause(self, seconds: float) -> None:
        """Does not count the last `seconds` as training."""
        self._began += seconds
        self._last_time += seconds

    def evaluation(self, step: int, report: dict[str, Any], *, provisional: bool = False) -> None:
        """Writes the scores of a step and waits for the disk; `provisional` as for `metrics`."""
        self._evaluations.append(step, report, provisional=provisional)
        self._evaluations.sync()
        critic = {name: value for name, value in report['critic'].items() if isinstance(value, float)}
        self._show({f'scores/{name}': value for name, value in report['scores'].items()}, step)
        self._show({f'critic/{name}': value for name, value in critic.items()}, step)

    def picture(self, name: str, picture: np.ndarray, step: int) -> None:
        """Writes samples/<name>.png from uint8 [H, W, C] with C 1 or 3."""
        path = self._run_dir / 'samples' / f'{name}.png'
        png = save_png(picture, path)
        for viewer in self._viewers:
            viewer.picture('real' if name == 'real' else 'samples', png, picture.shape, step)
        self.last_picture = path
        if self._on_sample is not None and name != 'real':
            with callers_function():
                self._on_sample(step, picture)

    def fail(self) -> None:
        """The run ends here as a failed one, although no exception closes it: a member of a group that has diverged."""
        for viewer in self._viewers:
            if isinstance(viewer, TrackedRun):
                viewer.failed = True

    def sync(self) -> None:
        """Forces all lines to the disk; a checkpoint must never be newer than the lines that lead to it."""
        self._metrics.sync()
        for viewer in self._viewers:
            viewer.sync()

    def held(self) -> dict[str, Any]:
        """What both logs hold, and the seconds of training, for the checkpoint that is saved now; JSON."""
        return {_METRICS: self._metrics.held(), _EVALUATIONS: self._evaluations.held(), 'seconds': self._seconds()}

    def close(self) -> None:
        """Closes the files."""
        with ExitStack() as stack:
            for file in (*reversed(self._viewers), self._metrics, self._evaluations):  # the last one is closed first
                stack.callback(file.close)

    def _show(self, values: dict[str, float], step: int) -> None:
        for viewer in self._viewers:
            viewer.scalars(values, step)


def sample_pictures(run_dir: Path) -> dict[int, Path]:
    """The paths of a run's sample grids, by step."""
    return {int(match[1]): path for path in (run_dir / 'samples').glob('*') if (match := _PICTURE.fullmatch(path.name))}


def remove_evaluations_after(run_dir: Path, step: int) -> None:
    """Removes the scores, made by a command, of steps from which the run has gone back: it will come to other states there."""
    for path in (run_dir / 'evaluation').glob('*'):
        if (match := _AFTERWARDS.fullmatch(path.name)) and int(match[1]) > step:
            path.unlink()


def read_metrics(run_dir: Path) -> list[dict[str, Any]]:
    """The log points of a run, in the order of their steps."""
    return json_lines.read(run_dir / _METRICS, _has_seconds)


def read_evaluations(run_dir: Path) -> list[dict[str, Any]]:
    """The evaluations of a run, in the order of their steps."""
    return json_lines.read(run_dir / _EVALUATIONS, _has_scores)


def _has_seconds(record: Any) -> bool:
    return record['seconds'] >= 0


def _has_scores(record: Any) -> bool:
    return all(isinstance(record[name], dict) for name in ('scores', 'floor', 'critic', 'protocol'))
