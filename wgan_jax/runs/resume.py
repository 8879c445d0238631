"""Under which config a run may be resumed."""

import json
from collections.abc import Collection
from typing import Any

from wgan_jax.errors import UserError
from wgan_jax.runs.config import flatten

# Keys that change what a run writes or where it reads, and at most the rounding of what it computes.
MAY_CHANGE = (
    'code',
    'interval_unit',
    'num_steps',
    'log_every',
    'exact_points',
    'sample_every',
    'num_samples',
    'standing_batches',
    'checkpoint_every',
    'checkpoints_to_keep',
    'eval_every',
    'eval_num_samples',
    'eval_features',
    'eval_weights',
    'best_metric',
    'deterministic',
    'on_nan',
    'max_rewinds',
    'data.dir',
    'data.file',
    'data.folder',
    'data.manual_dir',
    'data.placement',
    'data.strict',
)
# Each process of a run may have its own values for these.
LOCAL = ('code', 'data.dir', 'data.file', 'data.folder', 'data.manual_dir', 'eval_weights')
# What the record of a checkpoint holds besides the config: the identity of the images; settings of JAX, and what else decides the
# last bits; how often the run has gone back; what its logs hold.
_NO_KEYS = ('data_set', 'settings', 'rounding', 'rewinds', 'held')


def config_of(record: dict[str, Any]) -> dict[str, Any]:
    """The config in the record of a checkpoint."""
    return {name: value for name, value in record.items() if name not in _NO_KEYS}


def check_resumable(saved: dict[str, Any], now: dict[str, Any], workdir: str) -> None:
    """Refuses to continue a run with other mathematics; warns if only the last bits may differ.

    Args:
      saved: the record of the run, nested: its config, `data_set` (data.identity), and `settings` and `rounding`
        (devices.numerics), which old runs do not have.
      now: the record of the run that is asked for.
      workdir: the run's directory, for the message.

    Raises:
      UserError: a key or a setting that may not change differs, or the images do; the message lists each difference with both
        values.
    """
    now = json.loads(json.dumps(now))  # as it is saved: a tuple is a list there
    config = config_of(now)

    def both(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        return (saved[name], now[name]) if name in saved and name in now else ({}, {})

    # Parts of a batch change only rounding, dropout masks and how far a power iteration gets, unless batch norm takes its
    # statistics from each.
    may_change = MAY_CHANGE if config['batch_norm_per_part'] else (*MAY_CHANGE, 'grad_accumulation')
    if differences := _differences(config_of(saved), config, may_change):
        raise UserError(
            f'{workdir} holds a run with another config ({differences}): give the old values to continue it, or another --workdir '
            'to start a new one.'
        )
    if differences := _differences(*both('data_set')):
        raise UserError(
            f'{workdir} holds a run on other images ({differences}): restore them to continue it, or give another --workdir to '
            'start a new one.'
        )
    if differences := _differences(*both('settings')):
        raise UserError(
            f'{workdir} holds a run with other settings of JAX ({differences}): set them as they were, with environment variables '
            'of the same names in capitals, to continue it, or give another --workdir to start a new one.'
        )
    if differences := _differences(*both('rounding')):
        print(f'Warning: {workdir} was trained on other devices or with other flags ({differences}): the last bits may differ.')


def _differences(before: dict[str, Any], now: dict[str, Any], ignored: Collection[str] = ()) -> str:
    """The values that differ, with their names, as text; '' if none does."""
    before, now = flatten(before), flatten(now)
    names = [name for name in sorted(before.keys() | now.keys()) if name not in ignored and before.get(name) != now.get(name)]
    return '; '.join(f'{name}: {before.get(name)} -> {now.get(name)}' for name in names)
