"""Runs train.py and kills it just before an operation on a file; benchmarks/torture.py starts it.

    python benchmarks/killed.py KIND NUMBER DIRECTORY train.py --config=...

The last line of standard error says before what it was killed, or how many operations of each kind it did.
"""

import json
import os
import runpy
import signal
import sys
from collections import Counter
from typing import Any

import measuring  # noqa: F401 - puts the root of the repository on the path

from wgan_jax.runs.json_lines import Log

_EVENTS = ('open', 'os.rename', 'os.remove', 'os.mkdir', 'os.rmdir', 'os.truncate')


def child(kind: str, number: int, directory: str, command: list[str]) -> None:
    """Runs train.py and counts its operations on files in `directory`; kills itself before one of them."""
    counts: Counter = Counter()

    def is_due(operation: str) -> bool:
        counts[operation] += 1
        return operation == kind and counts[operation] == number

    def die() -> None:
        os.write(2, f'before {kind}'.encode())
        os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple) -> None:
        if event not in _EVENTS or not str(arguments[0]).startswith(directory):
            return
        if event == 'open' and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        if is_due(kind_of(str(arguments[0]).removeprefix(directory))):
            die()

    def append(self: Log, step: int, *arguments: Any, **options: Any) -> None:
        if is_due(f'half a line of {self._path.stem}'):
            with self._path.open('a') as file:
                file.write(f'{{"step": {step}, "critic_l')
            die()
        write_line(self, step, *arguments, **options)

    write_line, Log.append = Log.append, append
    sys.addaudithook(hook)
    sys.argv = command
    try:
        runpy.run_path(command[0], run_name='__main__')
    finally:
        os.write(2, f'did {json.dumps(counts)}'.encode())


def kind_of(path: str) -> str:
    """The kind of a file that a run writes."""
    parts = path.strip('/').split('/')
    kinds = {'data': 'data set', 'cache': 'compiled programs', 'checkpoints': 'checkpoint', 'samples': 'picture'}
    kinds |= {'evaluations.jsonl': 'scores', 'report.html': 'report', '.report.html.tmp': 'report'}
    return kinds.get(parts[0]) or kinds.get(parts[1] if len(parts) > 1 else '', 'log and config')


if __name__ == '__main__':
    child(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:])
