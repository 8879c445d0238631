"""Adversarial losses, functions of scores, and the gradient penalty, a function of a critic and of images.

Scores are high for real images. Every critic loss and every generator loss is minimised.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


class AdversarialLoss(NamedTuple):
    """The losses of both players.

    Attributes:
      critic: (real scores [B], fake scores [B]) -> scalar.
      generator: fake scores [B] -> scalar.
      gives_logits: whether the critic estimates a probability, the sigmoid of its score.
      penalty: (score, real, fake, interpolates) -> scalar, with the weight gp_weight, in place of gradient_penalty below; None for
        that one. `score` is the critic, images [B, ...] -> scores [B].
    """

    critic: Callable[[jax.Array, jax.Array], jax.Array]
    generator: Callable[[jax.Array], jax.Array]
    gives_logits: bool = False
    penalty: Callable[..., jax.Array] | None = None


def wasserstein_critic_loss(real_scores: jax.Array, fake_scores: jax.Array) -> jax.Array:
    """mean(fake) - mean(real): the negative of the dual objective (Arjovsky et al. 2017, equation 2)."""
    return jnp.mean(fake_scores) - jnp.mean(real_scores)


def wasserstein_generator_loss(fake_scores: jax.Array) -> jax.Array:
    """-mean(fake) (Arjovsky et al. 2017, Algorithm 1, line 10)."""
    return -jnp.mean(fake_scores)


def cross_entropy_critic_loss(real_logits: jax.Array, fake_logits: jax.Array) -> jax.Array:
    """-mean(log D(real)) - mean(log(1 - D(fake))), D the sigmoid of the score (Goodfellow et al. 2014, equation 1)."""
    return jnp.mean(jax.nn.softplus(-real_logits)) + jnp.mean(jax.nn.softplus(fake_logits))


def minimax_generator_loss(fake_logits: jax.Array) -> jax.Array:
    """mean(log(1 - D(fake))): saturates when the critic rejects fake images (Goodfellow et al. 2014, equation 1)."""
    return -jnp.mean(jax.nn.softplus(fake_logits))


def non_saturating_generator_loss(fake_logits: jax.Array) -> jax.Array:
    """-mean(log D(fake)): the -log D trick (Goodfellow et al. 2014, section 3)."""
    return jnp.mean(jax.nn.softplus(-fake_logits))


def hinge_critic_loss(real_scores: jax.Array, fake_scores: jax.Array) -> jax.Array:
    """mean(max(0, 1 - real)) + mean(max(0, 1 + fake)): scores beyond the margins do not count (Miyato et al. 2018, equation 16).

    The generator's loss is that of WGAN (equation 17). Source of both: Lim and Ye 2017, "Geometric GAN".
    """
    return jnp.mean(jax.nn.relu(1.0 - real_scores)) + jnp.mean(jax.nn.relu(1.0 + fake_scores))


LOSSES: dict[str, AdversarialLoss] = {
    'minimax': AdversarialLoss(cross_entropy_critic_loss, minimax_generator_loss, gives_logits=True),
    'non_saturating': AdversarialLoss(cross_entropy_critic_loss, non_saturating_generator_loss, gives_logits=True),
    'hinge': AdversarialLoss(hinge_critic_loss, wasserstein_generator_loss),
    'wasserstein': AdversarialLoss(wasserstein_critic_loss, wasserstein_generator_loss),
}


def interpolate(real: jax.Array, fake: jax.Array, alpha: jax.Array) -> jax.Array:
    """Real + alpha * (fake - real), with alpha [B, 1, 1, 1]: one point on each pair's segment.

    Raises:
      ValueError: real and fake differ in shape, or alpha is not one number per example.
    """
    if real.shape != fake.shape or alpha.shape != (real.shape[0],) + (1,) * (real.ndim - 1):
        raise ValueError(f'shapes do not fit: real {real.shape}, fake {fake.shape}, alpha {alpha.shape}')
    return real + alpha * (fake - real)


def gradient_penalty(score: Callable[[jax.Array], jax.Array], interpolates: jax.Array, *, one_sided: bool = False) -> jax.Array:
    """The mean squared distance of the critic's slopes from 1.

    The slope of an example is the L2 norm of the gradient of its score with respect to all its pixels. The gradient of the sum of
    scores is each example's own gradient only if no layer mixes examples, so a penalised critic cannot have batch norm.

    Args:
      score: the critic, images [B, ...] -> scores [B].
      interpolates: points at which the slopes are computed, [B, ...].
      one_sided: penalise only slopes above 1 (WGAN-LP, Petzka et al. 2018, equation 8).

    Returns:
      mean((slopes - 1)^2), a scalar in float32 or better (Gulrajani et al. 2017, equation 3), or mean(max(0, slopes - 1)^2).
    """
    gradients = jax.grad(lambda images: jnp.sum(score(images)))(interpolates)
    gradients = gradients.astype(jnp.promote_types(gradients.dtype, jnp.float32)).reshape(gradients.shape[0], -1)
    # The gradient of a plain norm is NaN at zero, which a constant critic reaches.
    slopes = optax.safe_norm(gradients, 0.0, axis=1)  # [B]
    excess = slopes - 1.0
    return jnp.mean(jnp.square(jnp.maximum(excess, 0.0) if one_sided else excess))
