"""What a checkpoint holds beside its arrays: what they are, and checksums of them and of itself; and reading both."""

import json
import zlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from wgan_jax.algorithm.state import named_leaves
from wgan_jax.runs.files import versions

FORMAT = 1  # of a checkpoint; another one is refused
_NAMED = 3  # differences that are named


def of(arrays: dict[str, np.ndarray], more: dict[str, Any]) -> dict[str, Any]:
    """The metadata of arrays, with whatever else is to be saved and checked; JSON."""
    meta = {
        'format': FORMAT,
        'versions': versions(),
        'arrays': {name: [*_kind(array), _crc32(array)] for name, array in arrays.items()},
        **more,
    }
    return {**meta, 'crc32': _crc32_of_json(meta)}


def checked(meta: dict[str, Any]) -> dict[str, Any]:
    """The metadata, if they are as they were written; of another format, only that.

    Raises:
      ValueError: they are not. Any exception may come of what is no metadata at all.
    """
    if isinstance(meta['crc32'], dict):  # as it was before there was a format
        return {'format': 0}
    rest = {name: value for name, value in meta.items() if name != 'crc32'}
    if meta['crc32'] != _crc32_of_json(rest):
        raise ValueError('the checksum is another one')
    return rest


def differences(meta: dict[str, Any], template: Any) -> str:
    """Where the arrays are not those of a tree of arrays or shapes; '' if they are."""
    before = {name: f'{kind} {shape}' for name, (kind, shape, _) in meta['arrays'].items()}
    now = {name: '{} {}'.format(*_kind(leaf)) for name, leaf in named_leaves(template).items()}
    found = [f'{name}: {before.get(name)} -> {now.get(name)}' for name in sorted(before | now) if before.get(name) != now.get(name)]
    more = f' and {len(found) - _NAMED} more' if len(found) > _NAMED else ''
    return '; '.join(found[:_NAMED]) + more


def _damaged(meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> str | None:
    """The name of the first array that is not as it was written."""
    return next((name for name, array in arrays.items() if [*_kind(array), _crc32(array)] != meta['arrays'][name]), None)


def read(manager: ocp.CheckpointManager, step: int) -> dict[str, Any]:
    """The metadata of a checkpoint, as `checked` has it; raises any exception if they are damaged."""
    try:
        return checked(manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))['meta'])
    except (ValueError, KeyError, AttributeError, TypeError) as error:  # no JSON, or not what we wrote
        raise ValueError('its metadata are damaged') from error


def restore_arrays(manager: ocp.CheckpointManager, step: int, template: Any, meta: dict[str, Any]) -> Any:
    """The arrays of a checkpoint in a tree like `template`; raises any exception if they are damaged."""
    wanted = {name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in named_leaves(template).items()}
    restored = manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(wanted)))['state']
    if damaged := _damaged(meta, restored):
        raise ValueError(f'{damaged} is damaged')
    return jax.tree.unflatten(jax.tree.structure(template), [restored[name] for name in wanted])


def _kind(leaf: Any) -> tuple[str, list[int]]:
    return np.dtype(leaf.dtype).name, list(leaf.shape)


def _crc32_of_json(value: Any) -> int:
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())


def _crc32(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1))
