"""Which configs are valid: the check of every key, before anything is built from it."""

import reprlib
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.optimizers import OPTIMIZERS
from wgan_jax.algorithm.schedule import Schedule
from wgan_jax.data.feed import PLACEMENTS
from wgan_jax.data.source import is_points
from wgan_jax.errors import UserError
from wgan_jax.metrics import scores
from wgan_jax.metrics.distances import MOST_POINTS
from wgan_jax.metrics.features import registry
from wgan_jax.models.bounded import ACTIVATIONS, WEIGHTS
from wgan_jax.models.layers import NORMS
from wgan_jax.runs import objective

DTYPES = ('float32', 'bfloat16')
ON_NAN = ('stop', 'rewind')
UNITS = ('rounds', 'epochs')  # of the intervals
_MAX_LAYERS = 200  # each layer is traced and compiled separately: some minutes at this number
_MAX_STANDING = 1000  # each picture computes them anew
_POSITIVE = (
    'num_steps',
    'batch_size',
    'grad_accumulation',
    'n_critic',
    'boost.n_critic',
    'boost.until',
    'boost.every',
    'latent_dim',
    'log_every',
    'exact_points',
    'sample_every',
    'num_samples',
    'checkpoint_every',
    'checkpoints_to_keep',
    'max_rewinds',
    'eval_every',
    'eval_num_samples',
    'generator_optimizer.learning_rate',
    'critic_optimizer.learning_rate',
    'generator_optimizer.eps',
    'critic_optimizer.eps',
    'image_noise_until',
    'clip_value',
    'generator.num_features',
    'generator.num_layers',
    'critic.num_features',
    'critic.num_layers',
    'critic.power_iterations',
)


