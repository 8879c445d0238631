"""Checkpoints: saved in the background by orbax, checked when read, the newest readable one wins.

orbax restores flipped bits without a word and names a broken step as the latest, so every array carries its own checksum here, as
does what is written beside them, and restoring walks back until a step reads right.
"""

import importlib.metadata
import json
import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from wgan_jax.errors import UserError

FORMAT = 1  # of what is saved; another one is refused
_PACKAGES = ('jax', 'flax', 'optax', 'numpy')  # what decides the bits
_UNFINISHED = '*.orbax-checkpoint-tmp'


class Restored(NamedTuple):
    """What a checkpoint holds."""

    step: int
    tree: Any  # of numpy arrays
    record: dict[str, Any]  # what was saved with them


class Checkpoints:
    """The checkpoints of one run, one directory per step; used by one process of the run alone."""

    def __init__(self, directory: Path, keep: int) -> None:
        """Opens `directory`, creating it if need be; `keep` is the number of newest steps to keep."""
        self._directory = directory.absolute()
        self._directory.mkdir(parents=True, exist_ok=True)
        me = jax.process_index()
        options = ocp.CheckpointManagerOptions(
            preservation_policy=ocp.checkpoint_managers.LatestN(keep),
            enable_async_checkpointing=True,
            create=False,  # orbax does not create what only some processes use
            multiprocessing_options=ocp.options.MultiprocessingOptions(primary_host=me, active_processes={me}),
        )
        self._manager = ocp.CheckpointManager(self._directory, options=options)

    def save(self, step: int, tree: Any, record: dict[str, Any]) -> None:
        """Copies `tree` to the host and writes it in the background; returns once it is copied.

        Args:
          step: newer than any saved before.
          tree: arrays.
          record: the config and whatever else tells what the arrays are; JSON.

        Raises:
          OSError: this one cannot be written, or the one before could not. The older ones are whole.
          RuntimeError: orbax declined, as it does for a step that is not newer than the last.
        """
        # A true copy: on CPU a fetched array can be a view of a buffer that the next call donates.
        arrays = {name: np.array(leaf, copy=True) for name, leaf in _named_leaves(tree).items()}
        meta = {
            'format': FORMAT,
            'record': record,
            'arrays': {name: [*_kind(array), _crc32(array)] for name, array in arrays.items()},
            'versions': versions(),
        }
        meta['crc32'] = _crc32_of_json(meta)
        args = ocp.args.Composite(state=ocp.args.StandardSave(arrays), meta=ocp.args.JsonSave(meta))
        with self._writing():
            saved = self._manager.save(step, args=args)
        if not saved:
            raise RuntimeError(f'orbax did not save step {step} in {self._directory}')

    def restore(self, template: Any, check_record: Callable[[dict[str, Any]], None]) -> Restored | None:
        """The newest step that reads right, or None when there is none at all.

        Broken steps newer than it are moved aside, to `broken_<step>`, with a printed line each.

        Args:
          template: a tree of arrays, or of their shapes, like the one that was saved.
          check_record: called with the saved record before the arrays are compared; raises to refuse it.

        Raises:
          UserError: there are checkpoints, and none can be read; or the newest that can be is of another format or of other
            networks. Nothing is moved then.
        """
        failures = []
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                meta = self._read_meta(step)
            except Exception as error:  # orbax raises plain Exception, and many others, for a damaged file
                failures.append((step, error))
                continue
            if meta['format'] != FORMAT:
                raise UserError(
                    f'Checkpoint {step} in {self._directory} has format {meta["format"]}, and this version reads format {FORMAT}: '
                    'continue with the version that wrote it, or give another --workdir.'
                )
            check_record(meta['record'])
            self._check_arrays(step, template, meta['arrays'])
            try:
                tree = self._restore_arrays(step, template, meta['arrays'])
            except Exception as error:
                failures.append((step, error))
                continue
            for broken, error in failures:
                self._set_aside(broken, error)
            if meta['versions'] != versions():
                print(f'Warning: the checkpoint is by {meta["versions"]}, and this is {versions()}: the last bits may differ.')
            return Restored(step, tree, meta['record'])
        if failures:
            reasons = '; '.join(f'step {step}: {_reason(error)}' for step, error in failures)
            raise UserError(
                f'No checkpoint in {self._directory} can be read ({reasons}). They are left as they are: put back a copy of one, '
                'or give another --workdir to start anew.'
            )
        return None

    def drop_stops(self, every: int) -> None:
        """Deletes the steps that are no multiples of `every`, at which the run was stopped: one never stopped does not have them.

        Where that would leave none, although there have been multiples, they stay.
        """
        steps = self._manager.all_steps()
        multiples = [step for step in steps if step % every == 0]
        if multiples or max(steps, default=0) < every:
            for step in set(steps) - set(multiples):
                self._manager.delete(step)

    def wait(self) -> None:
        """Returns when everything is on the disk; raises OSError if it cannot be put there."""
        with self._writing():
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits until everything is on the disk, and ends."""
        self.wait()
        self._manager.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Leaves nothing half-written where orbax fails; what the system said becomes an OSError again."""
        try:
            yield
        except Exception as error:  # tensorstore's are ValueErrors, with the system's number in the text
            for unfinished in self._directory.glob(_UNFINISHED):
                shutil.rmtree(unfinished, ignore_errors=True)
            if number := _system_error(error):
                raise OSError(number, os.strerror(number), str(self._directory)) from error
            raise

    def _read_meta(self, step: int) -> dict[str, Any]:
        try:
            meta = self._manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))['meta']
            whole = meta.pop('crc32') == _crc32_of_json(meta)
        except (ValueError, KeyError, AttributeError, TypeError):  # no JSON, or not what we wrote
            whole = False
        if not whole:
            raise ValueError('its metadata are damaged')
        return meta

    def _check_arrays(self, step: int, template: Any, saved: dict[str, list]) -> None:
        """Refuses arrays of other networks: they are not damaged."""
        before = {name: f'{kind} {shape}' for name, (kind, shape, _) in saved.items()}
        now = {name: '{} {}'.format(*_kind(leaf)) for name, leaf in _named_leaves(template).items()}
        differences = [
            f'{name}: {before.get(name)} -> {now.get(name)}' for name in sorted(before | now) if before.get(name) != now.get(name)
        ]
        if differences:
            more = f' and {len(differences) - 3} more' if len(differences) > 3 else ''
            raise UserError(
                f'Checkpoint {step} in {self._directory} is of other networks or optimizers ({"; ".join(differences[:3])}{more}): '
                'continue with the code that wrote it, or give another --workdir.'
            )

    def _restore_arrays(self, step: int, template: Any, saved: dict[str, list]) -> Any:
        wanted = {name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in _named_leaves(template).items()}
        restored = self._manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(wanted)))['state']
        for name, array in restored.items():
            if [*_kind(array), _crc32(array)] != saved[name]:
                raise ValueError(f'{name} is damaged')
        return jax.tree.unflatten(jax.tree.structure(template), [restored[name] for name in wanted])

    def _set_aside(self, step: int, error: Exception) -> None:
        target = self._directory / f'broken_{step}'
        shutil.rmtree(target, ignore_errors=True)  # an older damage of the same step
        (self._directory / str(step)).rename(target)
        self._manager.reload()
        print(f'Checkpoint {step} cannot be read ({_reason(error)}): moved to {target}.')


def versions() -> dict[str, str]:
    """Of the packages that decide the bits."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def _named_leaves(tree: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator='.'): leaf for path, leaf in leaves}


def _kind(leaf: Any) -> tuple[str, list[int]]:
    return np.dtype(leaf.dtype).name, list(leaf.shape)


def _crc32_of_json(value: Any) -> int:
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())


def _crc32(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1))


def _system_error(error: Exception) -> int | None:
    number = re.search(r"os_error_code='(\d+)'", str(error))
    return int(number[1]) if number else getattr(error, 'errno', None)


def _reason(error: Exception) -> str:
    if number := _system_error(error):
        return os.strerror(number)
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
