"""Signals to this process and to a child; whole runs are in test_reliability."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from wgan_jax.training.stopping import StopRequest

HANDLERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def hangup():
    """The default SIGHUP, in case the tests were started with it ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures('hangup')
@pytest.mark.parametrize('number', HANDLERS)
def test_the_first_signal_is_recorded_and_nothing_ends(number):
    before = [signal.getsignal(one) for one in HANDLERS]
    with StopRequest() as stop:
        stop.listen()
        assert stop.signal == 0
        os.kill(os.getpid(), number)
        assert stop.signal == number
        for another in HANDLERS:  # as from a launcher that repeats what the terminal has sent
            os.kill(os.getpid(), another)
        assert stop.signal == number
    assert [signal.getsignal(one) for one in HANDLERS] == before
    assert not any(thread.name == 'signals' for thread in threading.enumerate())


@pytest.mark.usefixtures('hangup')
def test_signals_are_ignored_after_the_end_if_the_process_ends_because_of_one():
    before = [signal.getsignal(one) for one in HANDLERS]
    try:
        with StopRequest(ends_process=True) as stop:
            stop.listen()
        assert [signal.getsignal(one) for one in HANDLERS] == before  # nothing had asked to stop
        with StopRequest(ends_process=True) as stop:
            stop.listen()
            os.kill(os.getpid(), signal.SIGTERM)
        for another in HANDLERS:
            os.kill(os.getpid(), another)
    finally:
        for number, handler in zip(HANDLERS, before, strict=True):
            signal.signal(number, handler)
    assert stop.signal == signal.SIGTERM


def test_a_signal_that_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with StopRequest() as stop:
            stop.listen()
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.signal == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_nothing_is_recorded_in_another_thread():
    recorded = []

    def request():
        with StopRequest() as stop:
            stop.listen()
            recorded.append(stop.signal)

    thread = threading.Thread(target=request)
    thread.start()
    thread.join()
    assert recorded == [0]


def test_a_second_signal_ends_a_process_at_once_even_while_python_does_nothing():
    """As in a call of a compiled program: the main thread waits in C code that no signal interrupts."""
    program = """
import hashlib
from wgan_jax.training.stopping import StopRequest
with StopRequest() as stop:
    stop.listen()
    print('listening', flush=True)
    hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)  # hours
"""
    process = subprocess.Popen([sys.executable, '-c', program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == 'listening\n'
    process.send_signal(signal.SIGTERM)
    time.sleep(1.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert errors == '\nEnded at once; the last checkpoint is whole.\n'
