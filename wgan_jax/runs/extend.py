"""Registers networks, losses, optimizers, data sets and scores of your own, by name, as `wgan_jax.extend`.

    from wgan_jax import extend

    extend.network('tiny', TinyGenerator, TinyCritic)
    extend.optimizer('lion', lambda learning_rate, b1, b2, eps: optax.lion(learning_rate, b1, b2))

A Python file that does so is a config file, or the file that `config.code` names. own_code.py keeps a copy of it with each run, so
that the other commands find what it registers. docs/python.md has an example of each kind.
"""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from wgan_jax.algorithm.losses import LOSSES, AdversarialLoss
from wgan_jax.algorithm.optimizers import OPTIMIZERS
from wgan_jax.data import SOURCES
from wgan_jax.data.source import Source
from wgan_jax.errors import UserError
from wgan_jax.metrics.score_table import SCORES, Score
from wgan_jax.models import NETWORKS

_REGISTRIES: dict[str, dict[str, Any]] = {
    'network': NETWORKS,
    'loss': LOSSES,
    'optimizer': OPTIMIZERS,
    'data set': SOURCES,
    'score': SCORES,
}
OWN: dict[tuple[str, str], Any] = {}  # (kind, name) -> what is registered from outside of the package


def network(name: str, generator: type[nn.Module], critic: type[nn.Module]) -> None:
    """Registers a pair of networks: config.generator.network=NAME, config.critic.network=NAME.

    Args:
      name: a new name.
      generator: a Flax module latents [B, latent_dim] -> images [B, H, W, C] in [-1, 1], with the fields `image_shape` and
        `dtype`; wgan_jax/models/__init__.py has the whole interface. Other fields are options: keys of config.generator, to which a
        config file adds them.
      critic: a Flax module images [B, H, W, C] -> scores [B], with the same fields.

    Raises:
      UserError: the name is taken, or a module lacks a field or an argument.
    """
    for player, module in (('generator', generator), ('critic', critic)):
        fields = {field.name for field in dataclasses.fields(module)}
        arguments = inspect.signature(module.__call__).parameters
        takes_any = any(argument.kind is argument.VAR_KEYWORD for argument in arguments.values())
        missing = [f'the field {field}' for field in ('image_shape', 'dtype') if field not in fields]
        missing += [
            f'the argument {each} of __call__' for each in ('train', 'axis_name') if each not in arguments and not takes_any
        ]
        if missing:
            raise UserError(
                f'The {player} {module.__name__} of the network {name!r} lacks {" and ".join(missing)}: every network has '
                'image_shape and dtype, and is called with train and axis_name, for batch norm and for dropout in a critic.'
            )
    register('network', name, (generator, critic))


def loss(
    name: str,
    critic: Callable[[jax.Array, jax.Array], jax.Array],
    generator: Callable[[jax.Array], jax.Array],
    *,
    gives_logits: bool = False,
    penalty: Callable[[Callable[[jax.Array], jax.Array], jax.Array, jax.Array, jax.Array], jax.Array] | None = None,
) -> None:
    """Registers a pair of losses, and a penalty of the critic: config.loss=NAME.

    Args:
      name: a new name.
      critic: (real scores [B], fake scores [B]) -> scalar, minimised; scores are high for real images. Each device calls it with
        its part of the batch, and the gradients are averaged: so it is a mean over examples.
      generator: fake scores [B] -> scalar, minimised.
      gives_logits: whether the critic estimates a probability, the sigmoid of its score.
      penalty: (score, real [B, H, W, C], fake, interpolates) -> scalar, which is added to the critic's loss with the weight
        config.gp_weight, in place of the gradient penalty. `score` is the critic, images [B, H, W, C] -> scores [B]; `interpolates`
        are on the segments between the pairs of images. It may take gradients of `score`, and is a mean over examples, too.

    Raises:
      UserError: the name is taken, or a loss is not one number.
    """
    scores = jax.ShapeDtypeStruct((4,), jnp.float32)
    for player, function, arguments in (('critic', critic, (scores, scores)), ('generator', generator, (scores,))):
        check_one_number(f"The {player}'s loss of {name!r}", jax.eval_shape(function, *arguments), 'scores of shape (4,)')
    register('loss', name, AdversarialLoss(critic, generator, gives_logits, penalty))


def optimizer(name: str, build: Callable[..., optax.GradientTransformation]) -> None:
    """Registers an optimizer: config.critic_optimizer.name=NAME, config.generator_optimizer.name=NAME.

    Args:
      name: a new name.
      build: (learning_rate, b1, b2, eps) -> an optax transformation whose updates are added to the parameters; further arguments
        with defaults are options. Weight clipping is added after it.

    Raises:
      UserError: the name is taken, or `build` returns something else.
    """
    made = build(1e-4, 0.5, 0.9, 1e-8)
    if not (callable(getattr(made, 'init', None)) and callable(getattr(made, 'update', None))):
        raise UserError(f'The optimizer {name!r} must be an optax transformation, and it is {type(made).__name__}.')
    register('optimizer', name, build)


def data_set(name: str, source: Callable[..., Source]) -> None:
    """Registers a data set: config.data.name=NAME.

    Args:
      name: a new name.
      source: returns a wgan_jax.data.source.Source; its arguments, each with a default, are keys of config.data.

    Raises:
      UserError: the name is taken, or an argument has no default.
    """
    for argument in inspect.signature(source).parameters.values():
        if argument.default is argument.empty:
            raise UserError(
                f'The argument {argument.name} of the data set {name!r} has no default, and a key may be None: give one.'
            )
    register('data set', name, source)


def score(name: str, row: Score) -> None:
    """Registers a score of samples, which all evaluations compute from then on.

    Args:
      name: a new name, of the row.
      row: a wgan_jax.metrics.score_table.Score, which names its numbers.

    Raises:
      UserError: the name is taken, or there is no way to read one of its numbers.
    """
    if not (*row.lower, *row.higher, *row.shown):
        raise UserError(f'The score {name!r} names no number as lower, higher or shown: say how its numbers are read.')
    register('score', name, row)


def check_one_number(what: str, made: Any, given: str) -> None:
    """Refuses a loss, or a part of one, that is not one number.

    Args:
      what: its name, which begins the message.
      made: the shape of its value, as jax.eval_shape returns it.
      given: what it was called with, for the message.

    Raises:
      UserError: it is something else.
    """
    if (shape := getattr(made, 'shape', None)) != ():
        kind = 'another type' if shape is None else f'the shape {shape}'
        raise UserError(f'{what} must be one number, and for {given} it has {kind}: return a mean over the examples.')


def register(kind: str, name: str, thing: Any) -> None:
    """Adds an entry; one of the same name that came from outside is replaced, as when a cell of a notebook runs again.

    Raises:
      UserError: the package has an entry of this name.
    """
    registry = _REGISTRIES[kind]
    if name in registry and (kind, name) not in OWN:
        raise UserError(f'wgan_jax has a {kind} {name!r} already: give yours another name.')
    registry[name] = OWN[kind, name] = thing
