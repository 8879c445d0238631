"""Builds a run from its config: the last place that reads a ConfigDict.

All that training, sampling and scoring need of a config is in the typed objects that `build` returns.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from wgan_jax.algorithm import losses
from wgan_jax.algorithm.noise import ImageNoise, draw
from wgan_jax.algorithm.optimizers import make_optimizer
from wgan_jax.algorithm.schedule import Schedule
from wgan_jax.algorithm.standing_statistics import with_standing_statistics
from wgan_jax.algorithm.state import GANState, create_state
from wgan_jax.data import make_source
from wgan_jax.data.source import Source, is_plane
from wgan_jax.errors import UserError
from wgan_jax.metrics.features import registry
from wgan_jax.metrics.scores import full_name
from wgan_jax.models import make_network
from wgan_jax.runs import memory_limits
from wgan_jax.runs.config import check, check_num_updates, check_scores, schedule_of
from wgan_jax.runs.files import expand


class Data(NamedTuple):
    """The images of a run."""

    name: str
    source: Source
    placement: str  # auto, device or host: see data.feed
    settings: dict[str, Any]  # the section `data` of the config, for the protocol of a score


class Outputs(NamedTuple):
    """What a run writes, and how many rounds lie between."""

    log_every: int
    sample_every: int
    num_samples: int  # images in a grid
    standing_batches: int  # of latents, for the statistics of batch norm when images are made; 0: they are the running ones
    checkpoint_every: int
    checkpoints_to_keep: int
    eval_every: int | None
    best_metric: str | None  # the score by which the best checkpoint is kept, with its number of samples


class ScoreSettings(NamedTuple):
    """How generated images are scored."""

    num_samples: int
    features: str | None  # name of the feature network
    weights: Path | None  # file with its weights; None: where they are usually kept


class Experiment(NamedTuple):
    """A run before it starts."""

    config: dict[str, Any]  # resolved and nested, JSON: what config.json says, and what a resumed run is compared with
    create_state: Callable[[], GANState]
    round_settings: dict[str, Any]  # keyword arguments of algorithm.steps.train_round
    clip_value: float | None
    schedule: Schedule
    train_key: jax.Array  # the run's key, the same at every step
    sample_latents: Callable[[], jax.Array]  # the fixed latents of all grids
    for_images: Callable[[GANState], GANState]  # gives the generator the batch statistics with which images are made
    data: Data
    num_steps: int
    in_epochs: bool  # whether num_steps and the intervals of `outputs` are epochs; see `in_rounds`
    batch_size: int  # over all devices
    shared_images: bool  # whether the critic updates of a round share one batch
    seed: int
    deterministic: bool
    max_rewinds: int  # how often training may go back when it diverges
    outputs: Outputs
    scoring: ScoreSettings

    @property
    def latent_dim(self) -> int:
        """Size of a latent vector."""
        return self.round_settings['latent_dim']

    def batches_before(self, step: int) -> int:
        """Batches of images that the first `step` rounds read."""
        return step if self.shared_images else self.schedule.updates_before(step)

    def rounds_per_epoch(self, num_images: int) -> int:
        """The fewest rounds, none of them boosted, that read as many images as there are."""
        return -(-num_images // (self.batch_size * (1 if self.shared_images else self.schedule.n_critic)))

    def epochs_before(self, step: int, num_images: int) -> float:
        """How often the first `step` rounds read the whole data set."""
        return self.batches_before(step) * self.batch_size / num_images

    def in_rounds(self, num_images: int) -> 'Experiment':
        """This run, with its length and its intervals in rounds.

        Raises:
          UserError: the critic would have too many updates.
        """
        if not self.in_epochs:
            return self
        rounds = self.rounds_per_epoch(num_images)
        outputs = self.outputs._asdict()
        outputs |= {name: value * rounds for name, value in outputs.items() if name.endswith('_every') and value is not None}
        check_num_updates(self.schedule, self.num_steps * rounds)
        return self._replace(num_steps=self.num_steps * rounds, outputs=Outputs(**outputs), in_epochs=False)


def prepare(config: ConfigDict) -> Experiment:
    """Checks a config for the devices of this machine, prints warnings for questionable choices, and builds it.

    Raises:
      UserError: the config is invalid, or needs more memory than there is.
    """
    for warning in check(config, jax.device_count()):
        print(f'Warning: {warning}')
    source = _data(config).source
    if is_plane(source.image_shape) and config.generator.bounded is not False:
        print('Warning: this generator ends in tanh and cannot reach all points: set config.generator.bounded=False.')
    check_scores(config, source.image_shape)
    memory_limits.check(config, source)  # before the players: even the trace of huge ones takes gigabytes
    experiment = build(config)
    memory_limits.check(config, source, jax.eval_shape(experiment.create_state))
    return experiment


def build(config: ConfigDict) -> Experiment:
    """Builds the players, their optimizers, the game, the data source, and what the run does when.

    Raises:
      UserError: a network does not support an option, or batch norm is combined with a penalty or with parts of a batch.
    """
    init_key, train_key, sample_key = jax.random.split(jax.random.key(config.seed), 3)
    data = _data(config)
    create = _state_builder(config, data.source.image_shape, init_key)
    _check_norms(config, data.source.image_shape, create)
    return Experiment(
        config=config.to_dict(),
        create_state=create,
        round_settings={
            'loss': losses.LOSSES[config.loss],
            'latent_dim': config.latent_dim,
            'gp_weight': config.gp_weight,
            'gp_one_sided': config.gp_one_sided,
            'image_noise': ImageNoise(config.image_noise, config.image_noise_until) if config.image_noise else None,
            'draw': functools.partial(
                draw, normal_alpha=config.gp_alpha == 'normal', sharing=config.n_critic if config.shared_latents else None
            ),
            'ema_decay': config.ema_decay,
            'grad_accumulation': config.grad_accumulation,
        },
        clip_value=config.clip_value,
        schedule=schedule_of(config),
        train_key=train_key,
        sample_latents=lambda: jax.random.normal(sample_key, (config.num_samples, config.latent_dim)),
        for_images=functools.partial(
            with_standing_statistics, key=sample_key, num_batches=config.standing_batches, latent_dim=config.latent_dim
        ),
        data=data,
        num_steps=config.num_steps,
        in_epochs=config.interval_unit == 'epochs',
        shared_images=config.shared_images,
        batch_size=config.batch_size,
        seed=config.seed,
        deterministic=config.deterministic,
        max_rewinds=config.max_rewinds if config.on_nan == 'rewind' else 0,
        outputs=Outputs(
            log_every=config.log_every,
            sample_every=config.sample_every,
            num_samples=config.num_samples,
            standing_batches=config.standing_batches,
            checkpoint_every=config.checkpoint_every,
            checkpoints_to_keep=config.checkpoints_to_keep,
            eval_every=config.eval_every,
            best_metric=full_name(config.best_metric, config.eval_num_samples),
        ),
        scoring=ScoreSettings(
            num_samples=config.eval_num_samples,
            features=registry.name_for(config.eval_features, data.name, data.source.image_shape),
            weights=expand(config.eval_weights, 'config.eval_weights') if config.eval_weights else None,
        ),
    )


def _data(config: ConfigDict) -> Data:
    settings = dict(config.data)
    options = {name: value for name, value in settings.items() if name not in ('name', 'fraction', 'placement')}
    options['dir'] = options['dir'] or os.environ.get('TFDS_DATA_DIR')
    for name in ('dir', 'manual_dir', 'folder'):
        if options[name]:
            options[name] = str(expand(options[name], f'config.data.{name}'))
    source = make_source(config.data.name, config.data.fraction, **options)
    return Data(config.data.name, source, config.data.placement, settings)


def _state_builder(config: ConfigDict, image_shape: tuple[int, ...], key: jax.Array) -> Callable[[], GANState]:
    dtype = jnp.dtype(config.dtype)
    generator = make_network('generator', image_shape, dtype=dtype, **config.generator)
    critic = make_network('critic', image_shape, dtype=dtype, **config.critic)
    generator_optimizer = make_optimizer(**config.generator_optimizer)
    critic_optimizer = make_optimizer(
        **config.critic_optimizer, clip_value=config.clip_value, clip_batch_norm=config.clip_batch_norm
    )

    @jax.jit  # one program that the compilation cache keeps, instead of a hundred small ones
    def create() -> GANState:
        return create_state(
            key,
            generator,
            critic,
            generator_optimizer,
            critic_optimizer,
            latent_dim=config.latent_dim,
            use_ema=config.ema_decay is not None,
        )

    return create


def _check_norms(config: ConfigDict, image_shape: tuple[int, ...], create: Callable[[], GANState]) -> None:
    """Refuses networks that do not fit the images, and batch norm where its statistics would be wrong."""
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
            f'config.grad_accumulation={config.grad_accumulation} processes a batch in parts, and batch norm would take its '
            'statistics from each part, so the update would not be that of the whole batch: use norm=layer or none in both '
            'players, or more devices, or accept it with config.batch_norm_per_part=True.'
        )
