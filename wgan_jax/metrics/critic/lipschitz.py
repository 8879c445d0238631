"""The Lipschitz constraint of a critic: its slopes between real and generated images, and the weights that clipping bounds.

The points are those of the penalty with uniform alpha, also for a run with gp_alpha=normal: so all runs are measured alike.
"""

import jax
import jax.numpy as jnp

from wgan_jax.algorithm import steps
from wgan_jax.algorithm.losses import AdversarialLoss, interpolate
from wgan_jax.algorithm.state import GANState, PlayerState
from wgan_jax.metrics.critic.estimates import Deal, deal, private_key, program, score, whole_batches
from wgan_jax.metrics.critic.layers import layer_weights, pull_back, spectral_norm

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
    """Slopes, weights and gradients of the critic, in train mode and against the raw generator.

    Values per layer are in the order of layers.layer_names, from the output to the input. Weights are the kernels and biases of
    layers, without the scales and shifts of normalisations, which clipping may leave alone. `clip_value` is c of the run's weight
    clipping, or None. For the other arguments, see estimates.estimates.

    Returns:
      - slope_mean, slope_std and slope_max of |grad_x D| at one interpolate of each pair of a real and a fake image, as in the
        penalty (Gulrajani et al. 2017, equation 3). With batch norm in the critic, a slope includes the effect of an image on the
        scores of other images;
      - slope_counts [50] and slope_edges [51]: their histogram from 0 to the largest slope, or to 2 if that is more;
      - weight_counts [50] and weight_edges [51]: the histogram of the weights w, from -max |w| to max |w|. Clipping drives them to
        both ends (figure 1b of the same paper);
      - spectral_norms [layers] of kernels as matrices, see layers.spectral_norm: not operator norms of convolutions;
      - gradient_norms [layers + 1] of the critic's loss with respect to the output of each layer and, last, to the images (figure
        1b of the same paper): the L2 norm per example, times B, averaged over all real and fake examples. For a Wasserstein critic
        this is the gradient of the example's own score, so it is 1 at the last layer. The penalty is left out;
      - with a clip_value, clipped_share and clipped_shares [layers]: the share of the weights with |w| >= c (1 - 1e-6).
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
    """Slopes at one interpolate of each pair, and mean norms of the gradient of the loss."""
    interpolates = interpolate(real, dealt.fake, dealt.alpha.reshape(-1, *(1,) * (real.ndim - 1)))
    # An example contributes 1/B to the mean over a batch: times B, its gradient does not depend on the size of the batch.
    cotangents = [len(real) * cotangent for cotangent in jax.grad(loss.critic, argnums=(0, 1))(*scores)]
    norms = pull_back(
        critic,
        jnp.stack([real, dealt.fake, interpolates]),
        jnp.stack([dealt.real_key, dealt.fake_key, dealt.penalty_key]),
        jnp.stack([*cotangents, jnp.ones_like(scores[0])]),
    )
    return norms[2, :, -1], jnp.mean(norms[:2], axis=(0, 1))


def _weights(critic: PlayerState, *, clip_value: float | None, image_shape: tuple[int, ...]) -> dict[str, jax.Array]:
    """The results that depend on the weights alone."""
    layers = layer_weights(critic, image_shape)
    weights = jnp.concatenate([leaf.reshape(-1) for layer in layers for leaf in layer])
    largest = jnp.max(jnp.abs(weights))
    counts, edges = _histogram(weights, -largest, largest)
    results = {'weight_counts': counts, 'weight_edges': edges}
    results['spectral_norms'] = jnp.stack([spectral_norm(layer[0]) for layer in layers])
    if clip_value is not None:
        clipped = jnp.stack([sum(jnp.sum(jnp.abs(leaf) >= clip_value * (1 - 1e-6)) for leaf in layer) for layer in layers])
        sizes = jnp.array([sum(leaf.size for leaf in layer) for layer in layers])
        results |= {'clipped_share': jnp.sum(clipped) / jnp.sum(sizes), 'clipped_shares': clipped / sizes}
    return results


def _histogram(values: jax.Array, low: jax.Array, high: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(counts [50], edges [51]) of values that all lie between low and high."""
    edges = jnp.linspace(low, high, BINS + 1)
    # Searching the edges for each value would take ten times as long for the millions of weights of a critic.
    places = jnp.floor((values.reshape(-1) - low) / jnp.maximum(high - low, jnp.finfo(edges.dtype).tiny) * BINS)
    return jnp.bincount(jnp.clip(places.astype(jnp.int32), 0, BINS - 1), length=BINS), edges
