"""Groups of runs: which numbers may differ between runs that one program trains, and what the runs are called."""

import re
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from wgan_jax.errors import UserError
from wgan_jax.runs.config import flatten

# Keys that a program can read from an array, so that its runs may differ in them. All others make another program.
_OPTIMIZERS = [f'{player}_optimizer.{key}' for player in ('generator', 'critic') for key in ('learning_rate', 'b1', 'b2', 'eps')]
NUMBERS = (*_OPTIMIZERS, 'clip_value', 'gp_weight', 'ema_decay')
# Without clipping, penalty or average the program is another; an average may have a decay of 0.
_OFF = {'clip_value': (None,), 'gp_weight': (0,), 'ema_decay': (None,)}


def programs(configs: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Divides runs into those that one program can train.

    Args:
      configs: the config of each run, by name.

    Returns:
      The names of the runs of each program.
    """
    found: dict[str, list[str]] = {}
    for name, config in configs.items():
        flat = flatten(config)
        for key in NUMBERS:
            flat[key] = flat[key] in _OFF.get(key, ())
        del flat['seed']
        found.setdefault(str(sorted(flat.items())), []).append(name)
    return list(found.values())


def varied(configs: list[Mapping[str, Any]]) -> dict[str, list[float]]:
    """The numbers that differ between the runs of a program, each with its value in every run."""
    flat = [flatten(config) for config in configs]
    values = {key: [own[key] for own in flat] for key in NUMBERS}
    return {key: of_each for key, of_each in values.items() if len(set(of_each)) > 1}


def combine(config: ConfigDict, settings: Mapping[str, Mapping[str, Any]], seeds: int) -> dict[str, ConfigDict]:
    """The configs of a group: each setting with each seed.

    Args:
      config: what they have in common.
      settings: for the name of each setting, the values of keys that differ, such as {'critic_optimizer.b1': 0.5}. A single one
        may have the name ''.
      seeds: how many seeds each setting gets, from config.seed on.

    Returns:
      The config of each run by its name, such as 'gp_weight=1,seed_0'.

    Raises:
      UserError: `seeds` are out of range.
    """
    if not 1 <= seeds <= 2**32 - config.seed:
        raise UserError(f'--seeds={seeds} must be at least 1, and all seeds less than 2^32.')
    group: dict[str, ConfigDict] = {}
    for name, setting in settings.items():
        for seed in range(config.seed, config.seed + seeds):
            member = config.copy_and_resolve_references()
            member.update_from_flattened_dict({**setting, 'seed': seed})
            group[f'{name},seed_{seed}' if name else f'seed_{seed}'] = member
    return group


def setting_of(name: str) -> str:
    """The name of the setting in the name of a run."""
    return re.sub(r',?seed_\d+$', '', name)
