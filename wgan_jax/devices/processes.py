"""What the processes of a run agree on.

All of them compute the same; process 0 alone speaks, and alone touches the run's directory.
"""

import itertools
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from wgan_jax.errors import LocalError, UserError

_Result = TypeVar('_Result')
_meetings = itertools.count()


def is_first() -> bool:
    """Whether this is process 0, the one that speaks and writes."""
    return jax.process_index() == 0


def greatest(value: int) -> int:
    """The greatest of what the processes say, once each has said something."""
    return value if jax.process_count() == 1 else int(multihost_utils.process_allgather(np.int32(value)).max())


def from_first(tree: Any) -> Any:
    """What process 0 has, in every process; arrays of the same shapes everywhere."""
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
      LocalError: what was raised inside; at once, for the others may be elsewhere.
      UserError: what was raised inside, or that another process could not go on.
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
        raise failure or UserError(f'Process {failed - 1} of this run could not go on: see what it says.')


def first_before_others(action: Callable[[], _Result]) -> _Result:
    """Has process 0 do something, then the others: they find what it has made, if they see the same disk.

    It may take hours.
    """
    for mine in (is_first(), not is_first()) if jax.process_count() > 1 else (True,):
        with all_or_none():
            try:
                if mine:
                    result = action()
            finally:
                _meet()
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


def _meet() -> None:
    """Waits for all, as long as it takes: a collective might not, and would keep devices busy."""
    from orbax.checkpoint import multihost

    if jax.process_count() > 1:
        multihost.get_barrier_sync_fn()(key=f'meeting {next(_meetings)}', timeout_ms=2**31 - 1)
