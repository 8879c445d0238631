"""What a run leaves behind: config.json, metrics.jsonl, evaluations.jsonl, pictures, TensorBoard events; and the progress bar."""

import io
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from tqdm import tqdm

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # slow to import

_METRICS, _EVALUATIONS = 'metrics.jsonl', 'evaluations.jsonl'
_VISIBLE_SECONDS = 10  # until TensorBoard can see a point
_PICTURE = re.compile(r'step_(\d+)\.png')


class RunWriter:
    """Writes the record of a run, as if it had never been stopped."""

    def __init__(self, run_dir: Path, config: dict[str, Any], step: int, *, keep_last: bool = True) -> None:
        """Goes on after `step`: whatever an earlier process wrote of later steps is dropped, for it comes again.

        Args:
          run_dir: an existing directory.
          config: the resolved config.
          step: rounds done.
          keep_last: whether a line of `step` itself stays; not when a run that ended between log points goes on, for the next
            line holds those rounds too.
        """
        self._run_dir = run_dir
        replace_file(run_dir / 'config.json', (json.dumps(config, indent=2) + '\n').encode())
        lines = _lines_until(run_dir / _METRICS, step if keep_last else step - 1, _has_seconds)
        replace_file(run_dir / _METRICS, ''.join(line + '\n' for line in lines).encode())
        self.scored_step = None  # the last that there are scores of
        if (run_dir / _EVALUATIONS).exists():
            evaluations = _lines_until(run_dir / _EVALUATIONS, step, _has_scores)
            self.scored_step = json.loads(evaluations[-1])['step'] if evaluations else None
            replace_file(run_dir / _EVALUATIONS, ''.join(line + '\n' for line in evaluations).encode())
        pictures = sample_pictures(run_dir)
        for later in [number for number in pictures if number > step]:
            pictures.pop(later).unlink()
        self._metrics_file = (run_dir / _METRICS).open('a')
        self._events = _Events(run_dir / 'tensorboard', step)
        self._seconds_before = json.loads(lines[-1])['seconds'] if lines else 0.0
        self._began = self._last_time = time.perf_counter()
        self.last_picture = pictures[max(pictures)] if pictures else None

    def start_clock(self) -> None:
        """Begins to count the seconds of training: call it when everything is compiled."""
        self._began = self._last_time = time.perf_counter()

    def metrics(self, step: int, means: dict[str, float], images_seen: int) -> None:
        """Writes one log point.

        Args:
          step: rounds done.
          means: each metric's mean since the last log point.
          images_seen: real images that the critic has seen since the last log point of this process.
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
        """Writes the scores of a step, on the disk at once; the time that they took does not count as training."""
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
        """Puts every line on the disk: a checkpoint must never be newer than the lines that lead to it."""
        os.fsync(self._metrics_file.fileno())
        self._events.sync()

    def close(self) -> None:
        """Closes the files."""
        try:
            self._metrics_file.close()
        finally:
            self._events.close()


class _Events:
    """A file of events for TensorBoard, each written when it is given.

    tensorboardX's own SummaryWriter hands them to a thread, which a full disk ends: then training would wait for it forever.
    """

    def __init__(self, directory: Path, step: int) -> None:
        from tensorboardX import event_file_writer  # slow to import, and only training needs it
        from tensorboardX.proto import event_pb2, summary_pb2

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        directory.mkdir(exist_ok=True)
        # The name holds the second in which it is made, and this process; two that begin in one second must not share a file.
        self._file = event_file_writer.EventsWriter(str(directory / 'events'), f'.{os.getpid()}')
        # Has TensorBoard drop what an earlier process wrote of later steps.
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._file.write_event(event_pb2.Event(wall_time=time.time(), step=step + 1 if step else 0, session_log=start))
        self.sync()

    def scalars(self, values: dict[str, float], step: int) -> None:
        """Writes the curves' next points; they can be seen within _VISIBLE_SECONDS."""
        self._write((self._summary.Value(tag=name, simple_value=value) for name, value in values.items()), step)
        if time.monotonic() - self._synced > _VISIBLE_SECONDS:
            self.sync()

    def picture(self, tag: str, png: bytes, shape: tuple[int, ...], step: int) -> None:
        """Writes a picture [H, W, C] that is a PNG already."""
        image = self._summary.Image(height=shape[0], width=shape[1], colorspace=shape[2], encoded_image_string=png)
        self._write([self._summary.Value(tag=tag, image=image)], step)

    def sync(self) -> None:
        """Puts all on the disk."""
        self._file.flush()
        self._synced = time.monotonic()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write(self, values: Iterable[Any], step: int) -> None:
        self._file.write_event(self._event(wall_time=time.time(), step=step, summary=self._summary(value=values)))


def save_png(picture: np.ndarray, path: Path) -> bytes:
    """Writes uint8 [H, W, C], C 1 or 3, as a PNG, whole or not at all; returns the PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture).save(buffer, format='PNG')
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, buffer.getvalue())
    return buffer.getvalue()


def save_figure(figure: 'Figure', path: Path) -> None:
    """Writes a figure of matplotlib as a PNG, whole or not at all."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=100)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, buffer.getvalue())


def save_images(images: Iterable[np.ndarray], paths: Iterable[Path]) -> None:
    """Writes each of uint8 [H, W, C], C 1 or 3, as a PNG of its own, for other tools; not one by one on the disk at once."""
    for image, path in zip(images, paths, strict=False):
        Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(path)


def progress_bar(step: int, num_steps: int, *, hidden: bool = False) -> tqdm:
    """A bar of `num_steps` that starts at `step`, and shows nothing if hidden or when standard error is not a terminal."""
    return tqdm(initial=step, total=num_steps, unit=' steps', disable=hidden or None, dynamic_ncols=True)


def sample_pictures(run_dir: Path) -> dict[int, Path]:
    """The pictures of samples that a run has made, by their steps."""
    return {int(match[1]): path for path in (run_dir / 'samples').glob('*') if (match := _PICTURE.fullmatch(path.name))}


def read_metrics(run_dir: Path) -> list[dict[str, Any]]:
    """The log points of a run, in the order of its steps."""
    return [json.loads(line) for line in _lines_until(run_dir / _METRICS, math.inf, _has_seconds)]


def read_evaluations(run_dir: Path) -> list[dict[str, Any]]:
    """What a run has written of its scores, in the order of its steps."""
    return [json.loads(line) for line in _lines_until(run_dir / _EVALUATIONS, math.inf, _has_scores)]


def _has_seconds(record: Any) -> bool:
    return record['seconds'] >= 0


def _has_scores(record: Any) -> bool:
    return all(isinstance(record[name], dict) for name in ('scores', 'floor', 'critic', 'protocol'))


def _lines_until(path: Path, step: float, is_right: Callable[[Any], bool]) -> list[str]:
    """The lines of a file of records up to `step`; a last line that was cut short does not count."""
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
        print(f'Warning: {path} is damaged; left out: {", ".join(f"line {number}" for number in damaged[:10])}.')
    return lines


def replace_file(path: Path, content: bytes) -> None:
    """Puts a file in the place of another: whole, or not at all."""
    unfinished = path.with_name(f'.{path.name}.tmp')
    try:
        unfinished.unlink(missing_ok=True)  # of a process that was killed, or a link that leads elsewhere
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666), 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
