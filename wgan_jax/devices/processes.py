"""How the processes of a run agree: all compute the same, but only process 0 prints and uses the directory of the run."""

import itertools
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from orbax.checkpoint import multihost

from wgan_jax.errors import LocalError, UserError

_Result = TypeVar('_Result')
_barriers = itertools.count()  # each barrier needs a new key


def is_first() -> bool:
    """Whether this is process 0, which prints and writes."""
    return jax.process_index() == 0


def greatest(value: int) -> int:
    """The maximum of the values that all processes pass; waits until each has passed one."""
    return value if jax.process_count() == 1 else int(multihost_utils.process_allgather(np.int32(value)).max())


def to_all(tree: Any) -> Any:
    """Arrays that are split over the devices, whole, as numpy arrays in all processes."""
    if jax.process_count() == 1:
        return jax.tree.map(np.asarray, tree)
    return multihost_utils.process_allgather(tree, tiled=True)


def from_first(tree: Any) -> Any:
    """Copies a tree of arrays from process 0 to all processes; the shapes must already be the same in all."""
    if jax.process_count() == 1:
        return tree

    def unsigned(leaf: Any) -> np.ndarray:  # the broadcast is a sum, which would turn -0.0 into 0.0
        array = np.asarray(leaf)
        return array.view(f'u{array.dtype.itemsize}')

    received = multihost_utils.broadcast_one_to_all(jax.tree.map(unsigned, tree))
    return jax.tree.map(lambda leaf, array: np.asarray(array).view(np.asarray(leaf).dtype), tree, received)


@contextmanager
def all_or_none() -> Iterator[None]:
    """If one process raises a UserError inside, all processes fail; at the end each waits for the others.

    Raises:
      LocalError: raised inside; passed on at once, because the other processes may not be in this block.
      UserError: raised inside, in this process or in another one.
    """
    failure = None
    try:
        yield
    except LocalError:
        raise
    except UserError as error:
        failure = error
    failed = greatest(jax.process_index() + 1 if failure else 0)
    if failed:
        raise failure or UserError(f'Process {failed - 1} of this run has failed; its output says why.')


def first_before_others(action: Callable[[], _Result]) -> _Result:
    """Runs an action in process 0, then in the others, which find its files if they share a disk; it may take hours."""
    for mine in (is_first(), not is_first()) if jax.process_count() > 1 else (True,):
        with all_or_none():
            try:
                if mine:
                    result = action()
            finally:
                _wait_for_all()
    return result


def check_same(difference: str, values: dict[str, Any]) -> None:
    """Refuses processes that would compute different things, which would spoil the run without an error.

    Args:
      difference: for the message, such as 'another config'.
      values: what must be the same in all processes.

    Raises:
      UserError: a value differs; raised in all processes.
    """
    if jax.process_count() == 1:
        return
    names = sorted(values)
    for what, compared in ((['its keys'], [names]), (names, [values[name] for name in names])):
        checksums = [divmod(zlib.crc32(repr(value).encode()), 2**16) for value in compared]
        received = multihost_utils.process_allgather(np.array(checksums, np.int32))  # [processes, compared, 2]
        differs = (received != received[0]).any(axis=2)
        if differs.any():
            process, which = np.argwhere(differs)[0]
            raise UserError(
                f'Process {process} of this run has {difference} than process 0 ({what[which]}): all must have the same.'
            )


def _wait_for_all() -> None:
    """Waits at a barrier, up to 25 days: a collective could time out, and would keep the devices busy."""
    if jax.process_count() > 1:
        multihost.get_barrier_sync_fn()(key=f'barrier {next(_barriers)}', timeout_ms=2**31 - 1)
