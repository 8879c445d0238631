"""What a program writes to the terminal, and what libraries would."""

import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

from absl import logging
from tqdm import tqdm


def outlast_the_terminal() -> None:
    """Has the program go on when nobody reads its output any more: a pipe is closed, a session has ended, a disk is full."""
    sys.stdout, sys.stderr = (_Outlasting(stream or _nowhere()) for stream in (sys.stdout, sys.stderr))


def keep_orbax_quiet() -> None:
    """Has it tell in no pages what it also raises, and of which a sentence comes."""
    logging.set_verbosity(logging.WARNING)  # app.run's own default is INFO, and each checkpoint is a page
    logging.get_absl_handler().addFilter(lambda record: 'orbax' not in record.pathname)
    hook = sys.unraisablehook

    def ignore_late_answers(unraisable: Any) -> None:
        # Where a file cannot be written or read, threads of tensorstore still answer when orbax has given up on all of them.
        if str(unraisable.exc_value) != 'Event loop is closed':
            hook(unraisable)

    sys.unraisablehook = ignore_late_answers


class _Outlasting:
    """Standard output or error, or nothing once nobody reads it any more: a run outlasts its terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes, if somebody reads."""
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flushes, if somebody reads."""
        self._attempt(lambda: self._stream.flush())

    def _attempt(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except OSError:  # a pipe without a reader, a terminal that is gone, a file on a full disk
            self._stream = _nowhere()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _nowhere() -> TextIO:
    return open(os.devnull, 'w')


def progress_bar(step: int, num_steps: int, *, hidden: bool = False) -> tqdm:
    """A bar of `num_steps` that starts at `step`, and shows nothing if hidden or when standard error is not a terminal."""
    return tqdm(initial=step, total=num_steps, unit=' steps', disable=hidden or None, dynamic_ncols=True)
