"""Trains a GAN, WGAN or WGAN-GP.

    python train.py --config=configs/digits_wgan_gp.py

This file only reads the flags. Everything else is in wgan_jax, where it can be imported and tested.
"""

import difflib
import os
import re
import reprlib
import sys
import traceback
from pathlib import Path

from absl import app, flags
from ml_collections import ConfigDict, config_flags

from configs.default import get_config as get_default_config
from wgan_jax.runs import terminal

_CONFIG = config_flags.DEFINE_config_file('config', None, 'A file of configs/; any key can be set: --config.num_steps=100.')
_WORKDIR = flags.DEFINE_string('workdir', None, 'Where the run is kept and continued; runs/<config name> if not given.')
_KEY_FLAG = re.compile(r'--?(?:no)?config\.([^=]*)(?:=.*)?', re.DOTALL)
_NONE_FLAG = re.compile(r'--?config\.([\w.]+)=None')
_KINDS = {'int': 'a whole number', 'float': 'a number', 'bool': 'True or False'}
_COORDINATOR = flags.DEFINE_string(
    'coordinator', None, 'Of a run of several processes: HOST:PORT of the first one; see docs/scaling.md.'
)
_NUM_PROCESSES = flags.DEFINE_integer('num_processes', None, 'How many they are; on a cluster that JAX knows not needed.')
_PROCESS_ID = flags.DEFINE_integer('process_id', None, 'Which one this is, from 0.')
_DRY_RUN = flags.DEFINE_bool('dry_run', False, 'Print the resolved config, parameters and memory, and exit.')


def parse_flags(argv: list[str]) -> list[str]:
    """Parses the command line and loads the config; what is wrong with either is told in one sentence."""
    for argument in argv[1:]:
        if match := _KEY_FLAG.fullmatch(argument):
            _check_key(match[1])
    # ml_collections cannot read None for a key that holds a number: such flags are taken out and set afterwards.
    unset = [match[1] for argument in argv if (match := _NONE_FLAG.fullmatch(argument))]
    try:
        rest = flags.FLAGS([argument for argument in argv if not _NONE_FLAG.fullmatch(argument)])
        if _CONFIG.value is None and not flags.FLAGS['config'].present:
            sys.exit('Error: --config is missing; try --config=configs/digits_wgan_gp.py.')
        _check_complete(_CONFIG.value, get_default_config())  # a file that could not be loaded says so at the first touch
        for name in unset:
            _unset(_CONFIG.value, name)
    except OSError as error:
        sys.exit(f'Error: the config file cannot be loaded ({_last_line(error)}).')
    except (AttributeError, KeyError) as error:
        if "has no attribute 'get_config'" in str(error):
            sys.exit('Error: the config file has no function get_config(); configs/digits_wgan_gp.py shows what it must be.')
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


def main(argv: list[str]) -> None:
    """Runs what the flags say."""
    del argv
    terminal.outlast_the_terminal()
    if not flags.FLAGS['verbosity'].present:
        terminal.keep_orbax_quiet()
    import jax  # slow to import, as what follows: a mistyped flag is answered before

    from wgan_jax.devices import cluster, compiling, processes
    from wgan_jax.errors import LocalError, UserError
    from wgan_jax.training import dry_run, trainer

    workdir = _WORKDIR.value or str(Path('runs', Path(config_flags.get_config_filename(flags.FLAGS['config'])).stem))
    several = False
    try:
        if not _DRY_RUN.value:
            cluster.join(_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
            several = jax.process_count() > 1
        if not several:  # JAX would have several processes share one store, on a disk that all of them see
            compiling.use_compilation_cache()
        if _DRY_RUN.value:
            dry_run.dry_run(_CONFIG.value)
            return
        if not processes.is_first():
            sys.stdout = open(os.devnull, 'w')  # noqa: SIM115 - until the end: one process speaks for all
        stopped_by = trainer.train(_CONFIG.value, workdir)
        if stopped_by is not None:
            sys.exit(128 + stopped_by)  # what a shell makes of a signal: 130 after Ctrl-C, 143 after SIGTERM
    except UserError as error:
        if several and isinstance(error, LocalError):
            cluster.exit_at_once(f'Error: {error}', 1)
        sys.exit(f'Error: {error}')
    except Exception as error:
        if not several:
            raise
        cluster.end(error)
    except KeyboardInterrupt:
        if several:
            cluster.exit_at_once('Interrupted; what was saved before is whole.', 130)
        print('Interrupted; what was saved before is whole.')
        sys.exit(130)


def _check_key(name: str) -> None:
    """Ends the program if there is no such key: what ml_collections says of most wrong names no one can read."""
    config = get_default_config()
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
    """Ends the program if what a config file gave lacks a key, as it may where it does not begin with the default."""
    keys = config.keys() if hasattr(config, 'keys') else ()
    for name, value in default.items():
        if name not in keys:
            sys.exit(f'Error: the config file gives no {section}.{name}: let it begin with config = default.get_config().')
        if isinstance(value, ConfigDict):
            _check_complete(config[name], value, f'{section}.{name}')


def _wrong_value(error: flags.IllegalFlagValueError) -> str:
    """Absl's message about a value that its flag cannot read, as one sentence."""
    match = re.match(r'flag --([\w.]+)=', str(error))
    kind = match and _KINDS.get(flags.FLAGS[match[1]].flag_type())
    if not kind:
        return _last_line(error)
    value = str(error).removeprefix(match[0]).removesuffix(f': {error.__context__}')
    return f'--{match[1]}={reprlib.repr(value)} must be {kind}.'


def _unset(config: ConfigDict, name: str) -> None:
    """Sets a key to None, if None is one of its values."""
    section, _, key = name.rpartition('.')
    default = get_default_config()
    for part in filter(None, section.split('.')):
        config, default = config[part], default[part]
    if default[key] is not None:
        sys.exit(f'Error: config.{name} cannot be None.')
    config[key] = None


def _unknown_key(message: str) -> str:
    """ml_collections' message about a key that does not exist, from a flag or a config file, as one sentence."""
    message = message.replace('\\', '')
    name = re.search(r'Attempting to lookup: ([\w.]+)', message) or re.search(r"""['"](\w+)['"]""", message)
    suggestion = re.search(r'Did you mean "(.+?)"', message)
    hint = f'did you mean {suggestion[1]!r}?' if suggestion else 'configs/default.py lists every key.'
    return f'there is no key {name[1]!r} in the config; {hint}' if name else message


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].strip()


if __name__ == '__main__':
    app.run(main, flags_parser=parse_flags)
