"""Hears that a run is to stop: Ctrl-C, a terminal that is closed, and the SIGTERM with which clusters take a machine back."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ONE_STOP_SECONDS = 1.0  # launchers such as mpirun may pass on a Ctrl-C that the terminal has sent as well
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """What has been heard."""

    signal = 0  # the number of the first signal; 0: none


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Hears the first signal that asks to stop; a second one ends the process at once.

    A thread hears them: the main thread is deaf during a call of a compiled program, and a single round may take minutes.
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    ear, mouth = os.pipe()
    os.set_blocking(mouth, False)

    def listen() -> None:
        first = None
        while heard := os.read(ear, 64):  # all that have come by now: late as this thread may be, they came together
            numbers = [number for number in heard if number in _SIGNALS]
            first = first or (time.monotonic() if numbers else None)
            if numbers and time.monotonic() - first > _ONE_STOP_SECONDS:
                os.write(2, b'\nEnded at once; the last checkpoint is whole.\n')
                os._exit(128 + numbers[-1])

    def note(number: int, frame: Any) -> None:
        del frame
        stop.signal = stop.signal or number

    thread = threading.Thread(target=listen, daemon=True, name='signals')
    thread.start()
    mouth_before = signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN or number == signal.SIGINT:  # nohup has SIGHUP ignored
            signal.signal(number, note)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(mouth_before)
        os.close(mouth)
        thread.join()
        os.close(ear)
