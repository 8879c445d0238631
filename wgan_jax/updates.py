"""What an update of either player is made of: running a network, gradients of a batch that is shared out, the optimizer's step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from wgan_jax.state import PlayerState

Metrics = dict[str, jax.Array]  # flat, float32 scalars


def apply(
    player: PlayerState, params: Any, inputs: jax.Array, *, axis_name: str | None, dropout_key: jax.Array | None = None
) -> tuple[jax.Array, Any]:
    """Runs a player in train mode: (outputs, new batch statistics)."""
    rngs = None if dropout_key is None else {'dropout': dropout_key}
    variables = {'params': params, 'batch_stats': player.batch_stats}
    outputs, changed = player.apply_fn(variables, inputs, train=True, axis_name=axis_name, rngs=rngs, mutable=['batch_stats'])
    return outputs, changed.get('batch_stats', {})


def update(
    loss_fn: Callable[..., tuple[jax.Array, tuple[Any, Metrics]]],
    player: PlayerState,
    inputs: tuple[jax.Array, ...],
    dropout_key: jax.Array,
    num_parts: int,
    axis_name: str | None,
) -> tuple[PlayerState, Metrics]:
    """One update of a player by the gradients of the mean loss over all parts of the batch and all devices.

    Args:
      loss_fn: (params, batch_stats, *inputs, dropout_key) -> (loss, (new batch_stats, metrics)).
      player: the player.
      inputs: arrays [B, ...].
      dropout_key: each part has one of its own, if there are several.
      num_parts: parts into which B is cut.
      axis_name: the mapped axis inside pmap, None elsewhere.
    """
    gradient = jax.grad(loss_fn, has_aux=True)
    if num_parts == 1:
        gradients, (batch_stats, metrics) = gradient(player.params, player.batch_stats, *inputs, dropout_key)
    else:
        parts = [x.reshape(num_parts, -1, *x.shape[1:]) for x in inputs] + [jax.random.split(dropout_key, num_parts)]

        def add(carry: tuple[Any, Any], part: list[jax.Array]) -> tuple[tuple[Any, Any], None]:
            batch_stats, sums = carry
            gradients, (batch_stats, metrics) = gradient(player.params, batch_stats, *part)
            return (batch_stats, jax.tree.map(jnp.add, sums, (gradients, metrics))), None

        _, (_, metrics) = jax.eval_shape(gradient, player.params, player.batch_stats, *(x[0] for x in parts))
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), (player.params, metrics))
        (batch_stats, sums), _ = jax.lax.scan(add, (player.batch_stats, zeros), parts)
        gradients, metrics = jax.tree.map(lambda total: total / num_parts, sums)
    gradients, metrics = _mean((gradients, metrics), axis_name)
    return player.apply_gradients(grads=gradients, batch_stats=batch_stats), metrics


def _mean(tree: Any, axis_name: str | None) -> Any:
    return tree if axis_name is None else jax.lax.pmean(tree, axis_name)
