"""The critic step, the generator step, and the round that they make.

A step is a plain function `(state, real, key) -> (state, metrics)`; that of the generator takes no `real`. It runs un-jitted in a
debugger, on one device, or inside pmap if it is given the name of the mapped axis. `key` is the same for the whole run: `draw`
derives the noise of each update from it, and can be replaced to choose latents and alphas.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from wgan_jax.algorithm import noise
from wgan_jax.algorithm.losses import AdversarialLoss, gradient_penalty, interpolate
from wgan_jax.algorithm.state import GANState, apply
from wgan_jax.algorithm.update import Metrics, update

Carry = tuple[GANState, Metrics]  # from call to call: the state, and the sums of metrics since the last log point


def critic_step(
    state: GANState,
    real: jax.Array,
    key: jax.Array,
    *,
    loss: AdversarialLoss,
    latent_dim: int,
    gp_weight: float | jax.Array = 0.0,
    gp_one_sided: bool = False,
    image_noise: noise.ImageNoise | None = None,
    grad_accumulation: int = 1,
    axis_name: str | None = None,
    draw: Callable[..., noise.Noise] = noise.draw,
) -> tuple[GANState, Metrics]:
    """Updates the critic on one batch; the generator stays bit-identical.

    Args:
      state: both players.
      real: images [B, H, W, C], uint8 or in [-1, 1]: this device's share of the global batch.
      key: the run's key.
      loss: the losses of both players.
      latent_dim: size of a latent vector.
      gp_weight: weight of the gradient penalty. The number 0 leaves the penalty out of the program; a traced array, as in a
        program that serves many runs, keeps it whatever its value.
      gp_one_sided: penalise only slopes above 1.
      image_noise: noise on the images that the critic sees; None for none.
      grad_accumulation: parts of B that are processed one after the other, which needs less memory. The update is that of the whole
        batch, except for dropout masks, for batch norm, whose statistics are then those of a part, and for spectral normalisation,
        whose singular vectors move with each part.
      axis_name: the mapped axis inside pmap, None elsewhere.
      draw: source of latents, alpha and the dropout key; see noise.draw.

    Returns:
      The new state, and critic_loss (with the penalty), real_score and fake_score (the means), wasserstein_estimate (their
      difference), and gradient_penalty if there is one.
    """
    critic, batch_size = state.critic, real.shape[0]
    drawn = draw(key, 'critic', critic.step, batch_size, latent_dim, axis_name)

    def loss_fn(
        params: Any,
        batch_stats: Any,
        real: jax.Array,
        latents: jax.Array,
        alpha: jax.Array,
        image_keys: jax.Array | None,
        dropout_key: jax.Array,
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        real = to_float(real)
        real_key, fake_key, penalty_key = jax.random.split(dropout_key, 3)
        fake, _ = apply(state.generator, state.generator.params, latents, axis_name=axis_name)
        if image_noise is not None:
            keys = jax.vmap(jax.random.split)(image_keys)  # [B, 2]
            real, fake = (image_noise.add(images, keys[:, i], state.step) for i, images in enumerate((real, fake)))
        # Two passes, so that batch norm never mixes real and fake images.
        real_scores, batch_stats = apply(
            critic.replace(batch_stats=batch_stats), params, real, axis_name=axis_name, dropout_key=real_key
        )
        fake_scores, batch_stats = apply(
            critic.replace(batch_stats=batch_stats), params, fake, axis_name=axis_name, dropout_key=fake_key
        )
        total = loss.critic(real_scores, fake_scores)
        real_score, fake_score = jnp.mean(real_scores), jnp.mean(fake_scores)
        metrics = {'real_score': real_score, 'fake_score': fake_score, 'wasserstein_estimate': real_score - fake_score}
        if isinstance(gp_weight, jax.Array) or gp_weight:

            def score(images: jax.Array) -> jax.Array:
                return apply(critic, params, images, axis_name=axis_name, dropout_key=penalty_key)[0]

            interpolates = interpolate(real, fake, alpha.reshape(-1, *(1,) * (real.ndim - 1)))
            if loss.penalty is None:
                penalty = gradient_penalty(score, interpolates, one_sided=gp_one_sided)
            else:
                penalty = loss.penalty(score, real, fake, interpolates)
            total += gp_weight * penalty
            metrics['gradient_penalty'] = penalty
        return total, (batch_stats, {'critic_loss': total, **metrics})

    inputs = real, drawn.latents, drawn.alpha, None if image_noise is None else drawn.image_keys
    updated, metrics = update(loss_fn, critic, inputs, drawn.dropout_key, grad_accumulation, axis_name)
    return state.replace(critic=updated), metrics


def generator_step(
    state: GANState,
    key: jax.Array,
    *,
    batch_size: int,
    loss: AdversarialLoss,
    latent_dim: int,
    ema_decay: float | jax.Array | None = None,
    image_noise: noise.ImageNoise | None = None,
    grad_accumulation: int = 1,
    axis_name: str | None = None,
    draw: Callable[..., noise.Noise] = noise.draw,
) -> tuple[GANState, Metrics]:
    """Updates the generator, and its average, against the critic of `state`, which stays bit-identical.

    Args:
      state: both players.
      key: the run's key.
      batch_size: latents to draw on this device.
      loss, latent_dim, image_noise, grad_accumulation, axis_name, draw: see critic_step.
      ema_decay: decay of the average per round; None for no average.

    Returns:
      The new state, and generator_loss.
    """
    generator = state.generator
    drawn = draw(key, 'generator', generator.step, batch_size, latent_dim, axis_name)

    def loss_fn(
        params: Any, batch_stats: Any, latents: jax.Array, image_keys: jax.Array | None, dropout_key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        fake, batch_stats = apply(generator.replace(batch_stats=batch_stats), params, latents, axis_name=axis_name)
        if image_noise is not None:
            fake = image_noise.add(fake, image_keys, state.step)
        scores, _ = apply(state.critic, state.critic.params, fake, axis_name=axis_name, dropout_key=dropout_key)
        value = loss.generator(scores)
        return value, (batch_stats, {'generator_loss': value})

    inputs = drawn.latents, None if image_noise is None else drawn.image_keys
    updated, metrics = update(loss_fn, generator, inputs, drawn.dropout_key, grad_accumulation, axis_name)
    ema = state.ema
    if ema_decay is not None:
        # Batch statistics are averaged together with the weights that they belong to.
        ema = optax.incremental_update(updated.variables, ema, 1.0 - ema_decay)
    return state.replace(generator=updated, ema=ema), metrics


def train_round(
    state: GANState,
    real: jax.Array,
    key: jax.Array,
    *,
    loss: AdversarialLoss,
    latent_dim: int,
    gp_weight: float | jax.Array = 0.0,
    gp_one_sided: bool = False,
    ema_decay: float | jax.Array | None = None,
    image_noise: noise.ImageNoise | None = None,
    grad_accumulation: int = 1,
    axis_name: str | None = None,
    draw: Callable[..., noise.Noise] = noise.draw,
) -> tuple[GANState, Metrics]:
    """One round: n_critic critic updates, each on its own batch, then one generator update.

    Args:
      state: both players.
      real: images [n_critic, B, H, W, C], uint8 or in [-1, 1].
      key: the run's key.
      loss, latent_dim, gp_weight, gp_one_sided, ema_decay, image_noise, grad_accumulation, axis_name, draw: see the two steps.

    Returns:
      The new state, and the metrics of the generator step and of the last critic step, whose critic is the nearest to its optimum.
    """
    game = {'loss': loss, 'latent_dim': latent_dim, 'image_noise': image_noise, 'axis_name': axis_name, 'draw': draw}
    game['grad_accumulation'] = grad_accumulation

    def body(state: GANState, batch: jax.Array) -> tuple[GANState, Metrics]:
        return critic_step(state, batch, key, gp_weight=gp_weight, gp_one_sided=gp_one_sided, **game)

    state, critic_metrics = jax.lax.scan(body, state, real)
    state, generator_metrics = generator_step(state, key, batch_size=real.shape[1], ema_decay=ema_decay, **game)
    last = jax.tree.map(lambda values: values[-1], critic_metrics)
    return state.replace(step=state.step + 1), {**last, **generator_metrics}


def train_rounds(
    state: GANState,
    sums: Metrics,
    images: jax.Array,
    indices: jax.Array,
    num_rounds: jax.Array,
    key: jax.Array,
    *,
    image_shape: tuple[int, ...],
    **settings: Any,
) -> tuple[GANState, Metrics]:
    """Up to K rounds in one program.

    The number of rounds is an argument, so one compilation serves every call. Metrics are summed round by round, in an array that
    is carried from call to call, so they do not depend on how rounds are grouped into calls.

    Args:
      state: both players.
      sums: metrics summed since the last log point, and the number of `rounds` in them; see zero_sums.
      images: the whole data set, uint8 [N, H * W * C]. With the shape [N, H, W, C] a TPU would copy it at every call, into twice
        the memory: gathering needs another order of axes than the one that wastes no memory on few channels.
      indices: the images of each round, int32 [K, n_critic, B]; rows from `num_rounds` on are not read.
      num_rounds: rounds to run, int32 scalar, at most K.
      key: the run's key.
      image_shape: (H, W, C).
      **settings: keyword arguments of train_round.

    Returns:
      The new state and the new sums.
    """

    def body(i: jax.Array, carry: tuple[GANState, Metrics]) -> tuple[GANState, Metrics]:
        state, sums = carry
        real = images[indices[i]].reshape(*indices.shape[1:], *image_shape)
        state, metrics = train_round(state, real, key, **settings)
        metrics['rounds'] = jnp.ones(())
        return state, {name: total + metrics[name].astype(total.dtype) for name, total in sums.items()}

    return jax.lax.fori_loop(0, num_rounds, body, (state, sums))


def zero_sums(gp_weight: float) -> Metrics:
    """The sums of zero rounds, with which train_rounds starts."""
    names = ['rounds', 'critic_loss', 'real_score', 'fake_score', 'wasserstein_estimate', 'generator_loss']
    names += ['gradient_penalty'] if gp_weight else []
    return {name: jnp.zeros((), jnp.float32) for name in names}


def to_float(images: jax.Array) -> jax.Array:
    """Converts uint8 images to float32 in [-1, 1]; leaves other types as they are."""
    return images.astype(jnp.float32) / 127.5 - 1.0 if images.dtype == jnp.uint8 else images
