"""The flags of train.py: parsed, with one sentence for every mistake in them or in the config file."""

import difflib
import re
import reprlib
import sys
import traceback
from collections.abc import Callable
from typing import Any

from absl import flags
from ml_collections import ConfigDict

_KEY_FLAG = re.compile(r'--?(?:no)?config\.([^=]*)(?:=.*)?', re.DOTALL)
_NONE_FLAG = re.compile(r'--?config\.([\w.]+)=None')
_KINDS = {'int': 'a whole number', 'float': 'a number', 'bool': 'True or False'}


def parse(argv: list[str], config: flags.FlagHolder, get_default: Callable[[], ConfigDict]) -> list[str]:
    """Parses the command line and loads the config; exits with one sentence if either is wrong.

    Args:
      argv: the command line.
      config: the flag of the config file.
      get_default: makes the config that has every key.

    Returns:
      The command line without flags.
    """
    default = get_default()
    for argument in argv[1:]:
        if match := _KEY_FLAG.fullmatch(argument):
            _check_key(match[1], default)
    # ml_collections cannot parse None for a key that holds a number: such flags are removed, and set afterwards.
    unset = [match[1] for argument in argv if (match := _NONE_FLAG.fullmatch(argument))]
    try:
        rest = flags.FLAGS([argument for argument in argv if not _NONE_FLAG.fullmatch(argument)])
        if config.value is None and not flags.FLAGS['config'].present:
            sys.exit('Error: --config is missing; try --config=configs/digits_wgan_gp.py.')
        _check_complete(config.value, default)  # the first access raises the errors of loading the file
        for name in unset:
            _unset(config.value, default, name)
    except OSError as error:
        sys.exit(f'Error: the config file cannot be loaded ({_last_line(error)}).')
    except (AttributeError, KeyError) as error:
        if "has no attribute 'get_config'" in str(error):
            sys.exit('Error: the config file has no function get_config(); see configs/digits_wgan_gp.py for an example.')
        sys.exit(f'Error: {_unknown_key(str(error))}')
    except flags.IllegalFlagValueError as error:
        sys.exit(f'Error: {_wrong_value(error)}')
    except flags.Error as error:
        message = _last_line(error)
        sys.exit(f'Error: {message}{"" if message.endswith((".", "?")) else "."}')
    except (SyntaxError, NameError, TypeError, ValueError, ImportError) as error:  # in the code of a config file
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = '' if isinstance(error, SyntaxError) else f' at {place.filename}, line {place.lineno}'
        sys.exit(f'Error: the config file cannot be loaded ({type(error).__name__}{where}: {error}).')
    if len(rest) > 1:
        sys.exit(f'Error: {rest[1]!r} is not a flag; keys are set with --config.KEY=VALUE.')
    return rest


def _check_key(name: str, config: Any) -> None:
    """Exits if there is no such key; the messages of ml_collections for most wrong names are unreadable."""
    for part in name.split('.'):
        if not isinstance(config, ConfigDict):
            sys.exit(f'Error: there is no key {name!r} in the config; configs/default.py lists every key.')
        if part not in config:
            part = part or name
            close = difflib.get_close_matches(part, config.keys(), n=1)
            hint = f'did you mean {close[0]!r}?' if close else 'configs/default.py lists every key.'
            sys.exit(f'Error: there is no key {part!r} in the config; {hint}')
        config = config[part]
    if isinstance(config, ConfigDict):
        sys.exit(f'Error: config.{name} is a section; set a key in it.')


def _check_complete(config: object, default: ConfigDict, section: str = 'config') -> None:
    """Exits if the config lacks a key, as it may if the file does not start from the default."""
    keys = config.keys() if hasattr(config, 'keys') else ()
    for name, value in default.items():
        if name not in keys:
            sys.exit(f'Error: the config file does not set {section}.{name}: start with config = default.get_config().')
        if isinstance(value, ConfigDict):
            _check_complete(config[name], value, f'{section}.{name}')


def _wrong_value(error: flags.IllegalFlagValueError) -> str:
    """Absl's message about a value of the wrong type, as one sentence."""
    match = re.match(r'flag --([\w.]+)=', str(error))
    kind = match and _KINDS.get(flags.FLAGS[match[1]].flag_type())
    if not kind:
        return _last_line(error)
    value = str(error).removeprefix(match[0]).removesuffix(f': {error.__context__}')
    return f'--{match[1]}={reprlib.repr(value)} must be {kind}.'


def _unset(config: ConfigDict, default: ConfigDict, name: str) -> None:
    """Sets a key to None, if that is its default."""
    section, _, key = name.rpartition('.')
    for part in filter(None, section.split('.')):
        config, default = config[part], default[part]
    if default[key] is not None:
        sys.exit(f'Error: config.{name} cannot be None.')
    config[key] = None


def _unknown_key(message: str) -> str:
    """The message of ml_collections about an unknown key, from a flag or a config file, as one sentence."""
    message = message.replace('\\', '')
    name = re.search(r'Attempting to lookup: ([\w.]+)', message) or re.search(r"""['"](\w+)['"]""", message)
    suggestion = re.search(r'Did you mean "(.+?)"', message)
    hint = f'did you mean {suggestion[1]!r}?' if suggestion else 'configs/default.py lists every key.'
    return f'there is no key {name[1]!r} in the config; {hint}' if name else message


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].strip()
