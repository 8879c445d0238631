"""The update of one player: the gradients of a batch, over all its parts and all devices, and the optimizer."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from wgan_jax.algorithm.state import PlayerState

Metrics = dict[str, jax.Array]  # flat, float32 scalars


def update(
    loss_fn: Callable[..., tuple[jax.Array, tuple[Any, Metrics]]],
    player: PlayerState,
    inputs: tuple[jax.Array | None, ...],
    dropout_key: jax.Array,
    num_parts: int,
    axis_name: str | None,
) -> tuple[PlayerState, Metrics]:
    """Updates a player with the gradients of the mean loss over all parts of the batch and all devices.

    Args:
      loss_fn: (params, batch_stats, *inputs, dropout_key) -> (loss, (new batch_stats, metrics)).
      player: the player.
      inputs: arrays [B, ...], or None.
      dropout_key: split into one key per part, if there are several parts.
      num_parts: parts of B.
      axis_name: the mapped axis inside pmap, None elsewhere.
    """
    gradient = jax.grad(loss_fn, has_aux=True)
    if num_parts == 1:
        gradients, (batch_stats, metrics) = gradient(player.params, player.batch_stats, *inputs, dropout_key)
    else:
        divided = jax.tree.map(lambda x: x.reshape(num_parts, -1, *x.shape[1:]), inputs)
        parts = (*divided, jax.random.split(dropout_key, num_parts))

        def add(carry: tuple[Any, Any], part: tuple[jax.Array | None, ...]) -> tuple[tuple[Any, Any], None]:
            batch_stats, sums = carry
            gradients, (batch_stats, metrics) = gradient(player.params, batch_stats, *part)
            return (batch_stats, jax.tree.map(jnp.add, sums, (gradients, metrics))), None

        _, (_, metrics) = jax.eval_shape(gradient, player.params, player.batch_stats, *jax.tree.map(lambda x: x[0], parts))
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), (player.params, metrics))
        (batch_stats, sums), _ = jax.lax.scan(add, (player.batch_stats, zeros), parts)
        gradients, metrics = jax.tree.map(lambda total: total / num_parts, sums)
    if axis_name is not None:
        gradients, metrics = jax.lax.pmean((gradients, metrics), axis_name)
    return player.apply_gradients(grads=gradients, batch_stats=batch_stats), metrics
