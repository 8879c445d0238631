"""Joining and ending; test_several_processes.py has whole runs."""

import os
import re
import socket
import sys

import jax
import pytest

from tests.program.test_several_processes import ONE, Processes, free_address
from wgan_jax.devices import cluster
from wgan_jax.errors import UserError


@pytest.fixture(autouse=True)
def _names_are_free_again():
    yield
    for name in cluster._names:
        name.close()
    cluster._names.clear()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (
            ('host:1', None, None),
            '--num_processes is missing: give --coordinator, --num_processes and --process_id together, or none.',
        ),
        ((None, 2, None), '--coordinator is missing'),
        (('host', 2, 0), '--coordinator=host is not HOST:PORT'),
        (('host:port', 2, 0), '--coordinator=host:port is not HOST:PORT'),
        (('host:1', 2, 2), '--process_id=2 must be at least 0 and less than --num_processes=2'),
        (('host:1', 2, -1), '--process_id=-1 must be at least 0'),
    ],
)
def test_flags_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(UserError, match=re.escape(message)):
        cluster.join(*arguments)


def test_a_port_that_is_taken_is_refused():
    with socket.socket() as taken:
        taken.bind(('', 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            UserError, match=rf'The port of --coordinator=localhost:{port} cannot be used \(Address already in use\)'
        ):
            cluster.join(f'localhost:{port}', 2, 0)


@pytest.mark.skipif(sys.platform != 'linux', reason='sockets without a file exist on Linux only')
def test_a_second_process_with_the_number_of_another_is_refused(monkeypatch):
    """It would end the run of the other."""
    monkeypatch.setattr(jax.distributed, 'initialize', lambda *arguments, **options: None)
    address = free_address()
    for process_id in (0, 1):
        cluster.join(address, 2, process_id)
    with pytest.raises(UserError, match=rf'--process_id=1 of --coordinator={address} runs on this machine already'):
        cluster.join(address, 2, 1)


def test_an_error_of_jax_is_passed_on(monkeypatch):
    def initialize(*arguments, **options):
        raise RuntimeError('no permission to query the cluster')

    monkeypatch.setattr(jax.distributed, 'initialize', initialize)
    with pytest.raises(UserError, match=r'JAX cannot connect .* \(no permission to query the cluster\); --num'):
        cluster.join(None, None, None)


@pytest.mark.parametrize(
    ('error', 'message', 'status'),
    [
        (
            RuntimeError('UNKNOWN: Gloo all-reduce failed: Connection closed by peer\nmore'),
            'has lost another process',
            75,
        ),
        (ValueError('the network is wrong'), 'Process 0 of 1 ends here, and the run with it.', 1),
    ],
)
def test_a_lost_process_and_an_error_end_with_different_messages(monkeypatch, capsys, error, message, status):
    codes = []
    monkeypatch.setattr(cluster.os, '_exit', lambda code: codes.append(code) or sys.exit())
    with pytest.raises(SystemExit):
        cluster.end(error)
    printed = capsys.readouterr().err
    assert codes == [status]
    assert message in printed
    assert str(error).splitlines()[0] in printed
    assert 'Error: ' in printed


@pytest.mark.parametrize(
    ('variables', 'launcher'),
    [
        ({'SLURM_NTASKS': '8'}, 'Slurm'),
        ({'OMPI_COMM_WORLD_SIZE': '2'}, 'Open MPI'),
        ({'KUBERNETES_SERVICE_HOST': '10.0.0.1', 'JOB_COMPLETION_INDEX': '0'}, 'Kubernetes'),
    ],
)
def test_a_process_does_not_train_alone_if_jax_cannot_find_the_others(monkeypatch, variables, launcher):
    """As under python without srun, or Open MPI 5 without mpi4py."""

    def initialize(*arguments, **options):
        raise ValueError('coordinator_address should be defined.')  # JAX's message if it finds no cluster

    monkeypatch.setattr(jax.distributed, 'initialize', initialize)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=f'{launcher} has started several processes, but JAX cannot find them: give --coord'):
        cluster.join(None, None, None)
    cluster.join(None, 1, None)


@pytest.mark.parametrize('variable', ['SLURM_NTASKS', 'OMPI_COMM_WORLD_SIZE'])
def test_the_only_process_of_a_launcher_joins_nothing(monkeypatch, variable):
    """Two runs of one task in one job would have the same port, and the second would end the first."""
    started = []
    monkeypatch.setattr(jax.distributed, 'initialize', lambda *arguments, **options: started.append(arguments))
    monkeypatch.setenv(variable, '1')
    cluster.join(None, None, None)
    assert started == []
    monkeypatch.setenv('OMPI_COMM_WORLD_SIZE', '2')  # mpirun in a job of one task
    cluster.join(None, None, None)
    assert started == [(None, None, None)]


def test_all_processes_must_have_the_same_number_of_devices(monkeypatch):
    monkeypatch.setattr(jax.distributed, 'initialize', lambda *arguments, **options: None)
    monkeypatch.setattr(jax, 'process_count', lambda: 2)
    monkeypatch.setattr(jax, 'local_devices', lambda index: [None] * (index + 1))
    with pytest.raises(UserError, match=r'The processes of this run have \[1, 2\] devices: give each the same number'):
        cluster.join(None, None, None)


@pytest.mark.parametrize('launcher', ['Slurm', pytest.param('Open MPI', marks=pytest.mark.slow)])
def test_processes_of_a_launcher_need_no_flags(launcher):
    """With the variables that it sets; JAX derives the port from the number of the job."""
    job = os.getpid() % 4096
    variables = {
        'Slurm': {
            'SLURM_JOB_ID': str(job),
            'SLURM_STEP_NODELIST': 'localhost',
            'SLURM_STEP_NUM_NODES': '1',
            'SLURM_NTASKS': '2',
            'SLURM_PROCID': '{index}',
            'SLURM_LOCALID': '{index}',
        },
        'Open MPI': {
            'OMPI_MCA_orte_hnp_uri': f'{job * 4096}.0;tcp://127.0.0.1:34911',
            'OMPI_COMM_WORLD_SIZE': '2',
            'OMPI_COMM_WORLD_RANK': '{index}',
            'OMPI_COMM_WORLD_LOCAL_RANK': '{index}',
        },
    }[launcher]
    program = """
from wgan_jax.devices import cluster, processes
cluster.join(None, None, None)
import jax
print('process', jax.process_index(), 'of', jax.process_count(), 'agrees on', processes.greatest(jax.process_index()))
"""
    assignments = [[f'{name}={value.format(index=index)}' for name, value in variables.items()] for index in range(2)]
    with Processes([['env', *each, sys.executable, '-c', program] for each in assignments], ONE) as started:
        codes, outputs, errors = started.wait()
    assert codes == [0, 0], errors
    for index in range(2):
        assert f'process {index} of 2 agrees on 1' in outputs[index]


@pytest.mark.slow
def test_a_process_that_never_starts_is_not_waited_for_for_ever():
    program = 'import sys; from wgan_jax.devices import cluster; cluster.JOIN_SECONDS = 2; cluster.join(sys.argv[1], 2, 1)'
    with Processes([[sys.executable, '-c', program, free_address()]], ONE) as started:
        codes, _, errors = started.wait()
    assert codes == [75]
    assert 'Error: not all processes of the run have started after 2 s: start each with --coordinator=127.0.0.1:' in errors[0]
