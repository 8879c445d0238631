"""How steep the critic is, and what keeps it so: the slopes that the penalty looks at, and the weights that clipping bounds."""

import jax
import jax.numpy as jnp

from wgan_jax.algorithm import steps
from wgan_jax.algorithm.losses import AdversarialLoss, interpolate
from wgan_jax.algorithm.state import GANState, PlayerState
from wgan_jax.metrics.critic.estimates import Deal, deal, private_key, program, score, whole_batches
from wgan_jax.metrics.critic.layers import layer_names, layer_weights, pull_back, spectral_norm

BINS = 50


def lipschitz(
    state: GANState,
    real_images: jax.Array,
    key: jax.Array,
    *,
    batch_size: int,
    latent_dim: int,
    loss: AdversarialLoss,
    clip_value: float | None,
    deterministic: bool = False,
) -> dict[str, jax.Array]:
    """The panel of slopes, weights and gradients; pure, and in train mode against the raw generator, as metrics.critic.

    What is per layer is in the order of layers.layer_names, from the output to the input. Weights are the kernels and biases of
    layers; the scales and shifts of norms are not counted, which clipping may spare.

    Args:
      state: both players.
      real_images: uint8 [N, H, W, C], or in [-1, 1]; whole batches are used.
      key: PRNG key, as in metrics.critic.
      batch_size: images that go through the critic together.
      latent_dim: size of a latent vector.
      loss: the game.
      clip_value: c of the run's weight clipping, None without.
      deterministic: as in metrics.critic.

    Returns:
      slope_mean, slope_std and slope_max of |grad_x D| at one point between each real image and a fake one, as the penalty takes
        them (Gulrajani et al. 2017, equation 3); with batch norm in the critic a slope holds what an image does to the scores of
        others;
      slope_counts [50] and slope_edges [51], their histogram from 0 to the largest, to 2 at least;
      weight_counts [50] and weight_edges [51], that of the weights, from minus the largest |w| to plus it: clipping drives them to
        both ends (figure 1b of the same);
      spectral_norms [layers], of kernels as matrices: see layers.spectral_norm, not operator norms of convolutions;
      gradient_norms [layers + 1], of the critic's loss with respect to what each layer puts out, the last with respect to the
        images (figure 1b of the same): the L2 norm of an example, times B, the mean over all examples, real and fake. For a
        Wasserstein critic that is the gradient of the example's own score, so at the last layer 1. The penalty is left out;
      clipped_share and clipped_shares [layers], the part of the weights with |w| >= c (1 - 1e-6), if there is a clip_value.
    """
    key, examined = private_key(key), []
    draw = program(deal, deterministic, batch_size=batch_size, latent_dim=latent_dim)
    run, examine = program(score, deterministic), program(_slopes_and_gradients, deterministic, loss=loss)
    for number, batch in enumerate(whole_batches(real_images, batch_size)):
        batch, dealt = steps.to_float(batch), draw(state.generator, key, number)
        scores = run(state.critic, batch, dealt.real_key), run(state.critic, dealt.fake, dealt.fake_key)
        examined.append(examine(state.critic, batch, dealt, scores))
    slopes = jnp.concatenate([slopes for slopes, _ in examined])
    gradients = jnp.mean(jnp.stack([norms for _, norms in examined]), axis=0)
    counts, edges = _histogram(slopes, jnp.zeros(()), jnp.maximum(2.0, jnp.max(slopes)))
    return {
        'slope_mean': jnp.mean(slopes),
        'slope_std': jnp.std(slopes),
        'slope_max': jnp.max(slopes),
        'slope_counts': counts,
        'slope_edges': edges,
        'gradient_norms': gradients,
        **program(_weights, deterministic, clip_value=clip_value, image_shape=real_images.shape[1:])(state.critic),
    }


def _slopes_and_gradients(
    critic: PlayerState, real: jax.Array, dealt: Deal, scores: tuple[jax.Array, jax.Array], *, loss: AdversarialLoss
) -> tuple[jax.Array, jax.Array]:  # ([B], [layers + 1])
    """Slopes at one point between each pair, and means of the norms of the loss's gradient."""
    interpolates = interpolate(real, dealt.fake, dealt.alpha.reshape(-1, *(1,) * (real.ndim - 1)))
    # Of the mean over a batch an example has a B-th: multiplied by B it does not depend on the size of the batch.
    cotangents = [len(real) * cotangent for cotangent in jax.grad(loss.critic, argnums=(0, 1))(*scores)]
    norms = pull_back(
        critic,
        jnp.stack([real, dealt.fake, interpolates]),
        jnp.stack([dealt.real_key, dealt.fake_key, dealt.penalty_key]),
        jnp.stack([*cotangents, jnp.ones_like(scores[0])]),
    )
    return norms[2, :, -1], jnp.mean(norms[:2], axis=(0, 1))


def _weights(critic: PlayerState, *, clip_value: float | None, image_shape: tuple[int, ...]) -> dict[str, jax.Array]:
    """What of the panel is about the weights alone."""
    layers = layer_weights(critic, layer_names(critic, image_shape))
    weights = jnp.concatenate([leaf.reshape(-1) for layer in layers for leaf in layer])
    largest = jnp.max(jnp.abs(weights))
    counts, edges = _histogram(weights, -largest, largest)
    panel = {'weight_counts': counts, 'weight_edges': edges}
    panel['spectral_norms'] = jnp.stack([spectral_norm(layer[0]) for layer in layers])
    if clip_value is not None:
        clipped = jnp.stack([sum(jnp.sum(jnp.abs(leaf) >= clip_value * (1 - 1e-6)) for leaf in layer) for layer in layers])
        sizes = jnp.array([sum(leaf.size for leaf in layer) for layer in layers])
        panel |= {'clipped_share': jnp.sum(clipped) / jnp.sum(sizes), 'clipped_shares': clipped / sizes}
    return panel


def _histogram(values: jax.Array, low: jax.Array, high: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(counts [50], edges [51]) of values that all lie between low and high; all equal ones are in one bin."""
    edges = jnp.linspace(low, high, BINS + 1)
    # Not by searching the edges for each value, which takes ten times as long for the millions of weights of a critic.
    places = jnp.floor((values.reshape(-1) - low) / jnp.maximum(high - low, jnp.finfo(edges.dtype).tiny) * BINS)
    return jnp.bincount(jnp.clip(places.astype(jnp.int32), 0, BINS - 1), length=BINS), edges
