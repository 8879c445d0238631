"""Which runs may be continued under which config."""

from typing import Any

from ml_collections import ConfigDict

from wgan_jax.errors import UserError
from wgan_jax.runs.config import flatten

# Keys that change what a run writes or where it reads, and not the numbers it computes but for rounding.
MAY_CHANGE = (
    'num_steps',
    'log_every',
    'sample_every',
    'num_samples',
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
    'rewinds',  # no key: how often the run went back so far
    'data.dir',
    'data.folder',
    'data.manual_dir',
    'data.placement',
    'data.strict',
)


# Each process of a run may have its own values for these.
LOCAL = ('data.dir', 'data.folder', 'data.manual_dir', 'eval_weights')


# Keys that came later, with the values that runs from before them had.
_ADDED = {
    'eval_every': None,
    'eval_num_samples': 10_000,
    'eval_features': None,
    'eval_weights': None,
    'best_metric': None,
}


def config_of(saved: dict[str, Any]) -> ConfigDict:
    """The config of a run from what its record holds, with the keys that came later."""
    return ConfigDict({**_ADDED, **saved})


def check_resumable(saved: dict[str, Any], config: ConfigDict | dict[str, Any], workdir: str) -> None:
    """Refuses to continue a run under other mathematics.

    Args:
      saved: the config of the run, as a nested dict.
      config: what is asked for now.
      workdir: the run's directory, for the message.

    Raises:
      UserError: a key that may not change differs, or the images (data_set) do; the message lists each with both values.
    """
    before, now = {**_ADDED, **flatten(saved)}, flatten(config)
    # Parts of a batch change rounding and the masks of dropout only, as devices do, unless batch norm is taken over them.
    may_change = MAY_CHANGE if now['batch_norm_per_part'] else (*MAY_CHANGE, 'grad_accumulation')
    differences = [
        f'{name}: {before.get(name)} -> {now.get(name)}'
        for name in sorted(before.keys() | now.keys())
        if name not in may_change and not name.startswith('data_set.') and before.get(name) != now.get(name)
    ]
    if differences:
        raise UserError(
            f'{workdir} holds a run with another config ({"; ".join(differences)}); give the old values to continue it, '
            'or another --workdir to start a new one.'
        )
    images = [(name, before[name], now[name]) for name in now if name.startswith('data_set.') and name in before]
    if any(old != new for _, old, new in images):
        changes = '; '.join(f'{name}: {old} -> {new}' for name, old, new in images)
        raise UserError(
            f'{workdir} holds a run on other images ({changes}); put them back to continue it, or give another --workdir to start '
            'a new one.'
        )
