"""How the processes of a run, on one machine or on many, find each other, and how they end when one of them is gone.

They are started by what the machines have for that (Slurm, mpirun, Kubernetes, a TPU pod, a shell), each with the same command.
"""

import atexit
import os
import re
import socket
import sys
import threading
from typing import NoReturn

import jax

from wgan_jax.devices import processes
from wgan_jax.errors import UserError

JOIN_SECONDS = 300  # for all processes to be there; clusters do not start them at one moment
HEARTBEAT_SECONDS = 30  # a process that was not heard for so long is dead
_LEAVE_SECONDS = 30  # between the first process to end in order and the last
TRY_AGAIN = 75  # exit status of a process that has lost another one: nothing is wrong with it (EX_TEMPFAIL of sysexits.h)
# What errors hold that come of a process that is gone, from gloo or the coordinator.
_LOST = re.compile(r'UNAVAILABLE|Gloo|by peer|[Hh]eartbeat|[Cc]oordination')
# What launchers tell each process they start: how many there are.
_NUM_PROCESSES = {'Slurm': 'SLURM_NTASKS', 'Open MPI': 'OMPI_COMM_WORLD_SIZE'}


def join(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Joins the other processes of the run, if there are others; to be called before anything touches a device.

    With no argument, JAX looks for what Slurm, Open MPI, Kubernetes (an indexed job) or a TPU pod tells it, and without any of
    them the run has one process. With all three that is not looked at, nor with `num_processes` 1 alone.

    Args:
      coordinator: HOST:PORT at which the first process is reached by the others.
      num_processes: processes of the run.
      process_id: which one this is, from 0.

    Raises:
      UserError: the arguments do not fit each other, the port cannot be had, or there are others that JAX does not find.
    """
    given = {'coordinator': coordinator, 'num_processes': num_processes, 'process_id': process_id}
    missing = [name for name, value in given.items() if value is None]
    if missing and len(missing) < 3:
        if num_processes == 1:
            return
        raise UserError(f'--{missing[0]} is missing: --coordinator, --num_processes and --process_id are given together, or none.')
    if missing and 'KUBERNETES_SERVICE_HOST' in os.environ and not _started_together() and 'TPU_WORKER_ID' not in os.environ:
        return  # a pod that is no part of an indexed job, which JAX would take for one
    if not missing:
        _check(coordinator, num_processes, process_id)
    jax.config.update('jax_enable_preemption_service', False)  # would swallow every SIGTERM from here on; see trainer
    timer = threading.Timer(JOIN_SECONDS, _not_all_there, [coordinator])
    timer.daemon = True
    timer.start()
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            cluster_detection_method=None if missing else 'deactivate',
            initialization_timeout=2 * JOIN_SECONDS,  # at which the runtime aborts; the timer is first
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=_LEAVE_SECONDS,
        )
    except Exception as error:  # of JAX, or of what it asks the cluster with
        if missing and 'coordinator_address' in str(error):  # what JAX says where it finds no cluster
            if launcher := _started_together():
                raise UserError(
                    f'{launcher} has started several processes, and JAX does not find them: give --coordinator, --num_processes '
                    'and --process_id, or --num_processes=1 to run this one alone.'
                ) from error
            return
        raise UserError(f'JAX cannot join the processes of this run ({error}); --num_processes=1 runs alone.') from error
    finally:
        timer.cancel()
    if jax.process_count() > 1:
        counts = [len(jax.local_devices(index)) for index in range(jax.process_count())]
        if len(set(counts)) > 1:
            raise UserError(f'The processes of this run have {counts} devices: all must have as many (see CUDA_VISIBLE_DEVICES).')
        _watch()
        processes.greatest(0)  # the connections between the processes are made here, and not after an hour of preparing data


def end(error: BaseException) -> NoReturn:
    """Ends this process at once, for the others wait for it: they notice, and end too."""
    sys.excepthook(type(error), error, error.__traceback__)
    if _LOST.search(str(error)):
        exit_at_once(_lost(str(error)), TRY_AGAIN)
    exit_at_once(f'Process {jax.process_index()} of {jax.process_count()} ends here, and with it the run.', 1)


def exit_at_once(message: str, status: int) -> NoReturn:
    """Ends the process without the runtime's farewell, which waits for processes that may not be there."""
    sys.stdout.flush()
    print(message, file=sys.stderr, flush=True)
    os._exit(status)


def _started_together() -> str | None:
    """What has started this process as one of several."""
    for launcher, name in _NUM_PROCESSES.items():
        if os.environ.get(name, '1') != '1':
            return launcher
    return 'Kubernetes' if 'JOB_COMPLETION_INDEX' in os.environ else None


def _check(coordinator: str, num_processes: int, process_id: int) -> None:
    host, _, port = coordinator.rpartition(':')
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UserError(f'--coordinator={coordinator} is not HOST:PORT, such as 10.0.0.1:12345.')
    if not 0 <= process_id < num_processes:
        raise UserError(f'--process_id={process_id} must be at least 0 and less than --num_processes={num_processes}.')
    if process_id == 0:  # jaxlib may crash on a port that is taken
        families = {'family': socket.AF_INET6, 'dualstack_ipv6': True} if socket.has_dualstack_ipv6() else {}
        try:
            socket.create_server(('', int(port)), **families).close()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else error
            raise UserError(f'The port of --coordinator={coordinator} cannot be had ({reason}): choose another one.') from error


def _watch() -> None:
    """Has a thread say in a sentence that another process is gone; the runtime itself would abort with pages of its own.

    The thread waits at a barrier to which no other process comes, and which is broken when one is gone.
    """
    from orbax.checkpoint import multihost

    leaving = threading.Event()

    def wait() -> None:
        try:
            multihost.get_barrier_sync_fn()(key=f'process {jax.process_index()} is watching', timeout_ms=2**31 - 1)
        except Exception as error:  # whatever the runtime raises then
            # No barrier can be waited for longer than 25 days; then nobody watches, and the runtime's own words must do.
            if not leaving.is_set() and 'DEADLINE_EXCEEDED' not in str(error):
                exit_at_once(_lost(str(error)), TRY_AGAIN)

    thread = threading.Thread(target=wait, daemon=True, name='watch')
    thread.start()

    def leave() -> None:
        leaving.set()
        jax.distributed.shutdown()  # ends the wait too
        thread.join()  # a thread that comes back while the interpreter ends would abort it

    atexit.register(leave)


def _lost(reason: str) -> str:
    return (
        f'Error: process {jax.process_index()} of {jax.process_count()} has lost another one of this run, which has ended or '
        f'cannot be reached ({reason.splitlines()[0][:200]}). Its own output says why. Start all again with the same command: the '
        'run continues from its last checkpoint.'
    )


def _not_all_there(coordinator: str | None) -> None:
    how = 'start all tasks of the job, on hosts that reach each other'
    if coordinator:
        how = (
            f'start each with --coordinator={coordinator}, the same --num_processes and a --process_id of its own, on hosts that '
            'reach each other'
        )
    exit_at_once(
        f'Error: after {JOIN_SECONDS} s not all processes of the run are there: {how}. --num_processes=1 runs alone.', TRY_AGAIN
    )
