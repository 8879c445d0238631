"""The flags of the commands that train: parsed, with one sentence for every mistake in them or in the config file."""

import re
import reprlib
import sys
import textwrap
import traceback
from collections.abc import Callable
from pathlib import Path

from absl import app, flags
from ml_collections import ConfigDict, config_flags

from wgan_jax.errors import UserError
from wgan_jax.runs import config_files, key_names
from wgan_jax.runs.terminal import as_typed, keep_orbax_quiet, outlast_the_terminal

_KEY_FLAG = re.compile(r'--?(?:no)?config\.([^=]*)(?:=.*)?', re.DOTALL)
_NONE_FLAG = re.compile(r'--?config\.([\w.]+)=None')
_KINDS = {'int': 'a whole number', 'float': 'a number', 'bool': 'True or False'}


def define_place() -> Callable[[], tuple[str | None, int | None, int | None]]:
    """Defines the flags that say which process of a run this is; the result reads them, in the order of cluster.join."""
    holders = (
        flags.DEFINE_string('coordinator', None, 'HOST:PORT of the first process of a run of several; see docs/scaling.md.'),
        flags.DEFINE_integer('num_processes', None, 'Processes of the run; not needed on a cluster that JAX detects.'),
        flags.DEFINE_integer('process_id', None, 'Number of this process, from 0.'),
    )
    return lambda: tuple(holder.value for holder in holders)


def define_track() -> flags.FlagHolder:
    """Defines the flag for a tracker."""
    about = 'Also shows runs in this tracker, whose package must be installed; see docs/runs.md.'
    return flags.DEFINE_enum('track', None, ['wandb', 'mlflow', 'trackio'], about)


def run(main: Callable[[], None], config: flags.FlagHolder, get_default: Callable[[], ConfigDict], about: str) -> None:
    """Runs a command that trains: parses its command line, see parse(), and calls main."""

    def quietly(_: list[str]) -> None:
        if not flags.FLAGS['verbosity'].present:
            keep_orbax_quiet()
        main()

    outlast_the_terminal()
    app.run(quietly, flags_parser=lambda argv: parse(argv, config, get_default, about))


def parse(argv: list[str], config: flags.FlagHolder, get_default: Callable[[], ConfigDict], about: str = '') -> list[str]:
    """Parses the command line and loads the config; exits with one sentence if either is wrong, or after --help.

    The config is a path, or a name of configs/, after --config or as the only argument that is not a flag.

    Args:
      argv: the command line; sys.argv becomes the one that was understood.
      config: the flag of the config file.
      get_default: makes the config that has every key.
      about: what the program does, with examples, for --help.

    Returns:
      The command line without flags.
    """
    default = get_default()
    if {'-h', '-help', '--help'} & set(argv[1:]):
        print(_help(about))
        sys.exit(0)
    keys = [match[1] for argument in argv[1:] if (match := _KEY_FLAG.fullmatch(argument))]
    complaint = next(filter(None, (key_names.wrong_key(key, default) for key in keys)), None)
    try:
        sys.argv = argv = _config_first(argv)  # ml_collections looks there for the keys that are set
        if complaint and not _is_users_own(argv):
            sys.exit(f'Error: {complaint}')
        # ml_collections cannot parse None for a key that holds a number: such flags are removed, and set afterwards.
        unset = [match[1] for argument in argv if (match := _NONE_FLAG.fullmatch(argument))]
        rest = flags.FLAGS([argument for argument in argv if not _NONE_FLAG.fullmatch(argument)])
        if config.value is None and not flags.FLAGS['config'].present:
            sys.exit(f'Error: --config is missing; try --config=digits_wgan_gp. The configs are:\n{config_files.listed()}')
        _check_complete(config.value, default)  # the first access raises the errors of loading the file
        for name in unset:
            _unset(config.value, default, name)
        path, _, _ = config_flags.get_config_filename(flags.FLAGS['config']).partition(':')  # a string for get_config() may follow
        config_files.note_own_code(config.value, path)
    except UserError as error:
        sys.exit(f'Error: {error}')
    except OSError as error:
        sys.exit(f'Error: the config file cannot be loaded ({_last_line(error)}).')
    except (AttributeError, KeyError) as error:
        if "has no attribute 'get_config'" in str(error):
            example = config_files.shown('digits_wgan_gp.py')
            sys.exit(f'Error: the config file has no function get_config(); see {example} for an example.')
        if 'ml_collections' not in Path(traceback.extract_tb(error.__traceback__)[-1].filename).parts:
            sys.exit(f'Error: {_in_code(error, argv)}')
        sys.exit(f'Error: {key_names.unknown_key(str(error))}')
    except flags.IllegalFlagValueError as error:
        sys.exit(f'Error: {_wrong_value(error)}')
    except flags.UnrecognizedFlagError as error:
        sys.exit(f'Error: {key_names.unknown_flag(error.flagname, argv, default)}')
    except flags.Error as error:
        message = _last_line(error)
        sys.exit(f'Error: {message}{"" if message.endswith((".", "?")) else "."}')
    except (SyntaxError, NameError, TypeError, ValueError, ImportError) as error:  # in the code of a config file
        sys.exit(f'Error: {_in_code(error, argv)}')
    if len(rest) > 1:
        sys.exit(f'Error: {rest[1]!r} is not a flag; keys are set with --config.KEY=VALUE.')
    return rest


