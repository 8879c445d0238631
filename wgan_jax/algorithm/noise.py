"""The noise of an update: a pure function of the run's key, the player, and the number of the player's updates.

No key is carried from update to update, so a resumed run draws the same noise as an uninterrupted one. Latents and alphas are drawn
for the global batch, and each device takes its rows, so they do not depend on the number of devices.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax

_PLAYERS = ('critic', 'generator')


class Noise(NamedTuple):
    """The noise of one update on one device."""

    latents: jax.Array  # [B, latent_dim], standard normal
    alpha: jax.Array  # [B], uniform in [0, 1): the position of interpolates, for the gradient penalty
    dropout_key: jax.Array  # different on each device: dropout masks are all that depends on the number of devices


def draw(key: jax.Array, player: str, update: jax.Array, batch_size: int, latent_dim: int, axis_name: str | None) -> Noise:
    """Draws the noise for one update of one player.

    Args:
      key: the run's key.
      player: 'critic' or 'generator'.
      update: number of updates of this player so far, int32 scalar.
      batch_size: B, the examples on this device.
      latent_dim: size of a latent vector.
      axis_name: the mapped axis inside pmap, None elsewhere.
    """
    key = jax.random.fold_in(jax.random.fold_in(key, _PLAYERS.index(player)), update)
    latent_key, alpha_key, dropout_key = jax.random.split(key, 3)
    if axis_name is not None:
        dropout_key = jax.random.fold_in(dropout_key, jax.lax.axis_index(axis_name))
    return Noise(
        latents=_local_rows(jax.random.normal, latent_key, batch_size, (latent_dim,), axis_name),
        alpha=_local_rows(jax.random.uniform, alpha_key, batch_size, (), axis_name),
        dropout_key=dropout_key,
    )


def after_rewinds(key: jax.Array, rewinds: int) -> jax.Array:
    """The run's key after the run has gone back to a checkpoint `rewinds` times; each time the noise is different."""
    # Different from the numbers of the players, which would give keys that are in use.
    return jax.random.fold_in(key, len(_PLAYERS) + rewinds) if rewinds else key


def _local_rows(
    sample: Callable[..., jax.Array], key: jax.Array, rows: int, shape: tuple[int, ...], axis_name: str | None
) -> jax.Array:  # [rows, *shape]
    if axis_name is None:
        return sample(key, (rows, *shape))
    sampled = sample(key, (rows * jax.lax.axis_size(axis_name), *shape))
    return jax.lax.dynamic_slice_in_dim(sampled, jax.lax.axis_index(axis_name) * rows, rows)
