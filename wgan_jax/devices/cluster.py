"""How the processes of a run connect, and how they end when one of them is lost.

They are started from outside (Slurm, mpirun, Kubernetes, a TPU pod, a shell), each with the same command.
"""

import atexit
import errno
import os
import re
import socket
import sys
import threading
import zlib
from typing import NoReturn

import jax
from orbax.checkpoint import multihost

from wgan_jax.devices import parallel, processes
from wgan_jax.errors import UserError

JOIN_SECONDS = 300  # until all processes must have started; a cluster does not start them at the same moment
HEARTBEAT_SECONDS = 30  # a process that has been silent for this long is lost
_LEAVE_SECONDS = 30  # between the first process that ends normally and the last
TRY_AGAIN = 75  # exit status of a process that has lost another one: EX_TEMPFAIL of sysexits.h
# Parts of the messages that gloo and the coordinator give when another process is lost.
_LOST = re.compile(r'UNAVAILABLE|Gloo|by peer|[Hh]eartbeat|[Cc]oordination')
_status_if_lost = TRY_AGAIN
_names: list[socket.socket] = []  # sockets that say which processes run on this machine
_NUM_PROCESSES = {'Slurm': 'SLURM_NTASKS', 'Open MPI': 'OMPI_COMM_WORLD_SIZE'}  # variables that launchers set