def flatten(config: ConfigDict | dict) -> dict[str, Any]:
    """{'critic.network': 'mlp', ...}: every key with its value; the names of nested keys are joined by dots."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, ConfigDict | dict):
            flat.update({f'{name}.{key}': inner for key, inner in flatten(value).items()})
        else:
            flat[name] = value
    return flat


def schedule_of(config: ConfigDict) -> Schedule:
    """The critic updates of each round."""
    return Schedule(config.n_critic, config.boost.n_critic, config.boost.until or 0, config.boost.every or 0)


def check(config: ConfigDict, num_devices: int) -> list[str]:
    """Refuses an invalid config.

    Args:
      config: a config with the keys of configs/default.py.
      num_devices: devices that share a batch.

    Returns:
      Warnings: one sentence for each valid but questionable choice.

    Raises:
      UserError: one sentence that names the key, its value and the alternatives.
    """
    flat = flatten(config)
    _check_values(flat)
    if config.image_noise_until is not None and not config.image_noise:
        raise UserError(f'config.image_noise_until={config.image_noise_until} needs noise: set config.image_noise=0.1, or None.')
    objective.check(config)
    _check_schedule(config)
    shares = num_devices * config.grad_accumulation
    if config.batch_size % shares:
        nearest = max(1, round(config.batch_size / shares)) * shares
        devices = f'{num_devices} device{"s" if num_devices > 1 else ""}'
        parts = f', in {config.grad_accumulation} parts each (config.grad_accumulation)' if config.grad_accumulation > 1 else ''
        raise UserError(
            f'config.batch_size={config.batch_size} cannot be shared evenly by {devices}{parts}: '
            f'use a multiple of {shares}, such as {nearest}.'
        )
    return objective.warnings(config)


def check_scores(config: ConfigDict, image_shape: tuple[int, ...]) -> None:
    """Refuses invalid keys about scores and exact distances.

    Raises:
      UserError: one sentence that names the key.
    """
    if config.eval_every is not None and is_points(image_shape):
        raise UserError(f'config.eval_every={config.eval_every} asks for scores, which exist for images only: set it to None.')
    if config.exact_points is not None and not is_points(image_shape):
        raise UserError(
            f'config.exact_points={config.exact_points} asks for exact distances, which are for points only, since those between '
            'samples of images are mostly sampling error: set it to None.'
        )
    if config.exact_points is not None and config.exact_points > MOST_POINTS:
        raise UserError(
            f'config.exact_points={config.exact_points} must be at most {MOST_POINTS}: the time of an exact distance grows '
            'with the third power of the number of points, to minutes at 4,000.'
        )
    registry.name_for(config.eval_features, config.data.name, image_shape)
    if config.eval_num_samples < scores.LEAST:
        raise UserError(f'config.eval_num_samples={config.eval_num_samples} is too small: scores need at least {scores.LEAST}.')
    if config.best_metric is not None and config.eval_every is None:
        raise UserError(f'config.best_metric={config.best_metric} is never measured: set config.eval_every.')


def check_num_updates(schedule: Schedule, num_steps: int) -> None:
    """Refuses more critic updates than an int32 can count.

    Raises:
      UserError: there are more.
    """
    updates = schedule.updates_before(num_steps)
    if updates >= 2**31:
        boosted = f' or config.boost.n_critic={schedule.boosted}' if schedule.boosted else ''
        raise UserError(
            f'config.num_steps={num_steps} rounds with config.n_critic={schedule.n_critic}{boosted} are {updates} critic '
            'updates: there must be fewer than 2^31.'
        )


def _check_schedule(config: ConfigDict) -> None:
    boost = config.boost
    for key, value in (('shared_images', True), ('shared_latents', True), ('interval_unit', 'epochs')):
        if boost.n_critic is not None and config[key] == value:
            raise UserError(
                f'config.{key}={value} needs rounds of equal length, and config.boost.n_critic={boost.n_critic} lengthens some: '
                f'set config.boost.n_critic=None (and boost.until and boost.every), or leave config.{key} at its default.'
            )
    if (boost.n_critic is None) != (boost.until is None and boost.every is None):
        raise UserError(
            f'config.boost.n_critic={boost.n_critic} with config.boost.until={boost.until} and config.boost.every={boost.every} '
            'boosts no round: set n_critic and one of the others (the WGAN authors: 100, 25 and 500), or leave all at None.'
        )
    check_num_updates(schedule_of(config), config.num_steps)


def _check_values(flat: dict[str, Any]) -> None:
    choices = {
        'loss': LOSSES,
        'dtype': DTYPES,
        'on_nan': ON_NAN,
        'interval_unit': UNITS,
        'gp_alpha': ('uniform', 'normal'),
        'data.placement': PLACEMENTS,
        'generator_optimizer.name': OPTIMIZERS,
        'critic_optimizer.name': OPTIMIZERS,
        'generator.norm': (None, *NORMS),
        'critic.norm': (None, *NORMS),
        'critic.weights': (None, *WEIGHTS),
        'critic.activation': (None, *ACTIVATIONS),
    }
    if flat['dtype'] == 'float16':
        raise UserError(
            "config.dtype='float16' rounds the gradients of a critic to 0, since they are often below 6e-8, its smallest number: "
            'use bfloat16, which has the range of float32.'
        )
    for name, known in choices.items():
        if flat[name] not in known:
            raise UserError(f'config.{name}={flat[name]!r} is unknown; known: {", ".join(str(k) for k in known)}.')
    _check_numbers(flat)
    for name in _POSITIVE:
        if flat[name] is not None and not flat[name] > 0:
            raise UserError(f'config.{name}={flat[name]} must be greater than 0.')
    for name in ('generator.num_extra_layers', 'critic.num_extra_layers', 'standing_batches'):
        if flat[name] is not None and not flat[name] >= 0:
            raise UserError(f'config.{name}={flat[name]} must be 0 or greater.')
    for name in [f'{player}.{key}' for player in ('generator', 'critic') for key in ('num_layers', 'num_extra_layers')]:
        if flat[name] is not None and flat[name] > _MAX_LAYERS:
            raise UserError(f'config.{name}={flat[name]} must be at most {_MAX_LAYERS}: each layer is compiled separately.')
    if flat['standing_batches'] > _MAX_STANDING:
        raise UserError(f'config.standing_batches={flat["standing_batches"]} must be at most {_MAX_STANDING}, each of 64 latents.')
    if not flat['image_noise'] >= 0:
        raise UserError(f'config.image_noise={flat["image_noise"]} must be 0 (no noise) or greater.')
    if not flat['gp_weight'] >= 0:
        raise UserError(f'config.gp_weight={flat["gp_weight"]} must be 0 (no penalty) or greater; the paper uses 10.')
    decays = ('generator_optimizer.b1', 'generator_optimizer.b2', 'critic_optimizer.b1', 'critic_optimizer.b2', 'ema_decay')
    for name in decays:
        if flat[name] is not None and not 0 <= np.float32(flat[name]) < 1:
            rounded = ' in float32, where it is 1.0' if flat[name] < 1 else ''
            raise UserError(f'config.{name}={flat[name]} must be at least 0 and less than 1{rounded}.')
    check_seed(flat['seed'])


def check_seed(seed: int) -> None:
    """Raises UserError if the generators of random numbers cannot take a seed."""
    if not 0 <= seed < 2**32:
        raise UserError(f'config.seed={reprlib.repr(seed)} must be at least 0 and less than 2^32.')


def _check_numbers(flat: dict[str, Any]) -> None:
    """Refuses numbers outside float32 and int32, the types of all computation and counting."""
    tiny, largest = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
    for name, value in flat.items():
        if isinstance(value, float) and value and not tiny <= abs(value) <= largest:
            raise UserError(f'config.{name}={value} is outside float32: use 0, or a size from {tiny:.1e} to {largest:.1e}.')
        if isinstance(value, int) and name != 'seed' and abs(value) >= 2**31:
            raise UserError(f'config.{name}={reprlib.repr(value)} must be less than 2^31.')
