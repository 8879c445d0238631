"""The Python file in which a user registers networks, losses and the like (extend.py): executed, and kept with its runs.

A run keeps a copy, code.py, which is executed when the run is opened. Runs may come from strangers, so only files that this user
has trained with here, or has allowed, are executed: their SHA-256 are the names of empty files in a directory of the user's own.
"""

import hashlib
import importlib.abc
import importlib.util
import sys
import traceback
from pathlib import Path
from typing import Any, NamedTuple

from wgan_jax.data.images import printable
from wgan_jax.devices.compiling import private_directory
from wgan_jax.disk import read_bytes, replace_file
from wgan_jax.errors import UserError
from wgan_jax.runs import config_files, extend
from wgan_jax.runs.files import expand, reason

FILE = 'code.py'
_MAX_BYTES = 2**20
_executed: dict[str, dict[tuple[str, str], Any]] = {}  # SHA-256 of a file: what it has registered


class Code(NamedTuple):
    """A Python file."""

    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        """Identifies the content."""
        return hashlib.sha256(self.content).hexdigest()


class _Loader(importlib.abc.SourceLoader):
    """Loads a module from bytes that were read before, so that what is executed is what was checked."""

    def __init__(self, code: Code) -> None:
        self._code = code

    def get_filename(self, fullname: str) -> str:
        return str(self._code.path)

    def get_data(self, path: str) -> bytes:
        return self._code.content


def of_config(path: str | None) -> Code | None:
    """Executes the file of config.code, which is the user's own command, and returns it; None for None.

    Raises:
      UserError: it cannot be read, or its code fails.
    """
    if not path:
        return None
    code = _read(expand(path, 'config.code'), 'set config.code to the path of your Python file')
    _execute(code)
    _allow(code)
    return code


def of_run(run_dir: Path, *, trusted: bool) -> Code:
    """Executes the copy in a run's directory, if that is allowed, and returns it.

    Args:
      run_dir: the run's directory.
      trusted: whether the user allows it, whoever wrote it.

    Raises:
      UserError: it cannot be read, it is neither allowed nor known, or its code fails.
    """
    code = _read(run_dir / FILE, 'copy it from where the run was trained')
    if trusted:
        _allow(code)
    else:
        allowed = _allowed(code)
        if allowed is None or not allowed.exists():
            raise UserError(
                f'This run brings code of its own, {code.path}, which has not run here before: read it as you would any program, '
                'and give --trust_code to run it.'
            )
    _execute(code)
    return code


def keep(code: Code | None, run_dir: Path) -> None:
    """Copies the file into the run's directory; says so if the run had another one."""
    if code is None:
        return
    kept = run_dir / FILE
    if kept.exists() and read_bytes(kept, _MAX_BYTES) != code.content:
        print(f'Warning: {code.path} has changed since this run started; it continues with the file as it is now.')
    replace_file(kept, code.content)


def _read(path: Path, remedy: str) -> Code:
    try:
        return Code(path, read_bytes(path, _MAX_BYTES))
    except OSError as error:
        raise UserError(f'The code of this run, {printable(path)}, cannot be read ({reason(error)}): {remedy}.') from error


def _execute(code: Code) -> None:
    """Registers what the file registers; it is executed once in a process, however many runs use it."""
    if code.sha256 in _executed:
        for (kind, name), thing in _executed[code.sha256].items():
            extend.register(kind, name, thing)
        return
    config_files.make_importable()  # it may be a config file
    before = dict(extend.OWN)
    name = f'wgan_jax_own_code_{code.sha256[:16]}'
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, _Loader(code), origin=str(code.path)))
    sys.modules[name] = module  # dataclasses look for their module there
    try:
        module.__loader__.exec_module(module)
    except UserError as error:
        raise UserError(f'{code.path}: {error}') from error
    except Exception as error:  # whatever the user's code raises
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(code.path)]
        place = f', line {lines[-1]}' if lines else ''
        raise UserError(f'{code.path}{place} fails ({type(error).__name__}: {error}): correct it.') from error
    _executed[code.sha256] = {key: thing for key, thing in extend.OWN.items() if before.get(key) is not thing}


def _allow(code: Code) -> None:
    if (allowed := _allowed(code)) is None:
        return
    try:
        allowed.parent.mkdir(exist_ok=True)
        allowed.touch()
    except OSError as error:
        print(f'Warning: {allowed} cannot be created ({reason(error)}), so its runs can be opened with --trust_code only.')


def _allowed(code: Code) -> Path | None:
    """The file that exists if this code is allowed; None if there is no directory that the user alone can write to."""
    directory = private_directory('code of your own is not remembered')
    return None if directory is None else directory / 'own_code' / code.sha256
