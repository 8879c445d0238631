"""The players and their optimizers, from a config; players that do not fit the images or each other are refused."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax.errors import InvalidRngError
from ml_collections import ConfigDict

from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.optimizers import OPTIMIZERS, make_optimizer
from wgan_jax.algorithm.state import GANState, create_state, generate, has_batch_norm
from wgan_jax.errors import UserError
from wgan_jax.models import make_network
from wgan_jax.runs import extend
from wgan_jax.runs.experiment import Numbers

_PILOT = 2  # examples whose images and scores have their shapes checked


def make_optimizers(config: ConfigDict, numbers: Numbers) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
    """The optimizers of the generator and of the critic; `numbers` replace those of the config."""

    def replaced(section: ConfigDict, name: str) -> dict[str, Any]:
        return {key: numbers.get(f'{name}.{key}', value) for key, value in section.items()}

    clip_value = numbers.get('clip_value', config.clip_value)
    _check_options(config)
    return (
        make_optimizer(**replaced(config.generator_optimizer, 'generator_optimizer')),
        make_optimizer(
            **replaced(config.critic_optimizer, 'critic_optimizer'), clip_value=clip_value, clip_batch_norm=config.clip_batch_norm
        ),
    )


def _check_options(config: ConfigDict) -> None:
    """Refuses keys that an optimizer does not have, since only those of the user's own have more than the usual ones."""
    for name in ('generator_optimizer', 'critic_optimizer'):
        section = config[name]
        known = list(inspect.signature(OPTIMIZERS[section.name]).parameters)[4:]
        for key in sorted({*section} - {'name', 'learning_rate', 'b1', 'b2', 'eps', *known}):
            options = f'whose options are {", ".join(known)}' if known else 'which has no options'
            raise UserError(f'config.{name}.{key}={section[key]} does not apply to config.{name}.name={section.name}, {options}.')


def state_builder(
    config: ConfigDict,
    image_shape: tuple[int, ...],
    generator_optimizer: optax.GradientTransformation,
    critic_optimizer: optax.GradientTransformation,
) -> Callable[[jax.Array], GANState]:
    """A function that makes the first state from a key.

    Raises:
      UserError: a network is unknown, or has no such option.
    """
    dtype = jnp.dtype(config.dtype)
    generator = make_network('generator', image_shape, dtype=dtype, **config.generator)
    critic = make_network('critic', image_shape, dtype=dtype, **config.critic)

    @jax.jit  # one program that the compilation cache keeps, instead of a hundred small ones
    def create(key: jax.Array) -> GANState:
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


def check(config: ConfigDict, image_shape: tuple[int, ...], create: Callable[[], GANState]) -> None:
    """Refuses networks that do not fit the images, and batch norm where its statistics would be wrong.

    Args:
      config: the config.
      image_shape: (height, width, channels) of the data.
      create: makes the first state.

    Raises:
      UserError: one sentence that names the keys and the alternatives.
    """
    try:
        state = jax.eval_shape(create)
    except ValueError as error:
        size = '' if config.data.image_size is None else f', of config.data.image_size={config.data.image_size},'
        raise UserError(
            f'config.generator.network={config.generator.network} and config.critic.network={config.critic.network} do not fit '
            f'images of shape {image_shape}{size} together: {error}.'
        ) from error
    if any(('network', config[player].network) in extend.OWN for player in ('generator', 'critic')):
        _check_shapes(config, image_shape, state)
    if LOSSES[config.loss].penalty is not None:
        _check_penalty(config, image_shape, state)
    clips_all_but_norms = config.clip_value is not None and not config.clip_batch_norm
    if (
        clips_all_but_norms
        and has_batch_norm(state.critic)
        and 'BatchNorm' not in str(jax.tree.structure(state.critic.batch_stats))
    ):
        raise UserError(
            'config.clip_batch_norm=False knows batch norm by the name BatchNorm, which flax gives it, and that of this critic has '
            'another one: leave out its argument `name`.'
        )
    if config.gp_weight and has_batch_norm(state.critic):
        raise UserError(
            'A gradient penalty is per example, and batch norm in the critic mixes examples: use config.critic.norm=layer or none, '
            'config.critic.network=keras_cnn, or config.gp_weight=0.'
        )
    mixes_examples = has_batch_norm(state.critic) or has_batch_norm(state.generator)
    if config.grad_accumulation > 1 and mixes_examples and not config.batch_norm_per_part:
        raise UserError(
            f'config.grad_accumulation={config.grad_accumulation} processes a batch in parts, and batch norm would take its '
            'statistics from each part, so the update would not be that of the whole batch: use norm=layer or none in both '
            'players, or more devices, or accept it with config.batch_norm_per_part=True.'
        )


def _check_shapes(config: ConfigDict, image_shape: tuple[int, ...], state: GANState) -> None:
    """Refuses images and scores of other shapes than the losses expect, which broadcasting would hide.

    Args:
      state: shapes of the state.
    """
    images, scores = jax.eval_shape(_passes, state, jnp.zeros((_PILOT, config.latent_dim)), jnp.zeros((_PILOT, *image_shape)))
    if images.shape != (_PILOT, *image_shape):
        raise UserError(
            f'config.generator.network={config.generator.network} makes images of shape {images.shape[1:]}, and the data has '
            f'{tuple(image_shape)}: a generator returns [B, *image_shape].'
        )
    if scores.shape != (_PILOT,):
        raise UserError(
            f'config.critic.network={config.critic.network} gives {_PILOT} images scores of shape {scores.shape}, in which losses '
            'would mix up examples: a critic returns [B], for example with [:, 0] at its end.'
        )
    try:
        jax.eval_shape(_in_training, state, jnp.zeros((_PILOT, config.latent_dim)))
    except InvalidRngError as error:
        raise UserError(
            f'config.generator.network={config.generator.network} draws random numbers, as dropout does, and a generator has none '
            'but its latents: take the dropout out of it.'
        ) from error


def _check_penalty(config: ConfigDict, image_shape: tuple[int, ...], state: GANState) -> None:
    """Refuses a penalty of the user's own that fails or is not one number, and a key that only the gradient penalty has."""
    if config.gp_one_sided:
        raise UserError(f'config.gp_one_sided=True has no effect on the penalty of config.loss={config.loss}: set it to False.')

    def penalty(state: GANState, images: jax.Array) -> jax.Array:
        return LOSSES[config.loss].penalty(lambda images: _scores(state, images), images, images, images)

    try:
        made = jax.eval_shape(penalty, state, jnp.zeros((_PILOT, *image_shape)))
    except Exception as error:  # any type: it is the user's code
        raise UserError(
            f'The penalty of config.loss={config.loss} fails ({type(error).__name__}: {error}): correct it. It is called with '
            '(score, real, fake, interpolates).'
        ) from error
    extend.check_one_number(f'The penalty of config.loss={config.loss}', made, f'{_PILOT} images')


def _in_training(state: GANState, latents: jax.Array) -> jax.Array:
    return state.generator.apply_fn(state.generator.variables, latents, train=True, mutable=['batch_stats'])[0]


def _passes(state: GANState, latents: jax.Array, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    return generate(state, latents), _scores(state, images)


def _scores(state: GANState, images: jax.Array) -> jax.Array:
    return state.critic.apply_fn(state.critic.variables, images, train=False)
