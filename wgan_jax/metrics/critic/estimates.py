"""The critic's scores of real and generated images.

The functions of this package are pure and run on one device. They apply the critic as training does: in train mode, with the
statistics of each batch and with dropout, and against the raw generator, not its moving average. So their numbers are comparable
with the training curve, except that images are always without the noise of config.image_noise. The state is not changed, and
batch statistics are not kept.

Their noise differs from that of the run, even with the same key. With one key for all evaluations of a run, all of them have the
same latents, and the points of a curve differ only by what was learnt.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.algorithm import noise, steps
from wgan_jax.algorithm.state import GANState, PlayerState, apply
from wgan_jax.devices import compiling

_PRIVATE = 2**31 - 1  # no player and no rewind folds this number into the run's key


class Deal(NamedTuple):
    """The random inputs of one evaluation of the critic, as in a critic step."""

    fake: jax.Array  # [B, H, W, C], from the raw generator
    alpha: jax.Array  # [B]
    real_key: jax.Array  # for dropout, one key for each pass
    fake_key: jax.Array
    penalty_key: jax.Array


def deal(generator: PlayerState, key: jax.Array, number: jax.Array, *, batch_size: int, latent_dim: int) -> Deal:
    """Draws the noise of batch `number` of an evaluation with a key from private_key, and generates its fake images."""
    drawn = noise.draw(key, 'critic', number, batch_size, latent_dim, None)
    fake, _ = apply(generator, generator.params, drawn.latents, axis_name=None)
    return Deal(fake, drawn.alpha, *jax.random.split(drawn.dropout_key, 3))


def score(critic: PlayerState, images: jax.Array, dropout_key: jax.Array) -> jax.Array:  # [B, H, W, C] -> [B]
    """Scores of images in [-1, 1], in train mode."""
    return apply(critic, critic.params, images, axis_name=None, dropout_key=dropout_key)[0]


@functools.cache
def program(function: Callable[..., Any], deterministic: bool = False, **settings: Any) -> Callable[..., Any]:
    """The function with these settings, compiled once for all batches of all evaluations: compiling takes longer than running."""
    return compiling.compiled(functools.partial(function, **settings), deterministic=deterministic)


def private_key(key: jax.Array) -> jax.Array:
    """A key whose draws differ from those of a run with `key`."""
    return jax.random.fold_in(key, _PRIVATE)


def whole_batches(images: jax.Array | np.ndarray, batch_size: int) -> jax.Array:  # [N, H, W, C] -> [n, B, H, W, C]
    """Splits images into whole batches; the remainder is not used.

    Raises:
      ValueError: there are fewer images than a batch.
    """
    count = len(images) // batch_size
    if not count:
        raise ValueError(f'{len(images)} images are fewer than a batch of {batch_size}')
    return jnp.asarray(images[: count * batch_size]).reshape(count, batch_size, *images.shape[1:])


def estimates(
    state: GANState,
    train_images: jax.Array,
    held_out_images: jax.Array | None,
    key: jax.Array,
    *,
    batch_size: int,
    latent_dim: int,
    deterministic: bool = False,
) -> dict[str, jax.Array]:
    """The Wasserstein estimate, mean(real) - mean(fake), on training images and on held-out images.

    The estimate on training images falls as the generator learns, if the critic changes slowly; the difference between the two
    shows what the critic has memorised (Gulrajani et al. 2017, section 5.6 and figure 5b). For a GAN the scores are logits.

    Args:
      state: both players.
      train_images: uint8 [N, H, W, C], or in [-1, 1], in random order; whole batches are used.
      held_out_images: [M, H, W, C], or None.
      key: PRNG key.
      batch_size: images that go through the critic together.
      latent_dim: size of a latent vector.
      deterministic: on a GPU, use only algorithms that repeat their bits.

    Returns:
      estimate_train; and with held-out images, estimate_held_out, from the same fake images and dropout masks, and critic_overfit,
      the difference of the two: 0 for a critic that has memorised nothing. float32 scalars.
    """
    key, settings = private_key(key), {'latent_dim': latent_dim, 'deterministic': deterministic}
    real, fake = (jnp.mean(scores) for scores in scores_of(state, whole_batches(train_images, batch_size), key, **settings))
    if held_out_images is None:
        return {'estimate_train': real - fake}
    held_out, _ = scores_of(state, whole_batches(held_out_images, batch_size), key, with_fake=False, **settings)
    held_out = jnp.mean(held_out)
    return {'estimate_train': real - fake, 'estimate_held_out': held_out - fake, 'critic_overfit': real - held_out}


def scores_of(
    state: GANState, real: jax.Array, key: jax.Array, *, latent_dim: int, deterministic: bool, with_fake: bool = True
) -> tuple[jax.Array, jax.Array | None]:  # [n, B, H, W, C] -> ([n * B], [n * B])
    """Scores of real images and of equally many fake ones, in separate passes for each batch: see steps.critic_step."""
    draw = program(deal, deterministic, batch_size=real.shape[1], latent_dim=latent_dim)
    run = program(score, deterministic)
    real_scores, fake_scores = [], []
    for number, batch in enumerate(real):
        dealt = draw(state.generator, key, number)
        real_scores.append(run(state.critic, steps.to_float(batch), dealt.real_key))
        if with_fake:
            fake_scores.append(run(state.critic, dealt.fake, dealt.fake_key))
    return jnp.concatenate(real_scores), jnp.concatenate(fake_scores) if with_fake else None
