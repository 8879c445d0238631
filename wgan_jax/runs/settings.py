"""The settings of a sweep: a grid of given values, or random draws from a space."""

import functools
import importlib.util
import itertools
import math
import numbers
import operator
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from wgan_jax.errors import UserError
from wgan_jax.runs import key_names
from wgan_jax.runs.config import check_seed

Space = Mapping[str, tuple[Any, ...]]  # see `draw`
_TRUTH = {'true': True, 'false': False}


def grid(config: ConfigDict, options: Sequence[str], optional: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """All combinations of the values in options such as 'gp_weight=1,10', by names such as 'gp_weight=1'.

    Args:
      config: the config with these keys.
      options: KEY=VALUE,VALUE,... each.
      optional: keys that may be None; those that are None may be in any case.

    Raises:
      UserError: an option names no key, or a value has another type than the key.
    """
    axes: dict[str, list[Any]] = {}
    for option in options:
        key, equals, values = option.partition('=')
        if not equals or not values:
            raise UserError(f'--set={option} must be KEY=VALUE,VALUE,...: for example --set gp_weight=1,10.')
        if key in axes:
            raise UserError(f'--set names {key} twice: give all its values in one option.')
        axes[key] = [_parse(config, key, value, optional) for value in values.split(',')]
    settings: dict[str, dict[str, Any]] = {}
    for values in itertools.product(*axes.values()):
        setting = dict(zip(axes, values, strict=True))
        name = ','.join(f'{key}={_short(value)}' for key, value in setting.items())
        if name in settings:
            raise UserError(f'--set gives {name} twice: give each value once.')
        for key in setting:
            _refuse_dead(config, key, setting, f'--set {key}')
        settings[name] = setting
    return settings


def draw(config: ConfigDict, space: Space, count: int, seed: int, optional: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """Random settings, 'draw_0' and so on, the same for the same seed; the first ones do not depend on `count`.

    Args:
      config: the config with these keys.
      space: for a key, or for several that are joined by commas and get the same value, how to draw it: ('uniform', low, high),
        ('log_uniform', low, high) or ('choice', value, value, ...).
      count: number of settings.
      seed: of the draws.
      optional: as in `grid`.

    Raises:
      UserError: the space is not of this form, or the seed is none.
    """
    check_seed(seed)
    drawn = [key for keys in space for key in keys.split(',')]
    for key in drawn:
        if f'{key.rpartition(".")[0]}.name' not in drawn:  # of drawn optimizers, some have the key
            _refuse_dead(config, key, {}, f'The space of {key}')
    settings = {}
    for number in range(count):
        generator = np.random.Generator(np.random.Philox(key=[seed, number]))
        setting: dict[str, Any] = {}
        for keys, (kind, *bounds) in space.items():
            value = _draw(generator, keys, kind, bounds)
            for key in keys.split(','):
                setting[key] = _checked(config, key, value, optional)
        settings[f'draw_{number}'] = setting
    return settings


def read_space(path: str, config: ConfigDict) -> Space:
    """The result of get_space(config) in a Python file.

    Raises:
      UserError: the file cannot be loaded.
    """
    try:
        spec = importlib.util.spec_from_file_location('space', Path(path))
        module: ModuleType = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        space = module.get_space(config)
        return {str(keys): (str(way[0]), *way[1:]) for keys, way in space.items()}
    except Exception as error:  # whatever the code of the file raises
        raise UserError(
            f'--space={path} cannot be loaded ({type(error).__name__}: {error}); see configs/sweeps/lucic.py.'
        ) from error


def _refuse_dead(config: ConfigDict, key: str, setting: Mapping[str, Any], what: str) -> None:
    section, name = _section(config, key)
    if name in ('b1', 'b2') and setting.get(f'{key.rpartition(".")[0]}.name', section.name) == 'rmsprop':
        raise UserError(f'{what} changes nothing: rmsprop has no b1, and its decay is always 0.99. Leave it out.')


def _short(value: Any) -> str:
    """A value as part of the name of a directory."""
    return f'{value:.6g}' if isinstance(value, float) else str(value).replace('/', '_')


def _draw(generator: np.random.Generator, keys: str, kind: str, bounds: Sequence[Any]) -> Any:
    if kind == 'choice' and bounds:
        return bounds[int(generator.integers(len(bounds)))]
    finite = all(isinstance(bound, numbers.Real) and math.isfinite(bound) for bound in bounds)
    if kind in ('uniform', 'log_uniform') and finite and len(bounds) == 2 and bounds[0] < bounds[1]:
        low, high = bounds
        if kind == 'uniform':
            return float(generator.uniform(low, high))
        if low > 0:
            return float(np.exp(generator.uniform(np.log(low), np.log(high))))
    raise UserError(
        f'The space of {keys} is {(kind, *bounds)}: give (uniform, low, high), (log_uniform, low, high) with low above 0, or '
        '(choice, value, ...).'
    )


def _section(config: ConfigDict, key: str) -> tuple[ConfigDict, str]:
    """The section of the config that has a key, and the key's name in it."""
    if complaint := key_names.wrong_key(key, config):
        raise UserError(complaint)
    *parents, name = key.split('.')
    section = functools.reduce(operator.getitem, parents, config)
    if key == 'seed':
        raise UserError('The seeds of a group are given with --seeds.')
    return section, name


def _parse(config: ConfigDict, key: str, text: str, optional: Collection[str]) -> Any:
    """A value of the command line, of the type of its key."""
    section, name = _section(config, key)
    kind = section.get_type(name)
    try:
        if text == 'None' and (section[name] is None or key in optional):
            return None
        value = _TRUTH[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError) as error:
        kinds = {int: 'whole numbers', float: 'numbers', bool: 'True or False'}
        raise UserError(f'--set {key}={text}: the values of this key are {kinds.get(kind, kind.__name__)}.') from error
    return value


def _checked(config: ConfigDict, key: str, value: Any, optional: Collection[str]) -> Any:
    """A value of a space, of the type of its key."""
    section, name = _section(config, key)
    kind = section.get_type(name)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind and not (value is None and (section[name] is None or key in optional)):
        raise UserError(f'The space of {key} has the value {value!r}, and the values of this key have the type {kind.__name__}.')
    return value
