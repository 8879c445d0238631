"""How a run was started: starts.jsonl has a line for each time that it started or continued. No result depends on them."""

import datetime
import functools
import json
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax

from wgan_jax.disk import replace_file
from wgan_jax.runs import json_lines
from wgan_jax.runs.files import versions

_STARTS = 'starts.jsonl'
_GIT_SECONDS = 10  # after which a run starts without knowing its commit: a network disk may be slow


def record_start(run_dir: Path, step: int) -> None:
    """Adds a line to starts.jsonl, which is replaced as a whole: a process that is killed leaves no half line.

    Args:
      run_dir: an existing directory.
      step: rounds done before.
    """
    lines = [json.dumps(line) for line in [*read_starts(run_dir), {'step': step, **this_process()}]]
    replace_file(run_dir / _STARTS, ''.join(line + '\n' for line in lines).encode())


def read_starts(run_dir: Path) -> list[dict[str, Any]]:
    """The starts of a run, the first one first; [] for a run from before they were recorded."""
    return json_lines.read(run_dir / _STARTS, lambda line: True)


def this_process() -> dict[str, Any]:
    """The date, the command, the code, the devices and the versions of this process; JSON."""
    return {
        'date': datetime.datetime.now().astimezone().isoformat(timespec='seconds'),
        'command': command(),
        **_commit(Path(__file__).parent),
        'devices': f'{jax.device_count()} x {jax.devices()[0].device_kind}',
        'processes': jax.process_count(),
        'system': f'{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores',
        'versions': {'python': platform.python_version(), **versions()},
    }


def command() -> str:
    """The command line of this process, as one would type it: without the directory of the interpreter or of wgan-train."""
    _, *arguments = sys.orig_argv
    program = Path(arguments[0]).name if arguments else ''
    return shlex.join([program, *arguments[1:]] if program.startswith('wgan-') else ['python', *arguments])


@functools.cache  # what runs is the code that was there when the process started
def _commit(directory: Path) -> dict[str, Any]:
    """`commit`, and whether tracked files have `changed` since, if this file is in a git checkout; {} otherwise."""
    try:
        _git(directory, 'ls-files', '--error-unmatch', Path(__file__).name)  # fails in an environment inside of another project
        commit = _git(directory, 'rev-parse', 'HEAD')
        return {'commit': commit, 'changed': bool(_git(directory, 'status', '--porcelain', '--untracked-files=no'))}
    except (OSError, subprocess.SubprocessError):  # no git, no checkout, no commit, or too slow
        return {}


def _git(directory: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith('GIT_')}  # of a hook of git
    done = subprocess.run(
        ['git', '--no-optional-locks', '-C', str(directory), *arguments],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=_GIT_SECONDS,
        env=environment,
        encoding='utf-8',
        errors='replace',
    )
    return done.stdout.strip()
