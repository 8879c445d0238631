"""What the updates draw: a pure function of the run's key, the player, and how many updates that player has had.

No key is carried from update to update, so a resumed run draws what an uninterrupted one would have drawn. Latents and alphas are
drawn for the global batch, of which each device keeps its rows: they do not depend on the number of devices.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax

_PLAYERS = ('critic', 'generator')


class Noise(NamedTuple):
    """What one update draws, on one device."""

    latents: jax.Array  # [B, latent_dim], standard normal
    alpha: jax.Array  # [B], uniform in [0, 1): where interpolates lie; only a gradient penalty reads it
    dropout_key: jax.Array  # masks are drawn per device: the one thing that depends on the number of devices


def draw(key: jax.Array, player: str, update: jax.Array, batch_size: int, latent_dim: int, axis_name: str | None) -> Noise:
    """Draws for one update of one player.

    Args:
      key: the run's key.
      player: 'critic' or 'generator'.
      update: updates that this player has had, int32 scalar.
      batch_size: B, examples on this device.
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
    """The run's key once the run has gone back to a checkpoint `rewinds` times: each time it goes on with other noise."""
    # Not the numbers that stand for the players, whose keys would then be known from before.
    return jax.random.fold_in(key, len(_PLAYERS) + rewinds) if rewinds else key


def _local_rows(
    sample: Callable[..., jax.Array], key: jax.Array, rows: int, shape: tuple[int, ...], axis_name: str | None
) -> jax.Array:  # [rows, *shape]
    if axis_name is None:
        return sample(key, (rows, *shape))
    sampled = sample(key, (rows * jax.lax.axis_size(axis_name), *shape))
    return jax.lax.dynamic_slice_in_dim(sampled, jax.lax.axis_index(axis_name) * rows, rows)
