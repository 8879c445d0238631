"""Builds a run from its config: the last place that reads a ConfigDict."""

import functools
import os
from collections.abc import Mapping

import jax
from ml_collections import ConfigDict

from wgan_jax.algorithm import losses
from wgan_jax.algorithm.noise import ImageNoise, draw
from wgan_jax.algorithm.standing_statistics import with_standing_statistics
from wgan_jax.algorithm.state import has_batch_norm
from wgan_jax.data import make_source
from wgan_jax.data.source import is_points
from wgan_jax.devices import compiling
from wgan_jax.errors import UserError
from wgan_jax.metrics.features import registry
from wgan_jax.metrics.scores import full_name
from wgan_jax.models import NETWORKS
from wgan_jax.runs import extend, memory_limits, own_code, players
from wgan_jax.runs.config import check, check_scores, schedule_of
from wgan_jax.runs.experiment import Data, Experiment, Outputs, ScoreSettings
from wgan_jax.runs.files import expand

_FEW_DIMENSIONS = 4  # in more, a few hundred points do not fill a distribution


def prepare(config: ConfigDict) -> Experiment:
    """Checks a config for the devices of this machine, prints warnings for questionable choices, and builds it.

    Raises:
      UserError: the config is invalid, or needs more memory than there is.
    """
    experiment, warnings = _prepare(config, jax.device_count())
    for warning in warnings:
        print(f'Warning: {warning}')
    return experiment


def prepare_group(configs: Mapping[str, ConfigDict]) -> dict[str, Experiment]:
    """Like `prepare` for the members of a group, by name; each will be whole on one device.

    Raises:
      UserError: a config is invalid, or needs more memory than there is.
    """
    experiments, warned = {}, set()
    for name, config in configs.items():
        try:
            experiments[name], warnings = _prepare(config, 1)
            if config.on_nan == 'rewind':
                warnings.append('config.on_nan=rewind has no effect in a group: train a run that diverges alone to let it go back.')
        except UserError as error:
            raise UserError(f'{name}: {error}') from error
        for warning in [text for text in warnings if text not in warned]:
            print(f'Warning: {name}: {warning}')
            warned.add(warning)
    return experiments


def _prepare(config: ConfigDict, num_devices: int) -> tuple[Experiment, list[str]]:
    """The checked experiment, and warnings."""
    config = config.copy_and_resolve_references()  # what is found in the data belongs to this run alone
    code = own_code.of_config(config.code)  # before the check, which knows the names that it registers
    warnings = check(config, num_devices)
    source = _data(config).source
    config.data.update(source.found)
    warnings += _not_kept(config)
    generator, _ = NETWORKS.get(config.generator.network, (None, None))  # an unknown one is refused below
    if is_points(source.image_shape) and getattr(generator, 'bounded', False) and config.generator.bounded is not False:
        warnings.append('This generator ends in tanh and cannot reach all points: set config.generator.bounded=False.')
    if config.exact_points is not None and source.image_shape[-1] > _FEW_DIMENSIONS:
        warnings.append(
            f'In {source.image_shape[-1]} dimensions the distance between two samples is mostly sampling error: compare '
            'wasserstein_true with wasserstein_floor.'
        )
    if config.dtype == 'bfloat16' and compiling.gains_nothing_by_bfloat16():
        warnings.append(
            'config.dtype=bfloat16 is not faster than float32 on this processor, which has no AMX, and rounds more: set '
            'config.dtype=float32.'
        )
    check_scores(config, source.image_shape)
    memory_limits.check(config, source, num_devices=num_devices)  # before the players: the trace of huge ones takes gigabytes
    experiment = build(config, code)
    state = jax.eval_shape(experiment.create_state)
    if config.batch_size == config.grad_accumulation and (has_batch_norm(state.generator) or has_batch_norm(state.critic)):
        warnings.append(
            'Batch norm of a single example removes most of what distinguishes it, in fully connected layers everything: set a '
            'larger config.batch_size, fewer parts (config.grad_accumulation), or norm=layer or none in both players.'
        )
    memory_limits.check(config, source, state, num_devices=num_devices)
    return experiment, warnings


def build(config: ConfigDict, code: own_code.Code | None = None) -> Experiment:
    """Builds the players, their optimizers, the game, the data source, and what the run does when.

    Args:
      config: a valid config.
      code: the user's own code, already executed; None: the file of config.code, if there is one.

    Raises:
      UserError: a network does not support an option, or batch norm is combined with a penalty or with parts of a batch.
    """
    code = code or own_code.of_config(config.code)
    init_key, train_key, sample_key = jax.random.split(jax.random.key(config.seed), 3)
    data = _data(config)
    optimizers = functools.partial(players.make_optimizers, config)
    create = players.state_builder(config, data.source.image_shape, *optimizers({}))
    players.check(config, data.source.image_shape, functools.partial(create, init_key))
    return Experiment(
        config=config.to_dict(),
        code=code,
        init_key=init_key,
        create=create,
        optimizers=optimizers,
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
        sample_key=sample_key,
        with_image_statistics=functools.partial(
            with_standing_statistics, num_batches=config.standing_batches, latent_dim=config.latent_dim
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
            exact_points=config.exact_points,
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


def _not_kept(config: ConfigDict) -> list[str]:
    """A warning about names that no other process will know."""
    used = {
        'config.generator.network': ('network', config.generator.network),
        'config.critic.network': ('network', config.critic.network),
        'config.loss': ('loss', config.loss),
        'config.generator_optimizer.name': ('optimizer', config.generator_optimizer.name),
        'config.critic_optimizer.name': ('optimizer', config.critic_optimizer.name),
        'config.data.name': ('data set', config.data.name),
    }
    own = [f'{key}={name}' for key, (kind, name) in used.items() if (kind, name) in extend.OWN]
    if not own or config.code:
        return []
    return [
        f'{" and ".join(own)} {"is" if len(own) == 1 else "are"} registered by code that the run does not keep, so that only this '
        'process can open it: put the code into a file, and set config.code to its path.'
    ]


def _data(config: ConfigDict) -> Data:
    settings = dict(config.data)
    options = {name: value for name, value in settings.items() if name not in ('name', 'fraction', 'placement')}
    options['dir'] = options['dir'] or os.environ.get('TFDS_DATA_DIR')
    for name in ('dir', 'manual_dir', 'folder', 'file'):
        if options.get(name):
            options[name] = str(expand(options[name], f'config.data.{name}'))
    source = make_source(config.data.name, config.data.fraction, **options)
    return Data(config.data.name, source, config.data.placement, settings)
