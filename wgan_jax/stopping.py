"""Hears that a run is to stop: Ctrl-C, and the SIGTERM with which clusters announce that they take a machine back."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class StopRequest:
    """What has been heard."""

    signal = 0  # the number of the signal; 0: none


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Hears the first SIGINT or SIGTERM; a second one ends the process at once."""
    stop = StopRequest()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def request(number: int, frame: Any) -> None:
        del frame
        stop.signal = number
        for either in before:
            signal.signal(either, signal.SIG_DFL)

    if threading.current_thread() is threading.main_thread():
        for number in before:
            signal.signal(number, request)
    try:
        yield stop
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)
