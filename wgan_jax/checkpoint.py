"""Checkpoints: saved in the background by orbax, checked when read, the newest readable one wins.

orbax restores flipped bits without a word and names a broken step as the latest, so every array carries its own checksum here
and restoring walks back until a step reads right.
"""

import importlib.metadata
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from wgan_jax.errors import UserError

Arrays = dict[str, np.ndarray]
_PACKAGES = ('jax', 'flax', 'optax', 'numpy')  # what decides the bits


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

    def save(self, step: int, tree: Any, config: dict[str, Any]) -> None:
        """Copies `tree` to the host and writes it in the background; returns once it is copied.

        Raises:
          RuntimeError: orbax declined, as it does for a step that is not newer than the last.
        """
        # A true copy: on CPU a fetched array can be a view of a buffer that the next call donates.
        arrays = {name: np.array(leaf, copy=True) for name, leaf in _named_leaves(tree).items()}
        meta = {
            'step': step,
            'config': config,
            'crc32': {name: _crc32(array) for name, array in arrays.items()},
            'versions': versions(),
        }
        args = ocp.args.Composite(state=ocp.args.StandardSave(arrays), meta=ocp.args.JsonSave(meta))
        if not self._manager.save(step, args=args):
            raise RuntimeError(f'orbax did not save step {step} in {self._directory}')

    def restore(self, template: Any, check_config: Callable[[dict[str, Any]], None]) -> tuple[int, Any] | None:
        """The newest step that reads right, or None when there is none at all.

        Broken steps newer than it are moved aside, to `broken_<step>`, with a printed line each.

        Args:
          template: a tree of arrays, or of their shapes, like the one that was saved.
          check_config: called with the saved config before the arrays are compared; raises to refuse it.

        Returns:
          (step, tree of numpy arrays).

        Raises:
          UserError: there are checkpoints, and none can be read.
        """
        failures = []
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                meta = self._manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))['meta']
                config = meta['config']
            except Exception as error:  # orbax raises plain Exception, and many others, for a damaged file
                failures.append((step, error))
                continue
            check_config(config)
            try:
                tree = self._restore_arrays(step, template, meta['crc32'])
            except Exception as error:
                failures.append((step, error))
                continue
            for broken, error in failures:
                self._set_aside(broken, error)
            if meta['versions'] != versions():
                print(f'Warning: the checkpoint is by {meta["versions"]}, and this is {versions()}: the last bits may differ.')
            return step, tree
        if failures:
            reasons = '; '.join(f'step {step}: {_first_line(error)}' for step, error in failures)
            raise UserError(f'No checkpoint in {self._directory} can be read ({reasons}); give another --workdir to start anew.')
        return None

    def wait(self) -> None:
        """Returns when everything is on the disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits until everything is on the disk, and ends."""
        self.wait()
        self._manager.close()

    def _restore_arrays(self, step: int, template: Any, crc32: dict[str, int]) -> Any:
        wanted = {name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in _named_leaves(template).items()}
        restored = self._manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(wanted)))['state']
        for name, array in restored.items():
            if array.shape != wanted[name].shape or _crc32(array) != crc32[name]:
                raise ValueError(f'{name} is damaged')
        return jax.tree.unflatten(jax.tree.structure(template), [restored[name] for name in wanted])

    def _set_aside(self, step: int, error: Exception) -> None:
        target = self._directory / f'broken_{step}'
        shutil.rmtree(target, ignore_errors=True)  # an older damage of the same step
        (self._directory / str(step)).rename(target)
        self._manager.reload()
        print(f'Checkpoint {step} cannot be read ({_first_line(error)}): moved to {target}.')


def versions() -> dict[str, str]:
    """Of the packages that decide the bits."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def _named_leaves(tree: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator='.'): leaf for path, leaf in leaves}


def _crc32(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
