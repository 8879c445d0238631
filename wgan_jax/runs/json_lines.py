"""A log of a run: a file of JSON objects, one line for each of some steps, whose content each checkpoint records."""

import json
import math
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wgan_jax.disk import read_bytes, replace_file

_SHOWN = 5  # ranges of steps in a message


class Log:
    """Appends to a log, after removing what a resumed run writes again."""

    def __init__(
        self, path: Path, is_right: Callable[[Any], bool], step: int, held: dict[str, Any] | None, *, may_be_missing: bool = False
    ) -> None:
        """Keeps the lines up to `step`. Warns if they are not those that the log held when a checkpoint was saved.

        Args:
          path: of the file.
          is_right: whether an object can be one of this log; may raise ValueError, TypeError or KeyError.
          step: of the last line that stays, if it is there.
          held: the result of `held` that the checkpoint recorded; None if it recorded none.
          may_be_missing: whether there is no file before the first line.
        """
        self._path = path
        lines = _lines(path, step, is_right)
        self._ranges, self._crc32 = [], 0
        for at, line in lines:
            self._count(at, line)
        if held is not None and (warning := _difference(lines, held)):
            print(f'Warning: {path} {warning}')
        if path.exists() or path.is_symlink() or not may_be_missing:  # a link is replaced by a file
            replace_file(path, ''.join(line + '\n' for _, line in lines).encode())
        self.last = json.loads(lines[-1][1]) if lines else None
        self._file = None

    def append(self, step: int, values: dict[str, Any], *, provisional: bool = False) -> None:
        """Writes a line, and passes it to the system.

        Args:
          step: rounds done.
          values: JSON.
          provisional: whether a run that continues from this step drops the line; then `held` leaves it out.
        """
        self.last = {'step': step, **values}
        line = json.dumps(self.last)
        if self._file is None:
            self._file = self._path.open('a')
        self._file.write(line + '\n')
        self._file.flush()
        if not provisional:
            self._count(step, line)

    def sync(self) -> None:
        """Waits until all lines are on the disk."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def held(self) -> dict[str, Any]:
        """What the log holds: the steps of its lines, as (first, last, interval), and a checksum of their text; JSON."""
        return {'steps': [[*one] for one in self._ranges], 'crc32': self._crc32}

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()

    def _count(self, step: int, line: str) -> None:
        _extend(self._ranges, step)
        self._crc32 = zlib.crc32(line.encode(), self._crc32)


def read(path: Path, is_right: Callable[[Any], bool]) -> list[dict[str, Any]]:
    """The objects of a log; a last line that was cut short is left out, and so are damaged ones, with a printed warning."""
    return [json.loads(line) for _, line in _lines(path, math.inf, is_right)]


def _lines(path: Path, last: float, is_right: Callable[[Any], bool]) -> list[tuple[int, str]]:
    """The intact lines of a log up to a step, each with its step."""
    lines, damaged = [], []
    content = read_bytes(path).decode('utf-8', 'replace') if path.exists() else ''
    all_lines = content.splitlines()
    for number, line in enumerate(all_lines, start=1):
        try:
            record = json.loads(line)
            if not isinstance(record['step'], int):
                raise TypeError
            if record['step'] <= last and is_right(record):
                lines.append((record['step'], line))
        except (ValueError, TypeError, KeyError, RecursionError):
            damaged.append(number)
    if damaged and damaged != [len(all_lines)]:
        print(f'Warning: {path} is damaged; ignored: {", ".join(f"line {number}" for number in damaged[:10])}.')
    return lines


def _difference(lines: list[tuple[int, str]], held: dict[str, Any]) -> str:
    """How the lines of a log differ from what it held, in words; '' if they do not."""
    steps = {step for first, last, interval in held['steps'] for step in range(first, last + 1, interval or 1)}
    newest = max(steps, default=-1)  # later lines were written after the checkpoint
    before = [(step, line) for step, line in lines if step <= newest]
    checksum = 0
    for _, line in before:
        checksum = zlib.crc32(line.encode(), checksum)
    if checksum == held['crc32']:
        return ''
    lost = sorted(steps - {step for step, _ in before})
    if not lost:
        return 'was changed since it was written; its lines stay as they are.'
    ranges: list[list[int]] = []
    for step in lost:
        _extend(ranges, step)
    named = [f'{first}' if first == last else f'{first} to {last}' for first, last, _ in ranges[:_SHOWN]]
    more = ' and others' if len(ranges) > _SHOWN else ''
    return f'has lost {len(lost)} of {len(steps)} lines, those of the steps {", ".join(named)}{more}. The other lines stay.'


def _extend(ranges: list[list[int]], step: int) -> None:
    """Adds a step to steps that are kept as [first, last, interval], which is short if the interval seldom changes."""
    last = ranges[-1] if ranges else None
    if last and last[0] == last[1] < step:
        last[1:] = step, step - last[0]
    elif last and last[2] and step == last[1] + last[2]:
        last[1] = step
    else:
        ranges.append([step, step, 0])
