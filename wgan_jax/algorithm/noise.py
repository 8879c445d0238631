"""The noise of an update: a pure function of the run's key, the player, and the number of the player's updates.

No key is carried from update to update, so a resumed run draws the same noise as an uninterrupted one. Latents, alphas and noise
on images belong to the rows of the global batch, and each device takes its rows, so they do not depend on the number of devices.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

_PLAYERS = ('critic', 'generator')
_IMAGES = len(_PLAYERS)  # folded into the run's key where a player's number would be, as are the numbers after it for rewinds


class Noise(NamedTuple):
    """The noise of one update on one device."""

    latents: jax.Array  # [B, latent_dim], standard normal
    alpha: jax.Array  # [B], the position of interpolates, for the gradient penalty: uniform in [0, 1), or standard normal
    dropout_key: jax.Array  # different on each device: dropout masks are all that depends on the number of devices
    image_keys: jax.Array | None = None  # [B], of the noise on images


class ImageNoise(NamedTuple):
    """Normal noise on the images that the critic sees, real and generated, which fades linearly.

    Noise spreads two distributions that do not overlap until they do, so that an optimal discriminator has a gradient that does not
    vanish (Arjovsky and Bottou 2017, section 3; Soenderby et al. 2017, section 3.1).
    """

    std: float  # at the first round, in the units of images in [-1, 1]
    until: int | None  # the first round without noise; None: it does not fade

    def add(self, images: jax.Array, keys: jax.Array, step: jax.Array) -> jax.Array:
        """Adds noise to images [B, ...] with one key for each; `step` is the number of rounds so far."""
        std = self.std * (1.0 if self.until is None else jnp.maximum(0.0, 1.0 - step / self.until))
        return images + std * jax.vmap(lambda key: jax.random.normal(key, images.shape[1:], images.dtype))(keys)


def draw(
    key: jax.Array,
    player: str,
    update: jax.Array,
    batch_size: int,
    latent_dim: int,
    axis_name: str | None,
    *,
    normal_alpha: bool = False,
    sharing: int | None = None,
) -> Noise:
    """Draws the noise for one update of one player.

    Args:
      key: the run's key.
      player: 'critic' or 'generator'.
      update: number of updates of this player so far, int32 scalar.
      batch_size: B, the examples on this device.
      latent_dim: size of a latent vector.
      axis_name: the mapped axis inside pmap, None elsewhere.
      normal_alpha: whether alpha is standard normal, so that most interpolates lie outside of the segment.
      sharing: critic updates of a round that share the latents of its generator update; None: each update has its own.
    """
    own_key = _update_key(key, player, update)
    latent_key, alpha_key, dropout_key = jax.random.split(own_key, 3)
    if sharing:
        latent_key = jax.random.split(_update_key(key, 'generator', update // sharing if player == 'critic' else update), 3)[0]
    if axis_name is not None:
        dropout_key = jax.random.fold_in(dropout_key, jax.lax.axis_index(axis_name))
    rows = jnp.arange(batch_size) + (0 if axis_name is None else batch_size * jax.lax.axis_index(axis_name))
    return Noise(
        latents=_local_rows(jax.random.normal, latent_key, batch_size, (latent_dim,), axis_name),
        alpha=_local_rows(jax.random.normal if normal_alpha else jax.random.uniform, alpha_key, batch_size, (), axis_name),
        dropout_key=dropout_key,
        image_keys=jax.vmap(jax.random.fold_in, (None, 0))(_update_key(jax.random.fold_in(key, _IMAGES), player, update), rows),
    )


def after_rewinds(key: jax.Array, rewinds: int) -> jax.Array:
    """The run's key after the run has gone back to a checkpoint `rewinds` times; each time the noise is different."""
    # Different from the numbers of the players, which would give keys that are in use.
    return jax.random.fold_in(key, _IMAGES + rewinds) if rewinds else key


def _update_key(key: jax.Array, player: str, update: jax.Array) -> jax.Array:
    return jax.random.fold_in(jax.random.fold_in(key, _PLAYERS.index(player)), update)


def _local_rows(
    sample: Callable[..., jax.Array], key: jax.Array, rows: int, shape: tuple[int, ...], axis_name: str | None
) -> jax.Array:  # [rows, *shape]
    if axis_name is None:
        return sample(key, (rows, *shape))
    sampled = sample(key, (rows * jax.lax.axis_size(axis_name), *shape))
    return jax.lax.dynamic_slice_in_dim(sampled, jax.lax.axis_index(axis_name) * rows, rows)
