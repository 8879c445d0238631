"""Under which config a run may be resumed."""

from typing import Any

from wgan_jax.errors import UserError
from wgan_jax.runs.config import flatten

# Keys that change what a run writes or where it reads, and at most the rounding of what it computes.
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
    'rewinds',  # not a key: how often the run has gone back so far
    'data.dir',
    'data.folder',
    'data.manual_dir',
    'data.placement',
    'data.strict',
)
# Each process of a run may have its own values for these.
LOCAL = ('data.dir', 'data.folder', 'data.manual_dir', 'eval_weights')


def check_resumable(saved: dict[str, Any], now: dict[str, Any], workdir: str) -> None:
    """Refuses to continue a run with other mathematics.

    Args:
      saved: the record of the run, nested: its config, and `data_set`, the identity of its images.
      now: the record of the run that is asked for.
      workdir: the run's directory, for the message.

    Raises:
      UserError: a key that may not change differs, or the images do; the message lists each difference with both values.
    """
    before, now = flatten(saved), flatten(now)
    # Parts of a batch change only rounding and dropout masks, as devices do, unless batch norm takes its statistics from each.
    may_change = MAY_CHANGE if now['batch_norm_per_part'] else (*MAY_CHANGE, 'grad_accumulation')
    differences = [
        f'{name}: {before.get(name)} -> {now.get(name)}'
        for name in sorted(before.keys() | now.keys())
        if name not in may_change and not name.startswith('data_set.') and before.get(name) != now.get(name)
    ]
    if differences:
        raise UserError(
            f'{workdir} holds a run with another config ({"; ".join(differences)}): give the old values to continue it, '
            'or another --workdir to start a new one.'
        )
    images = [(name, before[name], now[name]) for name in now if name.startswith('data_set.') and name in before]
    if any(old != new for _, old, new in images):
        changes = '; '.join(f'{name}: {old} -> {new}' for name, old, new in images)
        raise UserError(
            f'{workdir} holds a run on other images ({changes}): restore them to continue it, or give another --workdir to start '
            'a new one.'
        )
