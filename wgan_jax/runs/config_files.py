"""The files of configs/: found by their names, and importable as `configs`, in a checkout and in an installed package alike."""

import difflib
import importlib.util
import itertools
import os
import sys
import textwrap
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from wgan_jax.errors import UserError
from wgan_jax.runs.files import expand

_PACKAGE = Path(__file__).resolve().parents[1]
# A wheel holds configs/ inside the package (setup.py); a checkout, beside it. Inside comes first: in site-packages, a directory
# configs/ beside the package would be another project's.
DIRECTORY = (_PACKAGE if (_PACKAGE / 'configs').is_dir() else _PACKAGE.parent) / 'configs'


def make_importable() -> None:
    """Gives the name `configs` to the directory, for `from configs import default` in a config file.

    An installed package does not take that name from other projects; it has it in the process of a command only. A directory
    configs/ of the user's own continues it.
    """
    if str(DIRECTORY) not in getattr(sys.modules.get('configs'), '__path__', ()):
        spec = ModuleSpec('configs', None, is_package=True)
        spec.submodule_search_locations = [str(DIRECTORY), str(Path('configs').absolute())]
        sys.modules['configs'] = importlib.util.module_from_spec(spec)


def names(folder: str = '') -> list[str]:
    """The names that `find` knows."""
    return sorted(path.stem for path in Path(DIRECTORY, folder).glob('*.py'))


def find(value: str, kind: str = 'config', folder: str = '') -> str:
    """The path of a file by its path or its name, each with or without .py.

    Args:
      value: the user's path, relative to the current directory; or a name, with or without configs/ before it. After a colon may
        stand a string for get_config(), which is kept.
      kind: what the file is, for the message.
      folder: the folder of configs/ that holds the files of this kind.

    Raises:
      UserError: there is no such file.
    """
    given, colon, argument = value.partition(':')
    path = expand(given)
    inside = Path(*path.parts[1:]) if path.parts[:1] == ('configs',) else path
    places = [path]
    if '..' not in path.parts:
        places += [directory / inside for directory in (Path('configs'), DIRECTORY, DIRECTORY / folder)]
    for place in places:
        for file in (str(place), f'{place}.py'):
            if os.path.exists(file) and not os.path.isdir(file):  # a pipe is a file too; isfile would leave it out
                return f'{file}{colon}{argument}'
    known = names(folder)
    close = difflib.get_close_matches(path.name.removesuffix('.py').lower().replace('-', '_'), known, n=3)
    hint = f'did you mean {_choice(close)}?' if close else 'give the path of a file, or a name.'
    raise UserError(f'there is no {kind} {given!r}; {hint} The names are:\n{listed(folder)}')


def load(value: str) -> Any:
    """The config of a file, by its path or its name, as `find` finds it.

    Raises:
      UserError: there is no such file, or it has no get_config().
    """
    path, _, argument = find(value).partition(':')
    make_importable()
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, 'get_config'):
        raise UserError(f'{path} has no function get_config(); see {shown("digits_wgan_gp.py")} for an example.')
    config = module.get_config(*([argument] if argument else []))
    note_own_code(config, path)
    return config


def note_own_code(config: Any, path: str) -> None:
    """Sets config.code to the config file, if code of the user's own has registered something (extend.py)."""
    extend = sys.modules.get('wgan_jax.runs.extend')  # not imported here: it imports all of jax
    own = not Path(path).resolve().is_relative_to(DIRECTORY)
    if own and extend is not None and extend.OWN and config.code is None:
        config.code = path


def listed(folder: str = '') -> str:
    """The names as lines of a message, those that begin with the same word together."""
    families = [', '.join(family) for _, family in itertools.groupby(names(folder), lambda name: name.partition('_')[0])]
    return '\n'.join(textwrap.fill(line, 98, initial_indent='  ', subsequent_indent='  ') for line in families)


def shown(name: str) -> str:
    """The path of a file of configs/ in a message: short, if the user stands beside configs/."""
    path = DIRECTORY / name
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _choice(words: list[str]) -> str:
    *others, last = words
    return f'{", ".join(others)} or {last}' if others else last
