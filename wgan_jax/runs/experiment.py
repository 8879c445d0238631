"""From a config to the objects of a run. Past these builders nothing knows the config."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from wgan_jax.algorithm import losses
from wgan_jax.algorithm.optimizers import make_optimizer
from wgan_jax.algorithm.state import GANState, create_state
from wgan_jax.data import source_of
from wgan_jax.data.source import is_plane
from wgan_jax.errors import UserError
from wgan_jax.metrics import scores
from wgan_jax.metrics.features import registry
from wgan_jax.models import make_network
from wgan_jax.runs import memory_limits
from wgan_jax.runs.config import validate


class Experiment(NamedTuple):
    """A run that has not begun."""

    create_state: Callable[[], GANState]
    round_settings: dict[str, Any]  # keyword arguments of steps.train_round
    train_key: jax.Array  # the run's key, for every step
    sample_latents: Callable[[], jax.Array]  # one fixed set for every grid


def prepare(config: ConfigDict) -> Experiment:
    """Checks a config for the devices there are, prints a warning for what is questionable, and builds.

    Raises:
      UserError: the config makes no sense, or needs more memory than there is.
    """
    for warning in validate(config, jax.device_count()):
        print(f'Warning: {warning}')
    source = source_of(config.data)
    if is_plane(source.image_shape) and config.generator.bounded is not False:
        print('Warning: this generator ends in tanh and cannot reach all points: set config.generator.bounded=False.')
    check_scores(config, source.image_shape)
    memory_limits.check(config, source)  # before the players: even to find their shapes takes memory that grows with the images'
    experiment = make_experiment(config)
    memory_limits.check(config, source, jax.eval_shape(experiment.create_state))
    return experiment


def check_scores(config: ConfigDict, image_shape: tuple[int, ...]) -> None:
    """Refuses what the config says of scores if it makes no sense.

    Raises:
      UserError: one sentence that names the key.
    """
    if config.eval_every is not None and is_plane(image_shape):
        raise UserError(f'config.eval_every={config.eval_every} would score points as if they were images: set it to None.')
    registry.name_for(config.eval_features, config.data.name, image_shape)
    if config.eval_num_samples < scores.LEAST:
        raise UserError(f'config.eval_num_samples={config.eval_num_samples} are too few to score: at least {scores.LEAST}.')
    if config.best_metric is not None and config.eval_every is None:
        raise UserError(f'config.best_metric={config.best_metric} is never measured: set config.eval_every.')


def make_experiment(config: ConfigDict) -> Experiment:
    """Builds the players, their optimizers and the game.

    Raises:
      UserError: a network cannot do what the config asks, or batch norm does not go with a penalty or with parts of a batch.
    """
    init_key, train_key, sample_key = jax.random.split(jax.random.key(config.seed), 3)
    image_shape = source_of(config.data).image_shape
    dtype = jnp.dtype(config.dtype)
    generator = make_network('generator', image_shape, dtype=dtype, **config.generator)
    critic = make_network('critic', image_shape, dtype=dtype, **config.critic)
    generator_optimizer = make_optimizer(**config.generator_optimizer)
    critic_optimizer = make_optimizer(
        **config.critic_optimizer, clip_value=config.clip_value, clip_batch_norm=config.clip_batch_norm
    )

    @jax.jit  # one program, which is kept on disk, instead of a hundred small ones
    def create() -> GANState:
        return create_state(
            init_key,
            generator,
            critic,
            generator_optimizer,
            critic_optimizer,
            latent_dim=config.latent_dim,
            use_ema=config.ema_decay is not None,
        )

    try:
        state = jax.eval_shape(create)
    except ValueError as error:
        size = '' if config.data.image_size is None else f', of config.data.image_size={config.data.image_size},'
        raise UserError(
            f'config.generator.network={config.generator.network} and config.critic.network={config.critic.network} do not fit '
            f'images of shape {image_shape}{size} together: {error}.'
        ) from error
    if config.gp_weight and state.critic.batch_stats:
        raise UserError(
            'A gradient penalty is per example, and batch norm in the critic mixes examples: use config.critic.norm=layer or none, '
            'config.critic.network=keras_cnn, or config.gp_weight=0.'
        )
    has_batch_norm = state.critic.batch_stats or state.generator.batch_stats
    if config.grad_accumulation > 1 and has_batch_norm and not config.batch_norm_per_part:
        raise UserError(
            f'config.grad_accumulation={config.grad_accumulation} goes through a batch in parts, and batch norm would take its '
            'statistics from each part alone, so the update would not be that of the whole batch: use norm=layer or none in both '
            'players, or more devices, or accept it with config.batch_norm_per_part=True.'
        )
    return Experiment(
        create_state=create,
        round_settings={
            'loss': losses.LOSSES[config.loss],
            'latent_dim': config.latent_dim,
            'gp_weight': config.gp_weight,
            'gp_one_sided': config.gp_one_sided,
            'ema_decay': config.ema_decay,
            'grad_accumulation': config.grad_accumulation,
        },
        train_key=train_key,
        sample_latents=lambda: jax.random.normal(sample_key, (config.num_samples, config.latent_dim)),
    )


def num_parameters(tree: Any) -> int:
    """Numbers in a tree of arrays or shapes."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
