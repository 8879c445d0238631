"""Checkpoints: saved in the background by orbax, checked when read, the newest readable one wins.

orbax restores flipped bits without a word and names a broken step as the latest, so every array carries its own checksum here, as
does what is written beside them, and restoring walks back until a step reads right.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from wgan_jax.algorithm import state
from wgan_jax.errors import UserError
from wgan_jax.runs import checkpoint_format, files

_UNFINISHED = '*.orbax-checkpoint-tmp'


class Score(NamedTuple):
    """What a checkpoint is kept for."""

    metric: str
    value: float  # the less the better


class Restored(NamedTuple):
    """What a checkpoint holds."""

    step: int
    tree: Any  # of numpy arrays
    record: dict[str, Any]  # what was saved with them


class Checkpoints:
    """The checkpoints of one run, one directory per step; used by one process of the run alone.

    Some are saved at intervals, others because the run stops there. A run that was never stopped has only the former, to which it
    goes back when it diverges. So the newest few of those are kept whatever happens, and of the others the one that is the newest
    of all. Of those with a score, the best up to each of the newest few is kept as well: wherever the run goes on from, the best
    one until there is at hand.
    """

    def __init__(self, directory: Path, keep: int, metric: str | None = None) -> None:
        """Opens `directory`, creating it if need be.

        Args:
          directory: of the checkpoints of this run alone.
          keep: number of those saved at intervals to keep.
          metric: the scores that count; those of another, which the run had before, do not.
        """
        self._directory = directory.absolute()
        self._directory.mkdir(parents=True, exist_ok=True)
        self._keep = keep
        me = jax.process_index()
        options = ocp.CheckpointManagerOptions(
            preservation_policy=_Policy(self._kept),
            enable_async_checkpointing=True,
            create=False,  # orbax does not create what only some processes use
            multiprocessing_options=ocp.options.MultiprocessingOptions(primary_host=me, active_processes={me}),
        )
        self._manager = ocp.CheckpointManager(self._directory, options=options)
        self._metric = metric
        self._stops: set[int] = set()
        self._scores: dict[int, float] = {}
        for step in self._manager.all_steps():
            self._note(step)

    def __enter__(self) -> 'Checkpoints':
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            self.close()
        except OSError as second:
            if error is None:
                raise
            print(f'Besides, {second.filename} cannot be written ({second.strerror}).')  # the first failure says more

    def save(self, step: int, tree: Any, record: dict[str, Any], *, stop: bool = False, score: Score | None = None) -> None:
        """Copies `tree` to the host and writes it in the background; returns once it is copied.

        Args:
          step: newer than any saved before.
          tree: arrays.
          record: the config and whatever else tells what the arrays are; JSON.
          stop: whether it is saved only because the run stops here.
          score: how good it is, if that was measured.

        Raises:
          OSError: this one cannot be written, or the one before could not. The older ones are whole.
          RuntimeError: orbax declined, as it does for a step that is not newer than the last.
        """
        # A true copy: on CPU a fetched array can be a view of a buffer that the next call donates.
        arrays = {name: np.array(leaf, copy=True) for name, leaf in state.named_leaves(tree).items()}
        meta = checkpoint_format.of(arrays, {'record': record, 'stop': stop, 'score': score})
        (self._stops.add if stop else self._stops.discard)(step)  # before it is decided which ones to keep
        if score is not None:
            self._scores[step] = score.value
        args = ocp.args.Composite(state=ocp.args.StandardSave(arrays), meta=ocp.args.JsonSave(meta))
        with self._writing():
            saved = self._manager.save(step, args=args)
        if not saved:
            raise RuntimeError(f'orbax did not save step {step} in {self._directory}')

    def restore(
        self, template: Any, check_record: Callable[[dict[str, Any]], None], *, before_stops: bool = False
    ) -> Restored | None:
        """The newest step that reads right, or None when there is none at all.

        Broken ones that were tried before it are moved aside, to `broken_<step>`, with a printed line each.

        Args:
          template: a tree of arrays, or of their shapes, like the one that was saved.
          check_record: called with the saved record before the arrays are compared; raises to refuse it.
          before_stops: go back to the newest that was saved at an interval, if there is one, and delete later ones.

        Raises:
          UserError: there are checkpoints, and none can be read; or the newest that can be is of another format or of other
            networks. Nothing is moved then.
        """
        failures = []
        steps = sorted(self._manager.all_steps(), reverse=True)
        if before_stops:
            steps.sort(key=self._stops.__contains__)
        for step in steps:
            try:
                meta = checkpoint_format.read(self._manager, step)
            except Exception as error:  # orbax raises plain Exception, and many others, for a damaged file
                failures.append((step, error))
                continue
            if meta['format'] != checkpoint_format.FORMAT:
                raise UserError(
                    f'Checkpoint {step} in {self._directory} has format {meta["format"]}, and this version reads format '
                    f'{checkpoint_format.FORMAT}: continue with the version that wrote it, or give another --workdir.'
                )
            check_record(meta['record'])
            if differences := checkpoint_format.differences(meta, template):
                raise UserError(
                    f'Checkpoint {step} in {self._directory} is of other networks or optimizers ({differences}): continue with the '
                    'code that wrote it, or give another --workdir.'
                )
            try:
                tree = checkpoint_format.restore_arrays(self._manager, step, template, meta)
            except Exception as error:
                failures.append((step, error))
                continue
            for broken, error in failures:
                self._set_aside(broken, error)
            if before_stops:
                for later in [other for other in self._manager.all_steps() if other > step]:
                    self._manager.delete(later)
                    self._scores.pop(later, None)
            if meta['versions'] != files.versions():
                here = files.versions()
                print(f'Warning: the checkpoint is by {meta["versions"]}, and this is {here}: the last bits may differ.')
            return Restored(step, tree, meta['record'])
        if failures:
            reasons = '; '.join(f'step {step}: {files.reason(error)}' for step, error in failures)
            raise UserError(
                f'No checkpoint in {self._directory} can be read ({reasons}). They are left as they are: put back a copy of one, '
                'or give another --workdir to start anew.'
            )
        return None

    def check(self) -> None:
        """Raises OSError if what was being written in the background could not be; waits for nothing."""
        if not self._manager.is_saving_in_progress():  # orbax's own check_for_errors does not see what its last thread has met
            self.wait()

    def wait(self) -> None:
        """Returns when everything is on the disk; raises OSError if it cannot be put there."""
        with self._writing():
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits until everything is on the disk, and ends; raises OSError if it cannot be put there."""
        try:
            self.wait()
        finally:
            self._manager.close()

    def _kept(self, steps: list[int]) -> set[int]:
        newest = [step for step in steps if step not in self._stops][-self._keep :]
        scored = [step for step in steps if step in self._scores]
        best = {min((s for s in scored if s <= step), key=self._scores.__getitem__, default=step) for step in newest}
        return {*newest, *best, *steps[-1:]}

    def _note(self, step: int) -> None:
        try:
            meta = checkpoint_format.read(self._manager, step)
        except Exception:  # restore tells of it
            return
        if meta.get('stop'):
            self._stops.add(step)
        if (score := meta.get('score')) and score[0] == self._metric:
            self._scores[step] = score[1]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Leaves nothing half-written where orbax fails; what the system said becomes an OSError again."""
        try:
            yield
        except Exception as error:  # tensorstore's are ValueErrors, with the system's number in the text
            for _ in range(10):  # when one thread of tensorstore has failed, others still write, and make the directory again
                for unfinished in self._directory.glob(_UNFINISHED):
                    shutil.rmtree(unfinished, ignore_errors=True)
                time.sleep(0.05)
            if number := files.system_error(error):
                raise OSError(number, os.strerror(number), str(self._directory)) from error
            raise

    def _set_aside(self, step: int, error: Exception) -> None:
        target = self._directory / f'broken_{step}'
        shutil.rmtree(target, ignore_errors=True)  # an older damage of the same step
        (self._directory / str(step)).rename(target)
        self._manager.reload()
        print(f'Checkpoint {step} cannot be read ({files.reason(error)}): moved to {target}.')


class _Policy:
    """What orbax asks which checkpoints to keep."""

    def __init__(self, kept: Callable[[list[int]], set[int]]) -> None:
        self._kept = kept

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        del context
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = self._kept(sorted(steps))
        return [step in kept for step in steps]
