"""The format of a checkpoint on disk: arrays, and metadata that say what they are, with checksums of both."""

import json
import math
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from wgan_jax.algorithm.state import named_leaves
from wgan_jax.runs.files import versions

FORMAT = 2  # other formats are refused
_SHOWN = 3  # differences in a message


def metadata_of(arrays: dict[str, np.ndarray], more: dict[str, Any]) -> dict[str, Any]:
    """The metadata of arrays, JSON, with further entries that are to be saved and protected by the checksum."""
    meta = {
        'format': FORMAT,
        'versions': versions(),
        'arrays': {name: [*_kind(array), _crc32(array)] for name, array in arrays.items()},
        **more,
    }
    return {**meta, 'crc32': _crc32_of_json(meta)}


def checked(meta: dict[str, Any]) -> dict[str, Any]:
    """The metadata without their checksum, if they are intact; only `format` if they are of format 0, which had no checksum.

    Raises:
      ValueError: they are damaged. Other exceptions are possible for content that is not metadata.
    """
    if isinstance(meta['crc32'], dict):  # format 0
        return {'format': 0}
    rest = {name: value for name, value in meta.items() if name != 'crc32'}
    if meta['crc32'] != _crc32_of_json(rest):
        raise ValueError('wrong checksum')
    return rest


def differences(meta: dict[str, Any], template: Any) -> str:
    """How the saved arrays differ in name, type or shape from a tree of arrays or shapes; '' if they do not."""
    before = {name: f'{kind} {shape}' for name, (kind, shape, _) in meta['arrays'].items()}
    now = {name: '{} {}'.format(*_kind(leaf)) for name, leaf in named_leaves(template).items()}
    found = [f'{name}: {before.get(name)} -> {now.get(name)}' for name in sorted(before | now) if before.get(name) != now.get(name)]
    more = f' and {len(found) - _SHOWN} more' if len(found) > _SHOWN else ''
    return '; '.join(found[:_SHOWN]) + more


def read(manager: ocp.CheckpointManager, step: int) -> dict[str, Any]:
    """The metadata of a checkpoint, see `checked`; raises any exception if they are damaged."""
    try:
        return checked(manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))['meta'])
    except (ValueError, KeyError, AttributeError, TypeError) as error:  # not JSON, or not written by this program
        raise ValueError('its metadata are damaged') from error


def restore_arrays(manager: ocp.CheckpointManager, step: int, template: Any, meta: dict[str, Any]) -> Any:
    """The arrays of a checkpoint in a tree like `template`; raises any exception if they are damaged."""
    wanted = {name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in named_leaves(template).items()}
    restored = manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(wanted)))['state']
    for name, array in restored.items():
        if [*_kind(array), _crc32(array)] != meta['arrays'][name]:
            raise ValueError(f'{name} is damaged')
    return jax.tree.unflatten(jax.tree.structure(template), [restored[name] for name in wanted])


def _kind(leaf: Any) -> tuple[str, list[int]]:
    return np.dtype(leaf.dtype).name, list(leaf.shape)


def _crc32_of_json(value: Any) -> int:
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())


def _crc32(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1))


def remove_unfinished(directory: Path) -> None:
    """Removes what orbax has left half-written among the checkpoints."""
    for unfinished in directory.glob('*.orbax-checkpoint-tmp'):
        shutil.rmtree(unfinished, ignore_errors=True)


def lowest(scores: Mapping[int, float], default: int) -> int:
    """The step with the lowest score; NaN is the highest one."""
    return min(scores, key=lambda step: (math.isnan(scores[step]), scores[step]), default=default)
