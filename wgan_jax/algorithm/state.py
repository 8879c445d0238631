"""The state of a run: two players, the step, and the averaged generator."""

import math
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState


class PlayerState(TrainState):
    """One player. `step` counts this player's own updates.

    Attributes:
      batch_stats: what a pass in train mode changes: running means and variances of batch norm, and singular vectors of spectral
        normalisation; {} for a network without both.
    """

    batch_stats: Any

    @property
    def variables(self) -> dict[str, Any]:
        """What the network is applied with."""
        return {'params': self.params, 'batch_stats': self.batch_stats}


class GANState(flax.struct.PyTreeNode):
    """Everything that training changes; a checkpoint has it, and the sums of metrics since the last log point.

    Attributes:
      step: rounds done, int32 scalar.
      critic: the critic and its optimizer.
      generator: the generator and its optimizer.
      ema: exponential moving averages of the generator's `params` and `batch_stats`, or None.
    """

    step: jax.Array
    critic: PlayerState
    generator: PlayerState
    ema: dict[str, Any] | None


def create_state(
    key: jax.Array,
    generator: nn.Module,
    critic: nn.Module,
    generator_optimizer: optax.GradientTransformation,
    critic_optimizer: optax.GradientTransformation,
    *,
    latent_dim: int,
    use_ema: bool = False,
) -> GANState:
    """Initialises both players from one key.

    Args:
      key: PRNG key; the same key gives the same state.
      generator: network [B, latent_dim] -> images.
      critic: network images -> scores [B].
      generator_optimizer: its optax transformation.
      critic_optimizer: its optax transformation; weight clipping is the last one of a chain.
      latent_dim: size of a latent vector.
      use_ema: keep an average of the generator, initialised with its parameters.
    """
    generator_key, critic_key = jax.random.split(key)
    images = jnp.zeros((1, *generator.image_shape))
    players = {
        'generator': _create_player(generator_key, generator, generator_optimizer, jnp.zeros((1, latent_dim))),
        'critic': _create_player(critic_key, critic, critic_optimizer, images),
    }
    ema = None
    if use_ema:  # copied, since a donated buffer may occur only once in a state
        ema = jax.tree.map(jnp.copy, players['generator'].variables)
    return GANState(step=jnp.zeros((), jnp.int32), ema=ema, **players)


def _create_player(key: jax.Array, network: nn.Module, optimizer: optax.GradientTransformation, inputs: jax.Array) -> PlayerState:
    # In train mode, batch_stats would include the statistics of the dummy input.
    variables = network.init(key, inputs, train=False)
    state = PlayerState.create(
        apply_fn=network.apply, params=variables['params'], tx=optimizer, batch_stats=variables.get('batch_stats', {})
    )
    return state.replace(step=jnp.zeros((), jnp.int32))


def apply(
    player: PlayerState, params: Any, inputs: jax.Array, *, axis_name: str | None, dropout_key: jax.Array | None = None
) -> tuple[jax.Array, Any]:
    """Runs a player's network in train mode: (outputs, new batch statistics)."""
    rngs = None if dropout_key is None else {'dropout': dropout_key}
    variables = {'params': params, 'batch_stats': player.batch_stats}
    outputs, changed = player.apply_fn(variables, inputs, train=True, axis_name=axis_name, rngs=rngs, mutable=['batch_stats'])
    return outputs, changed.get('batch_stats', {})


def generate(state: GANState, latents: jax.Array) -> jax.Array:
    """Generates images [B, H, W, C] in [-1, 1] from latents [B, latent_dim].

    It uses the average of the generator if there is one, with its batch statistics, in inference mode: an image depends on its own
    latent vector only. standing_statistics.py makes the statistics with which a run's images are made.
    """
    return state.generator.apply_fn(weights_of(state), latents, train=False)


def weights_of(state: GANState) -> dict[str, Any]:
    """The `params` and `batch_stats` that make images: the average of the generator if there is one, or its own."""
    return state.ema or state.generator.variables


def has_batch_norm(player: PlayerState) -> bool:
    """Whether a layer of the network mixes the examples of a batch."""
    return any(name.endswith('.mean') for name in named_leaves(player.batch_stats))


def num_parameters(tree: Any) -> int:
    """The number of values in a tree of arrays or shapes."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def named_leaves(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by path: {'0.critic.params.Dense_0.kernel': array, ...}."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator='.'): leaf for path, leaf in leaves}
