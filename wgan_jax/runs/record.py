"""The record of a run: config.json, metrics.jsonl, evaluations.jsonl, pictures, TensorBoard events; writing and reading."""

import json
import math
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from wgan_jax.runs.files import replace_file, save_png
from wgan_jax.runs.tensorboard import Events

_METRICS, _EVALUATIONS = 'metrics.jsonl', 'evaluations.jsonl'
_PICTURE = re.compile(r'step_(\d+)\.png')


class RunWriter:
    """Writes the record of a run; a resumed run leaves the same record as an uninterrupted one."""

    def __init__(self, run_dir: Path, config: dict[str, Any], step: int, *, keep_last: bool = True) -> None:
        """Continues after `step`: removes what an earlier process wrote about later steps, since it will be written again.

        Args:
          run_dir: an existing directory.
          config: the resolved config.
          step: rounds done.
          keep_last: whether the line of `step` itself stays. It does not when a run that ended between log points is extended,
            because the next line covers those rounds too.
        """
        self._run_dir = run_dir
        replace_file(run_dir / 'config.json', (json.dumps(config, indent=2) + '\n').encode())
        lines = _lines_until(run_dir / _METRICS, step if keep_last else step - 1, _has_seconds)
        replace_file(run_dir / _METRICS, ''.join(line + '\n' for line in lines).encode())
        self.scored_step = None  # the last step with scores
        if (run_dir / _EVALUATIONS).exists():
            evaluations = _lines_until(run_dir / _EVALUATIONS, step, _has_scores)
            self.scored_step = json.loads(evaluations[-1])['step'] if evaluations else None
            replace_file(run_dir / _EVALUATIONS, ''.join(line + '\n' for line in evaluations).encode())
        pictures = sample_pictures(run_dir)
        for later in [number for number in pictures if number > step]:
            pictures.pop(later).unlink()
        self._metrics_file = (run_dir / _METRICS).open('a')
        self._events = Events(run_dir / 'tensorboard', step)
        self._seconds_before = json.loads(lines[-1])['seconds'] if lines else 0.0
        self._began = self._last_time = time.perf_counter()
        self.last_picture = pictures[max(pictures)] if pictures else None

    def start_clock(self) -> None:
        """Starts to count the seconds of training; to be called after compilation."""
        self._began = self._last_time = time.perf_counter()

    def metrics(self, step: int, means: dict[str, float], images_seen: int) -> None:
        """Writes one log point.

        Args:
          step: rounds done.
          means: each metric's mean since the last log point.
          images_seen: real images shown to the critic since the last log point of this process.
        """
        now = time.perf_counter()
        timing = {
            'seconds': round(self._seconds_before + now - self._began, 3),
            'images_per_second': round(images_seen / (now - self._last_time), 1),
        }
        self._last_time = now
        self._metrics_file.write(json.dumps({'step': step, **means, **timing}) + '\n')
        self._metrics_file.flush()
        self._events.scalars({**means, 'images_per_second': timing['images_per_second']}, step)

    def evaluation(self, step: int, report: dict[str, Any], seconds: float) -> None:
        """Writes the scores of a step and waits for the disk; the `seconds` of scoring do not count as training."""
        self._began += seconds
        self._last_time += seconds
        with (self._run_dir / _EVALUATIONS).open('a') as file:
            file.write(json.dumps({'step': step, **report}) + '\n')
            file.flush()
            os.fsync(file.fileno())
        self.scored_step = step
        critic = {name: value for name, value in report['critic'].items() if isinstance(value, float)}
        self._events.scalars({f'scores/{name}': value for name, value in report['scores'].items()}, step)
        self._events.scalars({f'critic/{name}': value for name, value in critic.items()}, step)

    def picture(self, name: str, picture: np.ndarray, step: int) -> None:
        """Writes samples/<name>.png from uint8 [H, W, C] with C 1 or 3."""
        path = self._run_dir / 'samples' / f'{name}.png'
        png = save_png(picture, path)
        self._events.picture('real' if name == 'real' else 'samples', png, picture.shape, step)
        self.last_picture = path

    def sync(self) -> None:
        """Forces all lines to the disk; a checkpoint must never be newer than the lines that lead to it."""
        os.fsync(self._metrics_file.fileno())
        self._events.sync()

    def close(self) -> None:
        """Closes the files."""
        try:
            self._metrics_file.close()
        finally:
            self._events.close()


def sample_pictures(run_dir: Path) -> dict[int, Path]:
    """The paths of a run's sample grids, by step."""
    return {int(match[1]): path for path in (run_dir / 'samples').glob('*') if (match := _PICTURE.fullmatch(path.name))}


def read_metrics(run_dir: Path) -> list[dict[str, Any]]:
    """The log points of a run, in the order of their steps."""
    return [json.loads(line) for line in _lines_until(run_dir / _METRICS, math.inf, _has_seconds)]


def read_evaluations(run_dir: Path) -> list[dict[str, Any]]:
    """The evaluations of a run, in the order of their steps."""
    return [json.loads(line) for line in _lines_until(run_dir / _EVALUATIONS, math.inf, _has_scores)]


def _has_seconds(record: Any) -> bool:
    return record['seconds'] >= 0


def _has_scores(record: Any) -> bool:
    return all(isinstance(record[name], dict) for name in ('scores', 'floor', 'critic', 'protocol'))


def _lines_until(path: Path, step: float, is_right: Callable[[Any], bool]) -> list[str]:
    """The lines of a JSON Lines file up to `step`, without a last line that was cut short."""
    lines, damaged = [], []
    all_lines = path.read_text(encoding='utf-8', errors='replace').splitlines() if path.exists() else []
    for number, line in enumerate(all_lines, start=1):
        try:
            record = json.loads(line)
            if record['step'] <= step and is_right(record):
                lines.append(line)
        except (ValueError, TypeError, KeyError, RecursionError):
            damaged.append(number)
    if damaged and damaged != [len(all_lines)]:
        print(f'Warning: {path} is damaged; ignored: {", ".join(f"line {number}" for number in damaged[:10])}.')
    return lines
