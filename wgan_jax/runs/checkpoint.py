"""Checkpoints: saved in the background by orbax, checked when read; the newest readable one is used.

orbax restores flipped bits without an error and lists a broken step as the latest. So every array, and the metadata beside the
arrays, has a checksum here, and restoring walks back until a step is intact.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from wgan_jax.algorithm.state import named_leaves
from wgan_jax.disk import check_tree
from wgan_jax.errors import UserError
from wgan_jax.runs import checkpoint_format
from wgan_jax.runs.files import reason, system_error, versions


class Score(NamedTuple):
    """The score of a checkpoint."""

    metric: str
    value: float  # lower is better


class Restored(NamedTuple):
    """The content of a checkpoint."""

    step: int
    tree: Any  # of numpy arrays
    record: dict[str, Any]  # what was saved with them
    versions: dict[str, str]  # of the packages that wrote it


class Checkpoints:
    """The checkpoints of one run, one directory per step; only process 0 uses them.

    A checkpoint is saved at an interval, or because the run stops. An uninterrupted run has only the first kind, and goes back to
    those when it diverges. So the newest `keep` of the first kind are kept; of the second kind, only the newest checkpoint of all.
    Of the checkpoints with a score, the best one up to each of those `keep` is kept too: a run that resumes from any of them has
    the best checkpoint up to that step.
    """

    def __init__(self, directory: Path, keep: int, metric: str | None = None) -> None:
        """Opens or creates a directory.

        Args:
          directory: for the checkpoints of this run only.
          keep: number of checkpoints to keep of those saved at intervals.
          metric: name of the score that decides which checkpoint is the best; scores of another name are ignored.
        """
        self._directory = directory.absolute()
        self._directory.mkdir(parents=True, exist_ok=True)
        check_tree(self._directory)  # orbax would wait for a pipe
        checkpoint_format.remove_unfinished(self._directory)  # of a process that was killed
        self._keep = keep
        me = jax.process_index()
        options = ocp.CheckpointManagerOptions(
            preservation_policy=self,
            # Otherwise, if a directory cannot be created, orbax's threads wait for it forever, and the process does not end.
            async_options=ocp.AsyncOptions(create_directories_asynchronously=False),
            create=False,  # orbax does not create a directory for some of the processes
            multiprocessing_options=ocp.options.MultiprocessingOptions(primary_host=me, active_processes={me}),
        )
        self._manager = ocp.CheckpointManager(self._directory, options=options)
        self._stops: set[int] = set()
        self._scores: dict[int, float] = {}
        for step in self._manager.all_steps():
            with suppress(Exception):  # restore reports what is damaged
                meta = checkpoint_format.read(self._manager, step)
                if meta.get('stop'):
                    self._stops.add(step)
                if (score := meta.get('score')) and score[0] == metric:
                    self._scores[step] = score[1]

    def __enter__(self) -> 'Checkpoints':
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        try:
            self.close()
        except OSError as second:
            if error is None:
                raise
            print(f'{second.filename} cannot be written either ({second.strerror}).')

    def save(self, step: int, tree: Any, record: dict[str, Any], *, stop: bool = False, score: Score | None = None) -> None:
        """Copies `tree` to the host and writes it in the background; returns after the copy.

        Args:
          step: newer than all saved ones.
          tree: arrays.
          record: the config, and what runs.resume compares besides it; JSON.
          stop: saved because the run stops.
          score: of this state, if it was measured.

        Raises:
          OSError: this checkpoint cannot be written, or the previous one could not. Older ones are intact.
          RuntimeError: orbax declined, as it does for a step that is not newer than the last.
        """
        # A true copy: on CPU a fetched array can be a view of a buffer that the next call donates.
        arrays = {name: np.array(leaf, copy=True) for name, leaf in named_leaves(tree).items()}
        meta = checkpoint_format.metadata_of(arrays, {'record': record, 'stop': stop, 'score': score})
        self._scores = {at: value for at, value in self._scores.items() if at not in self._stops}  # as if it had not stopped
        (self._stops.add if stop else self._stops.discard)(step)  # orbax asks at once which ones to keep
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
        """The newest intact checkpoint, or None if there is no checkpoint.

        Damaged ones that are newer are moved to `broken_<step>`, with a printed line each.

        Args:
          template: a tree of arrays, or of shapes, like the saved one.
          check_record: called with the saved record; raises to refuse it.
          before_stops: go back to the newest one that was saved at an interval, if there is one, and delete the later ones.

        Raises:
          UserError: no checkpoint can be read, or the newest readable one is of another format or of other networks. Nothing is
            moved then.
        """
        steps = sorted(self._manager.all_steps(), reverse=True)
        if before_stops:
            steps.sort(key=self._stops.__contains__)

        def template_of(record: dict[str, Any]) -> Any:
            check_record(record)
            return template

        restored, failures = newest_readable(self._manager, steps, template_of)
        if restored is None:
            if failures:
                reasons = '; '.join(f'step {step}: {reason(error)}' for step, error in failures.items())
                raise UserError(
                    f'No checkpoint in {self._directory} can be read ({reasons}). None was changed: restore one from a copy, '
                    'or give another --workdir to start a new run.'
                )
            return None
        for step, error in failures.items():
            self._set_aside(step, error)
        if before_stops:
            for later in [step for step in self._manager.all_steps() if step > restored.step]:
                self._manager.delete(later)
                self._scores.pop(later, None)
        if restored.versions != versions():
            print(f'Warning: the checkpoint was written by {restored.versions}, this is {versions()}: the last bits may differ.')
        return restored

    def check(self) -> None:
        """Raises OSError if the last save failed in the background; does not wait for one that is in progress."""
        if not self._manager.is_saving_in_progress():  # orbax's check_for_errors misses the errors of its last thread
            self.wait()

    def wait(self) -> None:
        """Waits until everything is on the disk; raises OSError if it cannot be written."""
        with self._writing():
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits until everything is on the disk, and closes; raises OSError if it cannot be written."""
        try:
            self.wait()
        finally:
            self._manager.close()

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """Which of its checkpoints orbax keeps; called by orbax."""
        steps = sorted(checkpoint.step for checkpoint in checkpoints)
        newest = [step for step in steps if step not in self._stops][-self._keep :]
        scored = [step for step in steps if step in self._scores]
        best = {checkpoint_format.lowest({s: self._scores[s] for s in scored if s <= step}, step) for step in newest}
        kept = {*newest, *best, *steps[-1:]}
        return [checkpoint.step in kept for checkpoint in checkpoints]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Removes what orbax leaves half-written when it fails, and turns its error back into the OSError behind it."""
        try:
            yield
        except Exception as error:  # tensorstore raises ValueError, with the errno in the text
            for _ in range(10):  # when one thread of tensorstore has failed, others go on, and create the directory again
                checkpoint_format.remove_unfinished(self._directory)
                time.sleep(0.05)
            if number := system_error(error):
                raise OSError(number, os.strerror(number), str(self._directory)) from error
            raise

    def _set_aside(self, step: int, error: Exception) -> None:
        target = self._directory / f'broken_{step}'
        shutil.rmtree(target, ignore_errors=True)  # from an earlier damage of the same step
        (self._directory / str(step)).rename(target)
        self._manager.reload()
        print(f'Checkpoint {step} cannot be read ({reason(error)}): moved to {target}.')


def newest_readable(
    manager: ocp.CheckpointManager, steps: Iterable[int], template_of: Callable[[dict[str, Any]], Any]
) -> tuple[Restored | None, dict[int, Exception]]:
    """Walks along `steps` to the first checkpoint that is intact.

    Args:
      manager: of the directory.
      steps: steps of checkpoints, the preferred ones first.
      template_of: called with the saved record; returns a tree of shapes like the saved one, or raises to refuse the checkpoint.

    Returns:
      The checkpoint, or None, and the errors of the unreadable ones before it, by step.

    Raises:
      UserError: an intact checkpoint is of another format, or of other networks.
    """
    failures: dict[int, Exception] = {}
    for step in steps:
        try:
            meta = checkpoint_format.read(manager, step)
        except Exception as error:  # orbax raises plain Exception, and many others, for a damaged file
            failures[step] = error
            continue
        refusal, template = None, None
        if meta['format'] != checkpoint_format.FORMAT:
            refusal = f'has format {meta["format"]}, and this version reads format {checkpoint_format.FORMAT}'
        else:
            template = template_of(meta['record'])
            if found := checkpoint_format.differences(meta, template):
                refusal = f'is of other networks or optimizers ({found})'
        if refusal:
            remedy = 'continue with the code that wrote it, or give another --workdir'
            raise UserError(f'Checkpoint {step} in {manager.directory} {refusal}: {remedy}.')
        try:
            tree = checkpoint_format.restore_arrays(manager, step, template, meta)
        except Exception as error:
            failures[step] = error
            continue
        return Restored(step, tree, meta['record'], meta['versions']), failures
    return None, failures
