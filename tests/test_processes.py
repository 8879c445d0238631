"""What one process says to another, without another; test_several_processes.py has several."""

import re
import socket
import sys

import jax
import pytest

from wgan_jax import processes
from wgan_jax.errors import UserError


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('host:1', None, None), '--num_processes is missing: --coordinator, --num_processes and --process_id are given together'),
        ((None, 2, None), '--coordinator is missing'),
        (('host', 2, 0), '--coordinator=host is not HOST:PORT'),
        (('host:port', 2, 0), '--coordinator=host:port is not HOST:PORT'),
        (('host:1', 2, 2), '--process_id=2 must be at least 0 and less than --num_processes=2'),
        (('host:1', 2, -1), '--process_id=-1 must be at least 0'),
    ],
)
def test_flags_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(UserError, match=re.escape(message)):
        processes.join(*arguments)


def test_a_process_that_is_alone_is_not_held_up(monkeypatch):
    monkeypatch.setenv('KUBERNETES_SERVICE_HOST', '10.0.0.1')  # any pod has it
    processes.join(None, None, None)
    processes.join(None, 1, None)
    assert jax.process_count() == 1
    assert processes.is_first()
    assert processes.greatest(3) == 3
    assert processes.first_before_others(lambda: 5) == 5
    processes.check_same('another config', {'seed': 0})
    with pytest.raises(UserError, match='its own'), processes.all_or_none():
        raise UserError('its own')


def test_a_port_that_is_taken_is_told():
    with socket.socket() as taken:
        taken.bind(('', 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            UserError, match=rf'The port of --coordinator=localhost:{port} cannot be had \(Address already in use\)'
        ):
            processes.join(f'localhost:{port}', 2, 0)


def test_what_jax_says_of_a_cluster_is_told(monkeypatch):
    def initialize(*arguments, **options):
        raise RuntimeError('no permission to ask the cluster')

    monkeypatch.setattr(jax.distributed, 'initialize', initialize)
    with pytest.raises(UserError, match=r'JAX cannot join .* \(no permission to ask the cluster\); --num'):
        processes.join(None, None, None)


@pytest.mark.parametrize(
    ('error', 'message'),
    [
        (RuntimeError('UNKNOWN: Gloo all-reduce failed: Connection closed by peer [10.0.0.2]:7818\nmore'), 'has lost another one'),
        (ValueError('the network is wrong'), 'Process 0 of 1 ends here, and with it the run.'),
    ],
)
def test_an_error_that_ends_a_process_is_told_as_what_it_is(monkeypatch, capsys, error, message):
    codes = []
    monkeypatch.setattr(processes.os, '_exit', lambda code: codes.append(code) or sys.exit())
    with pytest.raises(SystemExit):
        processes.end(error)
    printed = capsys.readouterr().err
    assert codes == [1]
    assert message in printed
    assert str(error).splitlines()[0] in printed
    assert 'more' not in printed
