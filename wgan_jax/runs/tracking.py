"""Metrics, pictures and config for an experiment tracker, which may fail or hang: no run waits for it or ends because of it."""

import importlib.util
import json
import queue
import secrets
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from wgan_jax.devices import processes
from wgan_jax.disk import read_bytes, replace_file
from wgan_jax.errors import UserError
from wgan_jax.runs import trackers
from wgan_jax.runs.files import reason

SECONDS_AT_END = 30  # that a run waits, when it ends, for what was sent before
_PAUSE = 0.05  # seconds between two looks at whether the tracker has failed
_MOST_WAITING = 10_000  # messages; a tracker that is so far behind does not answer
_IDS = 'tracking.json'  # in a run's directory: {tracker: id of the run there}


def tracking_by(tracker: str | None, group: str | None = None) -> 'Tracking | None':
    """The tracker of that name, a key of trackers.OPENERS; None for None.

    Args:
      tracker: its name.
      group: the name of the group that the runs are.

    Raises:
      UserError: its package is not installed.
    """
    if tracker is None:
        return None
    found = importlib.util.find_spec(tracker)
    # A directory of that name, where some trackers write, is found too: as a package without a file.
    if processes.is_first() and (found is None or found.origin is None):
        raise UserError(f'--track={tracker} needs the package {tracker}, which is not installed: pip install {tracker}')
    return Tracking(tracker, group)


class Tracking:
    """A tracker, and the thread of this process that talks to it for all runs."""

    def __init__(self, tracker: str, group: str | None = None, seconds_at_end: float = SECONDS_AT_END) -> None:
        self._tracker, self._group, self._seconds_at_end = tracker, group, seconds_at_end
        self._waiting: queue.Queue[Callable[[], None]] = queue.Queue(_MOST_WAITING)
        self._left, self._lock = False, threading.Lock()
        self._thread: threading.Thread | None = None

    def open(self, run_dir: Path, config: dict[str, Any]) -> 'TrackedRun':
        """Starts to track a run, or continues to if it was tracked before; the tracker answers later."""
        return TrackedRun(self, lambda: self._opened(run_dir, config))

    def do(self, action: Callable[[], None]) -> None:
        """Has the thread do something after all that it was given before; ignored once the tracker was left."""
        if self._left:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f'--track={self._tracker}', daemon=True)
            self._thread.start()
        try:
            self._waiting.put_nowait(action)
        except queue.Full:
            self._leave(f'it has not answered {_MOST_WAITING:,} messages')

    def wait(self) -> None:
        """Waits until everything is done, but not for long, and not for a tracker that was left."""
        done, end = threading.Event(), time.monotonic() + self._seconds_at_end
        self.do(done.set)
        while not self._left and not done.wait(_PAUSE):
            if time.monotonic() > end:
                self._leave(f'it has not taken everything within {self._seconds_at_end:g} s')

    def _work(self) -> None:
        while True:
            action = self._waiting.get()
            if self._left:
                return
            try:
                action()
            except (Exception, SystemExit) as error:  # whatever it raises is its own trouble, and not the run's
                self._leave(reason(error))

    def _leave(self, why: str) -> None:
        """Says once that the run goes on without the tracker."""
        with self._lock:
            if not self._left:
                self._left = True
                tqdm.write(f'Warning: --track={self._tracker} has failed ({why}). The run goes on without it.')
        with suppress(queue.Empty):
            while True:  # forgets the messages
                self._waiting.get_nowait()
        with suppress(queue.Full):
            self._waiting.put_nowait(lambda: None)  # wakes the thread, which then ends

    def _opened(self, run_dir: Path, config: dict[str, Any]) -> trackers.Run:
        ids = _read_ids(run_dir)
        name = run_dir.resolve().name if self._group is None else f'{self._group}-{run_dir.name}'
        start = trackers.Start(name, self._group, config, run_dir, ids.get(self._tracker), secrets.token_hex(4))
        run = trackers.OPENERS[self._tracker](start)
        if ids.get(self._tracker) != run.id:
            replace_file(run_dir / _IDS, (json.dumps({**ids, self._tracker: run.id}) + '\n').encode())
        return run


class TrackedRun:
    """A run in a tracker; takes what runs.tensorboard.Events takes."""

    def __init__(self, tracking: Tracking, open_: Callable[[], trackers.Run]) -> None:
        self._tracking, self._run = tracking, None
        self.failed = False  # whether the run has ended as failed, although no exception closes it

        def start() -> None:
            self._run = open_()

        tracking.do(start)

    def scalars(self, values: dict[str, float], step: int) -> None:
        """Sends the next point of some curves."""
        self._tracking.do(lambda: self._run.scalars(values, step))

    def picture(self, tag: str, png: bytes, shape: tuple[int, ...], step: int) -> None:
        """Sends a PNG."""
        self._tracking.do(lambda: self._run.picture(tag, png, step))

    def sync(self) -> None:
        """Does not wait: nothing depends on what a tracker has."""

    def close(self) -> None:
        """Ends the run in the tracker, as failed if it is closed because of an error."""
        failed = self.failed or sys.exception() is not None
        self._tracking.do(lambda: self._run.close(failed=failed))
        self._tracking.wait()


def _read_ids(run_dir: Path) -> dict[str, str]:
    """The ids of the run in the trackers that it was tracked by; {} if the file is missing or damaged."""
    try:
        ids = json.loads(read_bytes(run_dir / _IDS))
    except (OSError, ValueError, RecursionError):
        return {}
    return {name: value for name, value in ids.items() if isinstance(value, str)} if isinstance(ids, dict) else {}
