"""Several processes of one run, on one machine or on many: how they find each other, agree, and end.

All of them compute the same; the first one alone speaks, and alone touches the directory of the run. They are started by what the
machines have for that (Slurm, mpirun, Kubernetes, a TPU pod, a shell), each with the same command.
"""

import atexit
import os
import re
import socket
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from wgan_jax.errors import UserError

JOIN_SECONDS = 300  # for all processes to be there; clusters do not start them at one moment
HEARTBEAT_SECONDS = 30  # a process that was not heard for so long is dead
_LEAVE_SECONDS = 30  # between the first process to end in order and the last
# What errors hold that come of a process that is gone, from gloo, NCCL or the coordinator.
_LOST = re.compile(r'UNAVAILABLE|Gloo|NCCL|by peer|[Hh]eartbeat|[Cc]oordination')
_Result = TypeVar('_Result')


def join(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Joins the other processes of the run, if there are others; to be called before anything touches a device.

    With no argument, JAX looks for what Slurm, Open MPI, Kubernetes (an indexed job) or a TPU pod tells it, and without any of
    them the run has one process. With all three that is not looked at, nor with `num_processes` 1 alone.

    Args:
      coordinator: HOST:PORT at which the first process is reached by the others.
      num_processes: processes of the run.
      process_id: which one this is, from 0.

    Raises:
      UserError: the arguments do not fit each other, or the port cannot be had.
    """
    given = {'coordinator': coordinator, 'num_processes': num_processes, 'process_id': process_id}
    missing = [name for name, value in given.items() if value is None]
    if missing and len(missing) < 3:
        if num_processes == 1:
            return
        raise UserError(f'--{missing[0]} is missing: --coordinator, --num_processes and --process_id are given together, or none.')
    if missing and 'KUBERNETES_SERVICE_HOST' in os.environ and 'JOB_COMPLETION_INDEX' not in os.environ:
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
    except (RuntimeError, ValueError) as error:
        if missing and 'coordinator_address' in str(error):  # what JAX says where it finds no cluster
            return
        raise UserError(f'JAX cannot join the processes of this run ({error}); --num_processes=1 runs alone.') from error
    finally:
        timer.cancel()
    if jax.process_count() > 1:
        _watch()
        greatest(0)  # the connections between the processes are made here, and not after an hour of preparing data


def is_first() -> bool:
    """Whether this process is the one that speaks and writes."""
    return jax.process_index() == 0


def greatest(value: int) -> int:
    """The greatest of what the processes say, once each has said something."""
    return value if jax.process_count() == 1 else int(multihost_utils.process_allgather(np.int32(value)).max())


def from_first(tree: Any) -> Any:
    """What the first process has, in every process; arrays of the same shapes everywhere."""
    if jax.process_count() == 1:
        return tree

    def unsigned(leaf: Any) -> np.ndarray:  # the sum of all processes' that is taken inside would turn -0.0 into 0.0
        array = np.asarray(leaf)
        return array.view(f'u{array.dtype.itemsize}')

    received = multihost_utils.broadcast_one_to_all(jax.tree.map(unsigned, tree))
    return jax.tree.map(lambda leaf, array: np.asarray(array).view(np.asarray(leaf).dtype), tree, received)


@contextmanager
def all_or_none() -> Iterator[None]:
    """What fails in one process with a UserError fails in all; each waits here for the others.

    Raises:
      UserError: what was raised inside, or that another process could not go on.
    """
    failure = None
    try:
        yield
    except UserError as error:
        failure = error
    if greatest(failure is not None):
        raise failure or UserError('Another process of this run could not go on; it says why.')


def first_before_others(action: Callable[[], _Result]) -> _Result:
    """Has the first process do something, then the others: they find what it has made, if they see the same disk."""
    with all_or_none():
        if is_first():
            result = action()
    if jax.process_count() > 1:
        with all_or_none():
            if not is_first():
                result = action()
    return result


def check_same(difference: str, values: dict[str, Any]) -> None:
    """Refuses to go on with processes that would not compute the same: the run would go wrong without a sign.

    Args:
      difference: for the message, such as 'another config'.
      values: what must be the same everywhere.

    Raises:
      UserError: it is not; raised in all.
    """
    if jax.process_count() == 1:
        return
    checksum = zlib.crc32(repr(sorted(values.items())).encode())
    checksums = multihost_utils.process_allgather(np.array(divmod(checksum, 2**16), np.int32))
    others = np.flatnonzero((checksums != checksums[0]).any(axis=1))
    if len(others):
        raise UserError(f'Process {others[0]} of this run has {difference} than process 0: all must have the same.')


def end(error: BaseException) -> NoReturn:
    """Ends this process at once, for the others wait for it: they notice, and end too."""
    if _LOST.search(str(error)):
        _exit(_lost(str(error)))
    sys.excepthook(type(error), error, error.__traceback__)
    _exit(f'Process {jax.process_index()} of {jax.process_count()} ends here, and with it the run.')


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
                _exit(_lost(str(error)))

    thread = threading.Thread(target=wait, daemon=True, name='watch')
    thread.start()

    def leave() -> None:
        leaving.set()
        jax.distributed.shutdown()  # ends the wait too
        thread.join()  # a thread that comes back while the interpreter ends would abort it

    atexit.register(leave)


def _lost(reason: str) -> str:
    first_line = reason.splitlines()[0][:200]
    return (
        f'Error: process {jax.process_index()} of {jax.process_count()} has lost another one of this run, which has ended or '
        f'cannot be reached ({first_line}). Start all again with the same command: the run continues from its last checkpoint.'
    )


def _not_all_there(coordinator: str | None) -> None:
    where = f' at {coordinator}' if coordinator else ''
    _exit(
        f'Error: after {JOIN_SECONDS} s not all processes of the run are there{where}: start each with the same --coordinator and '
        '--num_processes and with a --process_id of its own, on hosts that reach each other. --num_processes=1 runs alone.'
    )


def _exit(message: str) -> NoReturn:
    """Ends the process without the runtime's farewell, which waits for processes that are not there."""
    print(message, file=sys.stderr, flush=True)
    os._exit(1)