def join(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Connects to the other processes of the run, if there are any. Call it before anything uses a device.

    Without arguments, JAX detects Slurm, Open MPI, Kubernetes (an indexed job) and TPU pods; if it finds none of them, or a
    launcher that has started one process only, the run has one process. Nothing is detected if all three arguments are given, or
    if `num_processes` is 1.

    Args:
      coordinator: HOST:PORT under which the first process is reached.
      num_processes: number of processes of the run.
      process_id: number of this process, from 0.

    Raises:
      UserError: the arguments contradict each other, the port cannot be used, the processes have different numbers of devices, or
        this process was started as one of several and JAX cannot find the others.
    """
    given = {'coordinator': coordinator, 'num_processes': num_processes, 'process_id': process_id}
    missing = [name for name, value in given.items() if value is None]
    if missing and len(missing) < 3:
        if num_processes == 1:
            return
        raise UserError(f'--{missing[0]} is missing: give --coordinator, --num_processes and --process_id together, or none.')
    if missing and 'KUBERNETES_SERVICE_HOST' in os.environ and not _launcher() and 'TPU_WORKER_ID' not in os.environ:
        return  # a pod outside an indexed job, which JAX would take for a part of one
    if missing and not _launcher() and '1' in map(os.environ.get, _NUM_PROCESSES.values()):
        # JAX derives its port from the job alone, so two runs in one job would meet there, and the second would end the first. It
        # also aborts a process that was suspended for longer than the heartbeat.
        return
    if not missing:
        _check(coordinator, num_processes, process_id)
    # JAX's preemption service would swallow every SIGTERM; training.stopping handles it.
    jax.config.update('jax_enable_preemption_service', False)
    timer = threading.Timer(JOIN_SECONDS, _not_all_started, [coordinator])
    timer.daemon = True
    timer.start()
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            cluster_detection_method=None if missing else 'deactivate',
            initialization_timeout=2 * JOIN_SECONDS,  # the runtime aborts then; the timer comes first
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=_LEAVE_SECONDS,
        )
    except Exception as error:  # any type: JAX queries the cluster through other packages
        if missing and 'coordinator_address' in str(error):  # JAX found no cluster
            if launcher := _launcher():
                raise UserError(
                    f'{launcher} has started several processes, but JAX cannot find them: give --coordinator, --num_processes '
                    'and --process_id, or --num_processes=1 to run this process alone.'
                ) from error
            return
        raise UserError(f'JAX cannot connect the processes of the run ({error}); --num_processes=1 runs this one alone.') from error
    finally:
        timer.cancel()
    parallel.check_devices()
    if jax.process_count() > 1:
        counts = [len(jax.local_devices(index)) for index in range(jax.process_count())]
        if len(set(counts)) > 1:
            raise UserError(f'The processes of this run have {counts} devices: give each the same number (CUDA_VISIBLE_DEVICES).')
        _watch()
        processes.greatest(0)  # opens the connections now, and not after an hour of preparing data


def end(error: BaseException) -> NoReturn:
    """Ends this process at once after an error, so that the other processes notice and end too instead of waiting for it."""
    sys.excepthook(type(error), error, error.__traceback__)
    if _LOST.search(str(error)):
        exit_at_once(_lost(str(error)), _status_if_lost)
    exit_at_once(f'Process {jax.process_index()} of {jax.process_count()} ends here, and the run with it.', 1)


def stops_with(status: int) -> None:
    """Sets the exit status for the case that another process is lost: TRY_AGAIN, or that of a signal."""
    global _status_if_lost
    _status_if_lost = status


def exit_at_once(message: str, status: int) -> NoReturn:
    """Ends the process without the runtime's shutdown, which would wait for the other processes."""
    sys.stdout.flush()
    print(message, file=sys.stderr, flush=True)
    os._exit(status)


def _launcher() -> str | None:
    """What has started this process as one of several; None if nothing has."""
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
    if sys.platform == 'linux':  # JAX would take it for a restart of that process, and end the whole run
        name = socket.socket(socket.AF_UNIX)
        _names.append(name)
        try:
            # In Linux's abstract namespace: there is no file, and it is free again however this process ends.
            name.bind(f'\0wgan_jax {zlib.crc32(coordinator.encode())} {process_id}')
        except OSError as error:
            if error.errno == errno.EADDRINUSE:  # other errors, of a sandbox for example, say nothing about other processes
                raise UserError(
                    f'--process_id={process_id} of --coordinator={coordinator} runs on this machine already: give another one, '
                    'or another coordinator for another run.'
                ) from error
    if process_id == 0:  # jaxlib can crash if the port is taken
        families = {'family': socket.AF_INET6, 'dualstack_ipv6': True} if socket.has_dualstack_ipv6() else {}
        try:
            socket.create_server(('', int(port)), **families).close()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else error
            raise UserError(f'The port of --coordinator={coordinator} cannot be used ({reason}): choose another one.') from error


def _watch() -> None:
    """Starts a thread that ends this process with one sentence when another process is lost.

    The thread waits at a barrier that no other process reaches; losing a process breaks the barrier. Without it, the runtime
    aborts with a stack trace.
    """
    leaving = threading.Event()

    def wait() -> None:
        try:
            multihost.get_barrier_sync_fn()(key=f'process {jax.process_index()} is watching', timeout_ms=2**31 - 1)
        except Exception as error:  # the runtime does not document the type
            # A barrier can wait 25 days at most; after that, losing a process ends this one with the runtime's own message.
            if not leaving.is_set() and 'DEADLINE_EXCEEDED' not in str(error):
                exit_at_once(_lost(str(error)), _status_if_lost)

    thread = threading.Thread(target=wait, daemon=True, name='watch')
    thread.start()

    def leave() -> None:
        leaving.set()
        jax.distributed.shutdown()  # also ends the wait
        thread.join()  # if the thread returned while the interpreter ends, it would abort it

    atexit.register(leave)


def _lost(reason: str) -> str:
    return (
        f'Error: process {jax.process_index()} of {jax.process_count()} has lost another process of this run, which has ended or '
        f'cannot be reached ({reason.splitlines()[0][:200]}). The output of that process says why. Start all processes again with '
        'the same command: the run continues from its last checkpoint.'
    )


def _not_all_started(coordinator: str | None) -> None:
    if coordinator:
        how = (
            f'start each with --coordinator={coordinator}, the same --num_processes and its own --process_id, on hosts that can '
            'reach each other'
        )
    else:
        how = 'start all tasks of the job, on hosts that can reach each other'
    exit_at_once(
        f'Error: not all processes of the run have started after {JOIN_SECONDS} s: {how}. --num_processes=1 runs this one alone.',
        TRY_AGAIN,
    )
