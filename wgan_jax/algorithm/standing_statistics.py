"""Batch statistics of a generator for making images: of its final weights, over many batches of latents.

The running statistics of training lag behind the weights: a generator is updated once per round, and its statistics then move by a
tenth or a hundredth of the way. The remedy is to take them anew, from the weights as they are: the standing statistics of Brock et
al. 2019 (arXiv 1809.11096, appendix C.1). Training itself never sees them.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from wgan_jax.algorithm.state import GANState, PlayerState, weights_of

Path = tuple[jax.tree_util.DictKey, ...]  # of an array in a tree of batch statistics: the names of its modules, and its own

# Latents of one batch, for any run on any number of devices: so the images of a run do not depend on how it is sampled.
BATCH = 64


def with_standing_statistics(state: GANState, key: jax.Array, *, num_batches: int, latent_dim: int) -> GANState:
    """Replaces the batch statistics of the generator, or of its average if there is one, which `state.generate` uses.

    Args:
      state: both players; only batch statistics of what makes images change.
      key: PRNG key of the latents.
      num_batches: batches of 64 latents, whose means and variances are averaged; 0: keep the running statistics.
      latent_dim: size of a latent vector.
    """
    weights = weights_of(state)
    if not num_batches or not weights['batch_stats']:
        return state

    momenta = _momenta(state.generator, weights, jnp.zeros((BATCH, latent_dim)))

    def body(total: Any, number: jax.Array) -> tuple[Any, None]:
        latents = jax.random.normal(jax.random.fold_in(key, number), (BATCH, latent_dim))
        return jax.tree.map(jnp.add, total, batch_statistics(state.generator, weights, latents)), None

    def mean(path: Path, total: jax.Array, running: jax.Array) -> jax.Array:
        return total / num_batches if _module(path) in momenta else running

    zeros = jax.tree.map(jnp.zeros_like, weights['batch_stats'])
    total, _ = jax.lax.scan(body, zeros, jnp.arange(num_batches))
    means = jax.tree_util.tree_map_with_path(mean, total, weights['batch_stats'])
    if state.ema is not None:
        return state.replace(ema={**state.ema, 'batch_stats': means})
    return state.replace(generator=state.generator.replace(batch_stats=means))


def batch_statistics(player: PlayerState, weights: dict[str, Any], inputs: jax.Array) -> Any:
    """The means and variances that batch norm takes from one batch of inputs, as the tree of running ones in `weights`.

    What other layers keep there, such as the singular vectors of spectral weights, stays as it is.
    """
    momenta = _momenta(player, weights, inputs)

    def start(path: Path, running: jax.Array) -> jax.Array:
        return jnp.zeros_like(running) if _module(path) in momenta else running

    def of_the_batch(path: Path, moved: jax.Array, running: jax.Array) -> jax.Array:
        # From 0, one pass moves the running statistics to (1 - momentum) times those of the batch.
        return moved / (1 - momenta[_module(path)]) if _module(path) in momenta else running

    variables = {**weights, 'batch_stats': jax.tree_util.tree_map_with_path(start, weights['batch_stats'])}
    _, changed = player.apply_fn(variables, inputs, train=True, mutable=['batch_stats'])
    return jax.tree_util.tree_map_with_path(of_the_batch, changed['batch_stats'], weights['batch_stats'])


def _momenta(player: PlayerState, weights: dict[str, Any], inputs: jax.Array) -> dict[tuple[str, ...], float]:
    """The momentum of each batch norm, by the path of its module; nothing is computed."""
    momenta = {}

    def note_momentum(call: Any, args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        if isinstance(context.module, nn.BatchNorm):
            momenta[context.module.path] = context.module.momentum
        return call(*args, **kwargs)

    with nn.intercept_methods(note_momentum):
        jax.eval_shape(lambda: player.apply_fn(weights, inputs, train=True, mutable=['batch_stats']))
    return momenta


def _module(path: Path) -> tuple[str, ...]:
    return tuple(entry.key for entry in path[:-1])