def _in_code(error: Exception, argv: list[str]) -> str:
    """An error of a config file's own code, and where it is: in the file, if that was executed, or else where it was raised."""
    path, frames = _config_path(argv), traceback.extract_tb(error.__traceback__)
    place = ([frame for frame in frames if Path(frame.filename).resolve() == path] or frames)[-1]
    where = '' if isinstance(error, SyntaxError) else f' at {place.filename}, line {place.lineno}'
    return f'the config file cannot be loaded ({type(error).__name__}{where}: {error}).'


def _config_first(argv: list[str]) -> list[str]:
    """The command line with --config=PATH before all else, where ml_collections wants it.

    Raises:
      UserError: there is no such config.
    """
    program, *arguments = argv
    given, others, words = [], [], iter(arguments)
    for word in words:
        name, equals, value = word.partition('=')
        if name not in ('--config', '-config'):
            others.append(word)
        elif equals or (value := next(words, None)) is not None:
            given.append(value)
        else:
            others.append(word)  # absl says that its value is missing
    if not given:
        for place, word in enumerate(others):
            if not word.startswith('-') and '=' not in word and not (place and _takes_value(others[place - 1])):
                given.append(others.pop(place))
                break
    return [program, *(f'--config={config_files.find(value)}' for value in given[-1:]), *others]


def _is_users_own(argv: list[str]) -> bool:
    """Whether the config file is the user's own, which may add keys for networks or optimizers of its own."""
    path = _config_path(argv)
    return path is not None and not path.is_relative_to(config_files.DIRECTORY)


def _config_path(argv: list[str]) -> Path | None:
    given = next((word.removeprefix('--config=').partition(':')[0] for word in argv[1:] if word.startswith('--config=')), None)
    return None if given is None else Path(given).resolve()


def _takes_value(word: str) -> bool:
    """Whether the next argument is the value of this one."""
    name = word.lstrip('-')
    return word.startswith('-') and '=' not in word and not (name in flags.FLAGS and flags.FLAGS[name].boolean)


def _help(about: str) -> str:
    """What the program does, its own flags, and the configs."""
    lines = [as_typed(about).strip(), '', 'Flags:']
    for module, own in flags.FLAGS.flags_by_module_dict().items():
        for flag in own if not module.startswith('absl') else ():
            value = '' if flag.boolean else '=N' if flag.flag_type() == 'int' else f'={flag.name.upper()}'
            text, *_ = flag.help.split(';\n')  # absl adds a line about repeated flags
            lines.append(_entry(f'--{flag.name}{value}', text))
    every = f'Sets a key of the config; {config_files.shown("default.py")} explains every key.'
    lines.append(_entry('--config.KEY=VALUE', every))
    return '\n'.join([*lines, '', 'Configs:', config_files.listed(), '', '--helpfull lists the flags of the libraries too.'])


def _entry(flag: str, text: str) -> str:
    return textwrap.fill(text, 100, initial_indent=f'  {flag:28}', subsequent_indent=' ' * 30, break_on_hyphens=False)


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
    """Sets a key to None, if that is its default, or that of the file that has added it."""
    section, _, key = name.rpartition('.')
    for part in filter(None, section.split('.')):
        config, default = config[part], default.get(part, ConfigDict())
    if (default[key] if key in default else config[key]) is not None:
        sys.exit(f'Error: config.{name} cannot be None.')
    config[key] = None


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].strip()
