"""The probe: whether the critic is near its optimum, or would change if it were trained longer."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from wgan_jax.algorithm import noise, steps
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
    image_noise: noise.ImageNoise | None = None,
    draw: Callable[..., noise.Noise] = noise.draw,
    grad_accumulation: int = 1,
    deterministic: bool = False,
) -> dict[str, jax.Array]:
    """Trains a copy of the critic further against the fixed generator, and compares it with the critic itself.

    The estimate is a distance only if the critic is near its optimum (Arjovsky et al. 2017, section 3): if a few updates change it
    much, n_critic is too small. A quarter of the images, at least one batch, is used to measure; the copy is trained on the others,
    so that it cannot gain by memorising the measured images. It is trained on images with the run's noise, if there is any, and
    measured without. Without clipping and penalty, as in a GAN, the scale of the scores is
    not bounded: compare the losses instead. For the arguments not listed, see estimates.estimates and steps.critic_step.

    Args:
      train_images: at least two batches.
      num_updates: updates of the copy.
      batch_size: images per update.
      grad_accumulation: number of parts of a batch; the images that are measured go through the critic in such parts too.

    Returns:
      probe_before and probe_after, the estimates on the same images; probe_gain, their difference as a share of |probe_after|,
      which is near 0 if the critic was near its optimum; probe_loss_before and probe_loss_after, the critic's loss without
      penalty. float32 scalars.

    Raises:
      ValueError: there are fewer than two batches of images.
    """
    image_key, measure_key, probe_key = jax.random.split(private_key(key), 3)
    first = num_measured(len(train_images), batch_size)
    measured, others = whole_batches(train_images[:first], batch_size // grad_accumulation), train_images[first:]
    indices = image_order(image_key, len(others), num_updates, batch_size)
    settings = {'latent_dim': latent_dim, 'deterministic': deterministic}
    game = {'loss': loss, 'gp_weight': gp_weight, 'gp_one_sided': gp_one_sided, 'grad_accumulation': grad_accumulation}
    game |= {'image_noise': image_noise, 'draw': draw}
    trained = program(train_critic, **game, **settings)(state, others, indices, probe_key)

    def measure(critic: PlayerState) -> tuple[jax.Array, jax.Array]:
        real, fake = scores_of(state.replace(critic=critic), measured, measure_key, **settings)
        return jnp.mean(real) - jnp.mean(fake), loss.critic(real, fake)

    (before, loss_before), (after, loss_after) = measure(state.critic), measure(trained)
    gain = (after - before) / jnp.maximum(jnp.abs(after), jnp.finfo(after.dtype).tiny)
    probe = {'probe_before': before, 'probe_after': after, 'probe_gain': gain}
    return {**probe, 'probe_loss_before': loss_before, 'probe_loss_after': loss_after}


def num_measured(num_images: int, batch_size: int) -> int:
    """The number of images, from the first on, that are used to measure: a quarter, in whole batches."""
    return max(1, num_images // 4 // batch_size) * batch_size


def image_order(key: jax.Array, num_images: int, num_updates: int, batch_size: int) -> jax.Array:
    """Indices of the images of each update, int32 [num_updates, batch_size]: no image is used twice before all were used."""
    if num_images < batch_size:
        raise ValueError(f'{num_images} images to train on are fewer than a batch of {batch_size}')
    keys = jax.random.split(key, math.ceil(num_updates * batch_size / num_images))
    order = jax.vmap(lambda key: jax.random.permutation(key, num_images))(keys).reshape(-1)
    return order[: num_updates * batch_size].reshape(num_updates, batch_size)


def train_critic(state: GANState, images: jax.Array, indices: jax.Array, key: jax.Array, **settings: Any) -> PlayerState:
    """A copy of the critic after one steps.critic_step, with `settings`, for each row of indices [num_updates, B] of images.

    The critic's count of updates goes on, so each step draws new noise; `key` replaces the run's key.
    """
    images = jnp.asarray(images)

    def body(critic: PlayerState, batch: jax.Array) -> tuple[PlayerState, None]:
        after, _ = steps.critic_step(state.replace(critic=critic), images[batch], key, **settings)
        return after.critic, None

    return jax.lax.scan(body, state.critic, indices)[0]
