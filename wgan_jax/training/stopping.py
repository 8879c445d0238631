"""Signals that stop a run: Ctrl-C, a closed terminal, and the SIGTERM that a cluster sends before it reclaims a machine."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from wgan_jax.devices import cluster

_SAME_STOP_SECONDS = 1.0  # signals within it are one request: mpirun may repeat a Ctrl-C that the terminal has sent
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """The first signal that asked to stop, or the one that all processes of the run have agreed on; a context manager.

    Attributes:
      signal: its number; 0 if there was none.

    Args:
      ends_process: the process ends after a signal, so that further ones are ignored after the `with` statement, too. Otherwise
        they do again what they did before it.
    """

    def __init__(self, *, ends_process: bool = False) -> None:
        self.signal = 0
        self._ends_process = ends_process
        self._listening = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._listening.close()
        cluster.stops_with(cluster.TRY_AGAIN)

    def listen(self) -> None:
        """From now on, and until the end of the `with` statement, the first signal is recorded and a second one ends the process.

        Outside the main thread of the process, nothing is recorded.
        """
        self._listening.close()  # a run that went back has begun to listen before
        if threading.current_thread() is threading.main_thread():
            self._listening.enter_context(_recorded_in(self))

    @property
    def ends_process(self) -> bool:
        """Whether the process ends now because of a signal."""
        return self._ends_process and bool(self.signal)

    def record(self, number: int) -> None:
        """The process will end with the status of this signal, also if other signals come or other processes are lost."""
        self.signal = number
        cluster.stops_with(128 + number)


@contextmanager
def _recorded_in(stop: StopRequest) -> Iterator[None]:
    """Records the first signal, and ends the process at another.

    A thread reads the signals, because Python handles none in the main thread during a call of a compiled program, which can take
    minutes.
    """
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)  # as signal.set_wakeup_fd requires

    def listen() -> None:
        first = None
        while received := os.read(read_end, 64):  # signals that are read together count as simultaneous
            numbers = [number for number in received if number in _SIGNALS]
            if not numbers:
                continue
            record(numbers[0], None)
            first = first or time.monotonic()
            if time.monotonic() - first > _SAME_STOP_SECONDS:
                os.write(2, b'\nEnded at once; the last checkpoint is whole.\n')
                os._exit(128 + stop.signal)

    def record(number: int, frame: Any) -> None:
        del frame
        if not stop.signal:
            stop.record(number)

    thread = threading.Thread(target=listen, daemon=True, name='signals')
    thread.start()
    wakeup_before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN or number == signal.SIGINT:  # under nohup, SIGHUP stays ignored
            signal.signal(number, record)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if stop.ends_process else handler)
        signal.set_wakeup_fd(wakeup_before)
        os.close(write_end)
        thread.join()
        os.close(read_end)
