"""Critics that are trained to near their optimum against a fixed generator."""

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
    """A generator whose images are its latents [B, H * W * C] plus one shift, its only parameter, initially 0.

    So the latents determine what is generated, and the gradient of the shift is the gradient of the mean position.
    """

    image_shape: tuple[int, ...]

    @nn.compact
    def __call__(self, latents: jax.Array, *, train: bool, axis_name: str | None = None) -> jax.Array:
        shift = self.param('shift', nn.initializers.zeros, (1, *self.image_shape))
        return latents.reshape(-1, *self.image_shape) + shift


def new_critic(key: jax.Array, critic: nn.Module, optimizer: optax.GradientTransformation) -> GANState:
    """The state of a new critic and a Shift; for other generators see state.create_state."""
    shape = critic.image_shape
    return create_state(key, Shift(shape), critic, optax.identity(), optimizer, latent_dim=math.prod(shape))


def train_critic(state: GANState, sample: Sampler, key: jax.Array, *, num_updates: int, **game: Any) -> tuple[GANState, Metrics]:
    """Updates the critic, each time on a new batch; the generator does not change.

    The function is pure: compile it with compiling.compiled, or train several critics with jax.lax.map.

    Args:
      state: both players. The noise depends on the critic's number of updates, so a second call continues the first.
      sample: draws a batch. The penalty is taken between example i of the real images and example i of the generated ones.
      key: PRNG key.
      num_updates: number of updates.
      **game: loss, gp_weight and gp_one_sided, see steps.critic_step.

    Returns:
      The new state, and the metrics of each update, [num_updates].
    """

    def body(state: GANState, _: None) -> tuple[GANState, Metrics]:
        sample_key, update_key = jax.random.split(jax.random.fold_in(key, state.critic.step))
        real, latents = sample(sample_key)

        def draw(*arguments: Any) -> noise.Noise:
            return noise.draw(*arguments)._replace(latents=latents)

        return steps.critic_step(state, real, update_key, latent_dim=latents.shape[1], draw=draw, **game)

    return jax.lax.scan(body, state, length=num_updates)


def generator_gradient(state: GANState, latents: jax.Array, loss: AdversarialLoss) -> Any:
    """The gradient of the generator's loss with respect to its parameters, as in a generator step."""

    def value(params: Any) -> jax.Array:
        fake, _ = apply(state.generator, params, latents, axis_name=None)
        return loss.generator(score(state.critic, fake, None))

    return jax.grad(value)(state.generator.params)


def critic_loss(state: GANState, real: jax.Array, latents: jax.Array, loss: AdversarialLoss) -> jax.Array:
    """The critic's loss on one batch, without penalty; a scalar."""
    fake, _ = apply(state.generator, state.generator.params, latents, axis_name=None)
    return loss.critic(score(state.critic, real, None), score(state.critic, fake, None))
