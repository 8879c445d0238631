"""Mistyped names of keys and flags: what there is instead."""

import difflib
import itertools
import re
from collections.abc import Iterator, Sequence

from absl import flags
from ml_collections import ConfigDict

from wgan_jax.runs import config_files

# Names that these keys have in other programs.
_ELSEWHERE = {
    'lr': 'learning_rate',
    'beta1': 'b1',
    'beta2': 'b2',
    'lambda_gp': 'gp_weight',
    'nz': 'latent_dim',
    'z_dim': 'latent_dim',
    'optimizer': 'optimizer.name',
}


# What other programs have a flag for.
_FLAGS_ELSEWHERE = {
    **dict.fromkeys(('epochs', 'n_epochs', 'num_epochs'), '--config.interval_unit=epochs --config.num_steps=N trains N epochs'),
    'resume': 'the same command again continues a run',
    'wandb': 'it is --track=wandb',
    'tensorboard': 'its events are always written, into tensorboard/ in the directory of the run',
}


def wrong_key(name: str, default: ConfigDict) -> str | None:
    """What is wrong with the name of a key, or None; the messages of ml_collections for most wrong names are unreadable."""
    section, config = '', default
    for part in name.split('.'):
        if not isinstance(config, ConfigDict) or part not in config:
            return f'there is no key {name!r} in the config; {_hint(name, section, part, default)}'
        section, config = f'{section}{part}.', config[part]
    return f'config.{name} is a section; set a key in it.' if isinstance(config, ConfigDict) else None


def unknown_key(message: str) -> str:
    """The message of ml_collections about an unknown key in a config file, as one sentence."""
    message = message.replace('\\', '')
    name = re.search(r'Attempting to lookup: ([\w.]+)', message) or re.search(r"""['"](\w+)['"]""", message)
    suggestion = re.search(r'Did you mean "(.+?)"', message)
    hint = f'did you mean {suggestion[1]!r}?' if suggestion else _every_key()
    return f'there is no key {name[1]!r} in the config; {hint}' if name else message


def unknown_flag(name: str, argv: Sequence[str], default: ConfigDict) -> str:
    """What is said about a flag that does not exist."""
    if name in _FLAGS_ELSEWHERE:
        return f'there is no flag --{name}: {_FLAGS_ELSEWHERE[name]}.'
    if keys := _ending(name, default):
        value = _value_of(name, argv) or 'VALUE'
        written = _listed([f'--config.{key}={value}' for key in keys], 'or')
        return f'--{name} is a key of the config: write {written}.'
    if close := difflib.get_close_matches(name, flags.FLAGS, n=1):
        return f'there is no flag --{name}; did you mean --{close[0]}?'
    if keys := _close(name, default):
        return f'there is no flag --{name}; did you mean {_listed([f"--config.{key}" for key in keys], "or")}?'
    return f'there is no flag --{name}; --help lists the flags.'


def _value_of(name: str, argv: Sequence[str]) -> str:
    """The value of a flag, '' if it has none."""
    for word, following in itertools.pairwise([*argv, '']):
        flag, equals, value = word.lstrip('-').partition('=')
        if word.startswith('-') and flag == name:
            return value if equals or following.startswith('-') else following
    return ''


def _hint(name: str, section: str, part: str, default: ConfigDict) -> str:
    """What a wrong key may have meant.

    Args:
      name: the key; `section` of it, with a dot at its end, exists, and `part`, which follows, does not.
      default: the config that has every key.
    """
    if part in _FLAGS_ELSEWHERE:
        return f'{_FLAGS_ELSEWHERE[part]}.'
    found = _ending(part, default)
    if not found:
        siblings = {key.removeprefix(section).partition('.')[0] for key in _keys(default) if key.startswith(section)}
        renamed = [section + close + name[len(section + part) :] for close in difflib.get_close_matches(part, siblings, n=1)]
        found = [new for new in renamed if any(f'{key}.'.startswith(f'{new}.') for key in _keys(default))]
    found = found or _ending(name.rpartition('.')[2], default) or _close(part, default)
    if not found:
        return _every_key()
    return f'did you mean {found[0]!r}?' if len(found) == 1 else f'there are {_listed(found, "and")}.'


def _ending(name: str, default: ConfigDict) -> list[str]:
    """The keys whose names end in this name, in words: learning_rate is a key of both optimizers."""
    name = name.replace('-', '_')
    name = _ELSEWHERE.get(name, name)
    ends = (f'.{name}', f'_{name}') if '.' in name else (f'.{name}',)  # optimizer.name is that of both optimizers
    return [key for key in _keys(default) if f'.{key}'.endswith(ends)] if name else []


def _close(name: str, default: ConfigDict) -> list[str]:
    """The keys whose last word is most like this name."""
    words = difflib.get_close_matches(
        name.rpartition('.')[2].replace('-', '_'), [key.rpartition('.')[2] for key in _keys(default)], n=1
    )
    return _ending(words[0], default) if words else []


def _keys(config: ConfigDict, section: str = '') -> Iterator[str]:
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            yield from _keys(value, f'{section}{name}.')
        else:
            yield section + name


def _listed(words: list[str], conjunction: str) -> str:
    *others, last = words
    return f'{", ".join(others)} {conjunction} {last}' if others else last


def _every_key() -> str:
    return f'{config_files.shown("default.py")} lists every key.'
