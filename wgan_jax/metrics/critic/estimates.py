"""What the critic says of real and generated images.

All functions here, and in the modules beside this one, are pure, for one device, and look at the critic as training does: in train
mode, so with the statistics of each batch and with dropout, and against the raw generator, which is the one it plays against, never
against the average. So their numbers go with those of the training curve. The state they are given is not changed, nor are batch
statistics kept.

Their noise differs from the run's, even if they are given the run's key. One key for all evaluations of a run gives them all
the same latents, so that the points of a curve differ by what was learnt alone.
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

_NOT_THE_RUN = 2**31 - 1  # no player and no rewind folds this number into the run's key


class Deal(NamedTuple):
    """What one look at the critic draws, as a critic step does."""

    fake: jax.Array  # [B, H, W, C], from the raw generator
    alpha: jax.Array  # [B]
    real_key: jax.Array  # of dropout, one for each pass
    fake_key: jax.Array
    penalty_key: jax.Array


def deal(generator: PlayerState, key: jax.Array, number: jax.Array, *, batch_size: int, latent_dim: int) -> Deal:
    """Draws for batch `number` of an evaluation whose key is `key`, of private_key, and generates its fake images."""
    latents, alpha, dropout_key = noise.draw(key, 'critic', number, batch_size, latent_dim, None)
    fake, _ = apply(generator, generator.params, latents, axis_name=None)
    return Deal(fake, alpha, *jax.random.split(dropout_key, 3))


def score(critic: PlayerState, images: jax.Array, dropout_key: jax.Array) -> jax.Array:  # [B, H, W, C] -> [B]
    """Scores of images in [-1, 1], as training takes them."""
    return apply(critic, critic.params, images, axis_name=None, dropout_key=dropout_key)[0]


@functools.cache
def program(function: Callable[..., Any], deterministic: bool = False, **settings: Any) -> Callable[..., Any]:
    """The function with these settings, compiled once for all batches of all evaluations: compiling takes longer than running."""
    return compiling.compiled(functools.partial(function, **settings), deterministic=deterministic)


def private_key(key: jax.Array) -> jax.Array:
    """A key whose draws are not those of a run with this key."""
    return jax.random.fold_in(key, _NOT_THE_RUN)


def whole_batches(images: jax.Array | np.ndarray, batch_size: int) -> jax.Array:  # [N, H, W, C] -> [n, B, H, W, C]
    """Cuts images into whole batches; what is left over is not used.

    Raises:
      ValueError: there is not one whole batch.
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
    """The Wasserstein estimate, mean(real) - mean(fake), on images of training and on images kept out of it.

    With a critic that is slow to change, the first falls as the generator learns; the difference is what the critic has learnt by
    heart (Gulrajani et al. 2017, section 5.4 and figure 5b). For a GAN the scores are logits.

    Args:
      state: both players.
      train_images: uint8 [N, H, W, C], or in [-1, 1]; whole batches are used. Draw them at random from a set that is in an order.
      held_out_images: [M, H, W, C], or None.
      key: PRNG key.
      batch_size: images that go through the critic together.
      latent_dim: size of a latent vector.
      deterministic: on a GPU, take only algorithms that give the same bits each time.

    Returns:
      estimate_train, and with images held out estimate_held_out, of the same fake images and masks of dropout, and critic_overfit,
      the first less the second: 0 is none. float32 scalars.
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
    """Scores of real images and of as many fake ones, each batch in passes of its own; see steps.critic_step."""
    draw = program(deal, deterministic, batch_size=real.shape[1], latent_dim=latent_dim)
    run = program(score, deterministic)
    real_scores, fake_scores = [], []
    for number, batch in enumerate(real):
        dealt = draw(state.generator, key, number)
        real_scores.append(run(state.critic, steps.to_float(batch), dealt.real_key))
        if with_fake:
            fake_scores.append(run(state.critic, dealt.fake, dealt.fake_key))
    return jnp.concatenate(real_scores), jnp.concatenate(fake_scores) if with_fake else None
