"""What a run leaves behind: config.json, metrics.jsonl, pictures, TensorBoard events; and the progress bar."""

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm


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
        from tensorboardX import SummaryWriter  # slow to import, and only training needs it

        self._run_dir = run_dir
        _replace(run_dir / 'config.json', (json.dumps(config, indent=2) + '\n').encode())
        lines = _lines_until(run_dir / 'metrics.jsonl', step if keep_last else step - 1)
        _replace(run_dir / 'metrics.jsonl', ''.join(line + '\n' for line in lines).encode())
        for path in (run_dir / 'samples').glob('step_*.png'):
            if int(path.stem.removeprefix('step_')) > step:
                path.unlink()
        self._metrics_file = (run_dir / 'metrics.jsonl').open('a')
        self._tensorboard = SummaryWriter(str(run_dir / 'tensorboard'), purge_step=step + 1 if step else 0)
        self._seconds_before = json.loads(lines[-1])['seconds'] if lines else 0.0
        self._began = self._last_time = time.perf_counter()
        self.last_picture = max((run_dir / 'samples').glob('step_*.png'), default=None)

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
        for name, value in {**means, 'images_per_second': timing['images_per_second']}.items():
            self._tensorboard.add_scalar(name, value, step)

    def picture(self, name: str, picture: np.ndarray, step: int) -> None:
        """Writes samples/<name>.png from uint8 [H, W, C] with C 1 or 3."""
        path = self._run_dir / 'samples' / f'{name}.png'
        save_png(picture, path)
        self._tensorboard.add_image('real' if name == 'real' else 'samples', picture, step, dataformats='HWC')
        self.last_picture = path

    def sync(self) -> None:
        """Puts every line on the disk: a checkpoint must never be newer than the lines that lead to it."""
        os.fsync(self._metrics_file.fileno())
        self._tensorboard.flush()

    def close(self) -> None:
        """Closes the files."""
        self._metrics_file.close()
        self._tensorboard.close()


def save_png(picture: np.ndarray, path: Path) -> None:
    """Writes uint8 [H, W, C], C 1 or 3, as a PNG: whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix('.tmp')
    Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture).save(unfinished, format='PNG')
    os.replace(unfinished, path)


def progress_bar(step: int, num_steps: int, *, hidden: bool = False) -> tqdm:
    """A bar of `num_steps` that starts at `step`, and shows nothing if hidden or when standard error is not a terminal."""
    return tqdm(initial=step, total=num_steps, unit=' steps', disable=hidden or None, dynamic_ncols=True)


def _lines_until(path: Path, step: int) -> list[str]:
    """The lines of a metrics file up to `step`; a last line that was cut short does not count."""
    lines = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            if json.loads(line)['step'] <= step:
                lines.append(line)
        except json.JSONDecodeError:
            break
    return lines


def _replace(path: Path, content: bytes) -> None:
    unfinished = path.with_suffix('.tmp')
    unfinished.write_bytes(content)
    os.replace(unfinished, path)
