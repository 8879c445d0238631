"""Critics that are trained against a generator that stands still, as near to their optimum as one likes."""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import optax

from wgan_jax.algorithm import noise, steps
from wgan_jax.algorithm.losses import AdversarialLoss
from wgan_jax.algorithm.state import GANState, apply, create_state
from wgan_jax.algorithm.steps import Metrics
from wgan_jax.metrics.critic.estimates import score

Sampler = Callable[[jax.Array], tuple[jax.Array, jax.Array]]  # key -> (real images [B, H, W, C], latents [B, latent_dim])


class Shift(nn.Module):
    """A generator whose images are its latents, all moved by one shift, which begins at 0.

    So a figure says itself what is generated: latents [B, H * W * C] are the images. The shift is its only parameter, and the
    gradient that the critic gives it is that of the mean position.
    """

    image_shape: tuple[int, ...]

    @nn.compact
    def __call__(self, latents: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        shift = self.param('shift', nn.initializers.zeros, (1, *self.image_shape))
        return latents.reshape(-1, *self.image_shape) + shift


def new_critic(key: jax.Array, critic: nn.Module, optimizer: optax.GradientTransformation) -> GANState:
    """A fresh critic beside a Shift; for a generator of another kind see state.create_state."""
    shape = critic.image_shape
    return create_state(key, Shift(shape), critic, optax.identity(), optimizer, latent_dim=math.prod(shape))


def train_a_critic(state: GANState, sample: Sampler, key: jax.Array, *, num_updates: int, **game: Any) -> tuple[GANState, Metrics]:
    """Updates the critic on batches that are drawn anew each time; the generator stays as it is.

    A pure function: compile it with parallel.compiled, or several side by side with jax.lax.map.

    Args:
      state: both players; the critic's count of updates goes on, and with it the noise.
      sample: draws the batches: the real images, and the latents of the generated ones. Example i of each are a pair, between
        which the penalty looks.
      key: PRNG key.
      num_updates: how many.
      **game: loss, gp_weight and gp_one_sided, as in steps.critic_step.

    Returns:
      The state with the trained critic, and the metrics of each update, [num_updates].
    """

    def body(state: GANState, _: None) -> tuple[GANState, Metrics]:
        sample_key, update_key = jax.random.split(jax.random.fold_in(key, state.critic.step))
        real, latents = sample(sample_key)

        def draw(*arguments: Any) -> noise.Noise:
            return noise.draw(*arguments)._replace(latents=latents)

        return steps.critic_step(state, real, update_key, latent_dim=latents.shape[1], draw=draw, **game)

    return jax.lax.scan(body, state, length=num_updates)


def generator_gradient(state: GANState, latents: jax.Array, loss: AdversarialLoss) -> Any:
    """The gradient of the generator's loss by its parameters, a pytree: what a generator step would hand its optimizer."""

    def value(params: Any) -> jax.Array:
        fake, _ = apply(state.generator, params, latents, axis_name=None)
        return loss.generator(score(state.critic, fake, None))

    return jax.grad(value)(state.generator.params)


def critic_loss(state: GANState, real: jax.Array, latents: jax.Array, loss: AdversarialLoss) -> jax.Array:
    """The critic's loss without penalty on one batch, a scalar."""
    fake, _ = apply(state.generator, state.generator.params, latents, axis_name=None)
    return loss.critic(score(state.critic, real, None), score(state.critic, fake, None))
