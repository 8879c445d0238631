"""Whether the critic would say more if it were trained longer. See metrics.critic for how it is looked at."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from wgan_jax.algorithm import steps
from wgan_jax.algorithm.losses import AdversarialLoss
from wgan_jax.algorithm.state import GANState, PlayerState
from wgan_jax.metrics.critic.estimates import private_key, program, scores_of, whole_batches


def optimality(
    state: GANState,
    train_images: jax.Array,
    key: jax.Array,
    *,
    num_updates: int,
    batch_size: int,
    loss: AdversarialLoss,
    latent_dim: int,
    gp_weight: float = 0.0,
    gp_one_sided: bool = False,
    grad_accumulation: int = 1,
    deterministic: bool = False,
) -> dict[str, jax.Array]:
    """Trains a copy of the critic further against the generator as it is, and compares it with the critic itself.

    The estimate is a distance only if the critic is near its optimum (Arjovsky et al. 2017, section 3): if a few updates change it
    much, n_critic is too small. A quarter of the images, one batch at least, measures; the copy learns from the others, so that
    it cannot gain by learning the measured ones by heart. The scale of a critic with neither clipping nor penalty is not bounded,
    as in a GAN: there look at the loss.

    Args:
      state: both players.
      train_images: uint8 [N, H, W, C], or in [-1, 1]; two batches at least.
      key: PRNG key.
      num_updates: further updates of the copy.
      batch_size: images of an update.
      others: as in steps.critic_step and estimates; the images that measure also go through in parts, if there are some.

    Returns:
      probe_before and probe_after, the estimates on the same images; probe_gain, their difference as a share of |probe_after|: near
      0 the critic was near its optimum; probe_loss_before and probe_loss_after, the critic's loss without penalty. float32 scalars.

    Raises:
      ValueError: there are not two batches of images.
    """
    image_key, measure_key, probe_key = jax.random.split(private_key(key), 3)
    first = num_measured(len(train_images), batch_size)
    measured, others = whole_batches(train_images[:first], batch_size // grad_accumulation), train_images[first:]
    indices = image_order(image_key, len(others), num_updates, batch_size)
    settings = {'latent_dim': latent_dim, 'deterministic': deterministic}
    game = {'loss': loss, 'gp_weight': gp_weight, 'gp_one_sided': gp_one_sided, 'grad_accumulation': grad_accumulation}
    trained = program(train_critic, **game, **settings)(state, others, indices, probe_key)

    def look(critic: PlayerState) -> tuple[jax.Array, jax.Array]:
        real, fake = scores_of(state.replace(critic=critic), measured, measure_key, **settings)
        return jnp.mean(real) - jnp.mean(fake), loss.critic(real, fake)

    (before, loss_before), (after, loss_after) = look(state.critic), look(trained)
    gain = (after - before) / jnp.maximum(jnp.abs(after), jnp.finfo(after.dtype).tiny)
    probe = {'probe_before': before, 'probe_after': after, 'probe_gain': gain}
    return {**probe, 'probe_loss_before': loss_before, 'probe_loss_after': loss_after}


def num_measured(num_images: int, batch_size: int) -> int:
    """How many of the images, the first ones, measure: a quarter, in whole batches."""
    return max(1, num_images // 4 // batch_size) * batch_size


def image_order(key: jax.Array, num_images: int, num_updates: int, batch_size: int) -> jax.Array:
    """Which images each update sees, int32 [num_updates, batch_size]: none is seen twice before all were seen.

    Raises:
      ValueError: there is not one whole batch of images.
    """
    if num_images < batch_size:
        raise ValueError(f'{num_images} images to learn from are fewer than a batch of {batch_size}')
    keys = jax.random.split(key, math.ceil(num_updates * batch_size / num_images))
    order = jax.vmap(lambda key: jax.random.permutation(key, num_images))(keys).reshape(-1)
    return order[: num_updates * batch_size].reshape(num_updates, batch_size)


def train_critic(state: GANState, images: jax.Array, indices: jax.Array, key: jax.Array, **settings: Any) -> PlayerState:
    """A copy of the critic after one steps.critic_step for each row of `indices`; the generator stays as it is.

    Args:
      state: both players. The critic's count of updates goes on, and with it the noise: each step draws its own.
      images: uint8 [N, H, W, C], or in [-1, 1].
      indices: which of them each step sees, int32 [num_updates, B].
      key: in the place of the run's key.
      **settings: keyword arguments of steps.critic_step.
    """
    images = jnp.asarray(images)

    def body(critic: PlayerState, batch: jax.Array) -> tuple[PlayerState, None]:
        after, _ = steps.critic_step(state.replace(critic=critic), images[batch], key, **settings)
        return after.critic, None

    return jax.lax.scan(body, state.critic, indices)[0]
