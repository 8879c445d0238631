"""The critic step, the generator step, and the round that they make.

A step is a plain function `(state, real, key) -> (state, metrics)`. It runs un-jitted in a debugger, on one device, or inside pmap
if it is given the name of the mapped axis. `key` is the same for the whole run: `draw` derives the noise of each update from it,
and can be replaced to choose latents and alphas.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from wgan_jax.algorithm import noise
from wgan_jax.algorithm.losses import AdversarialLoss, gradient_penalty, interpolate
from wgan_jax.algorithm.state import GANState, PlayerState, apply

Metrics = dict[str, jax.Array]  # flat, float32 scalars


def critic_step(
    state: GANState,
    real: jax.Array,
    key: jax.Array,
    *,
    loss: AdversarialLoss,
    latent_dim: int,
    gp_weight: float = 0.0,
    gp_one_sided: bool = False,
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
      gp_weight: weight of the gradient penalty; 0 leaves it out of the program.
      gp_one_sided: penalise only slopes above 1.
      grad_accumulation: parts of B that are processed one after the other, which needs less memory. The update is that of the whole
        batch, except for dropout masks and for batch norm, whose statistics are then those of a part.
      axis_name: the mapped axis inside pmap, None elsewhere.
      draw: source of latents, alpha and the dropout key; see noise.draw.

    Returns:
      The new state, and critic_loss (with the penalty), wasserstein_estimate, and gradient_penalty if there is one.
    """
    critic, batch_size = state.critic, real.shape[0]
    latents, alpha, dropout_key = draw(key, 'critic', critic.step, batch_size, latent_dim, axis_name)

    def loss_fn(
        params: Any, batch_stats: Any, real: jax.Array, latents: jax.Array, alpha: jax.Array, dropout_key: jax.Array
    ) -> tuple[jax.Array, tuple[Any, Metrics]]:
        real = to_float(real)
        real_key, fake_key, penalty_key = jax.random.split(dropout_key, 3)
        fake, _ = apply(state.generator, state.generator.params, latents, axis_name=axis_name)
        # Two passes, so that batch norm never mixes real and fake images.
        real_scores, batch_stats = apply(
            critic.replace(batch_stats=batch_stats), params, real, axis_name=axis_name, dropout_key=real_key
        )
        fake_scores, batch_stats = apply(
            critic.replace(batch_stats=batch_stats), params, fake, axis_name=axis_name, dropout_key=fake_key
        )
        total = loss.critic(real_scores, fake_scores)
        metrics = {'wasserstein_estimate': jnp.mean(real_scores) - jnp.mean(fake_scores)}
        if gp_weight:
            penalty = gradient_penalty(
                lambda images: apply(critic, params, images, axis_name=axis_name, dropout_key=penalty_key)[0],
                interpolate(real, fake, alpha.reshape(-1, *(1,) * (real.ndim - 1))),
                one_sided=gp_one_sided,
            )
            total += gp_weight * penalty
            metrics['gradient_penalty'] = penalty
        return total, (batch_stats, {'critic_loss': total, **metrics})

    updated, metrics = update(loss_fn, critic, (real, latents, alpha), dropout_key, grad_accumulation, axis_name)
    return state.replace(critic=updated), metrics


def generator_step(
    state: GANState,
    key: jax.Array,
    *,
    batch_size: int,
    loss: AdversarialLoss,
    latent_dim: int,
    ema_decay: float | None = None,
    grad_accumulation: int = 1,
    axis_name: str | None = None,
    draw: Callable[..., noise.Noise] = noise.draw,
) -> tuple[GANState, Metrics]:
    """Updates the generator, and its average, against the critic of `state`, which stays bit-identical.

    Args:
      state: both players.
      key: the run's key.
      batch_size: latents to draw on this device.
      loss, latent_dim, grad_accumulation, axis_name, draw: see critic_step.
      ema_decay: decay of the average per round; None for no average.

    Returns:
      The new state, and generator_loss.
    """
    generator = state.generator
    latents, _, dropout_key = draw(key, 'generator', generator.step, batch_size, latent_dim, axis_name)

    def loss_fn(params: Any, batch_stats: Any, latents: jax.Array, dropout_key: jax.Array) -> tuple[jax.Array, tuple[Any, Metrics]]:
        fake, batch_stats = apply(generator.replace(batch_stats=batch_stats), params, latents, axis_name=axis_name)
        scores, _ = apply(state.critic, state.critic.params, fake, axis_name=axis_name, dropout_key=dropout_key)
        value = loss.generator(scores)
        return value, (batch_stats, {'generator_loss': value})

    updated, metrics = update(loss_fn, generator, (latents,), dropout_key, grad_accumulation, axis_name)
    ema = state.ema
    if ema_decay is not None:
        # Batch statistics are averaged together with the weights that they belong to.
        current = {'params': updated.params, 'batch_stats': updated.batch_stats}
        ema = optax.incremental_update(current, ema, 1.0 - ema_decay)
    return state.replace(generator=updated, ema=ema), metrics


def train_round(
    state: GANState,
    real: jax.Array,
    key: jax.Array,
    *,
    loss: AdversarialLoss,
    latent_dim: int,
    gp_weight: float = 0.0,
    gp_one_sided: bool = False,
    ema_decay: float | None = None,
    grad_accumulation: int = 1,
    axis_name: str | None = None,
    draw: Callable[..., noise.Noise] = noise.draw,
) -> tuple[GANState, Metrics]:
    """One step of training: n_critic critic steps, each on its own batch, then one generator step.

    Args:
      state: both players.
      real: images [n_critic, B, H, W, C], uint8 or in [-1, 1].
      key: the run's key.
      loss, latent_dim, gp_weight, gp_one_sided, ema_decay, grad_accumulation, axis_name, draw: see the two steps.

    Returns:
      The new state, and the metrics of the generator step and of the last critic step, whose critic is the nearest to its optimum.
    """
    game = {'loss': loss, 'latent_dim': latent_dim, 'axis_name': axis_name, 'draw': draw, 'grad_accumulation': grad_accumulation}

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
    names = ['rounds', 'critic_loss', 'wasserstein_estimate', 'generator_loss', *(['gradient_penalty'] if gp_weight else [])]
    return {name: jnp.zeros((), jnp.float32) for name in names}


def to_float(images: jax.Array) -> jax.Array:
    """Converts uint8 images to float32 in [-1, 1]; leaves other types as they are."""
    return images.astype(jnp.float32) / 127.5 - 1.0 if images.dtype == jnp.uint8 else images


def update(
    loss_fn: Callable[..., tuple[jax.Array, tuple[Any, Metrics]]],
    player: PlayerState,
    inputs: tuple[jax.Array, ...],
    dropout_key: jax.Array,
    num_parts: int,
    axis_name: str | None,
) -> tuple[PlayerState, Metrics]:
    """Updates a player with the gradients of the mean loss over all parts of the batch and all devices.

    Args:
      loss_fn: (params, batch_stats, *inputs, dropout_key) -> (loss, (new batch_stats, metrics)).
      player: the player.
      inputs: arrays [B, ...].
      dropout_key: split into one key per part, if there are several parts.
      num_parts: parts of B.
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
    if axis_name is not None:
        gradients, metrics = jax.lax.pmean((gradients, metrics), axis_name)
    return player.apply_gradients(grads=gradients, batch_stats=batch_stats), metrics
