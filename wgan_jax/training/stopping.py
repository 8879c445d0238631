"""Signals that stop a run: Ctrl-C, a closed terminal, and the SIGTERM that a cluster sends before it reclaims a machine."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SAME_STOP_SECONDS = 1.0  # signals within it are one request: mpirun may repeat a Ctrl-C that the terminal has sent
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """The first signal that asked to stop."""

    signal = 0  # its number; 0 if there was none


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Records the first signal that asks to stop; a second one ends the process at once.

    A thread reads the signals, because Python handles none in the main thread during a call of a compiled program, which can take
    minutes. Outside the main thread of the process, nothing is recorded.
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)  # as signal.set_wakeup_fd requires

    def listen() -> None:
        first = None
        while received := os.read(read_end, 64):  # signals that are read together count as simultaneous
            numbers = [number for number in received if number in _SIGNALS]
            first = first or (time.monotonic() if numbers else None)
            if numbers and time.monotonic() - first > _SAME_STOP_SECONDS:
                os.write(2, b'\nEnded at once; the last checkpoint is whole.\n')
                os._exit(128 + numbers[-1])

    def record(number: int, frame: Any) -> None:
        del frame
        stop.signal = stop.signal or number

    thread = threading.Thread(target=listen, daemon=True, name='signals')
    thread.start()
    wakeup_before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN or number == signal.SIGINT:  # under nohup, SIGHUP stays ignored
            signal.signal(number, record)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup_before)
        os.close(write_end)
        thread.join()
        os.close(read_end)
