"""All diagnostics of a critic in one report."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from wgan_jax.algorithm import noise
from wgan_jax.algorithm.losses import AdversarialLoss
from wgan_jax.algorithm.state import GANState
from wgan_jax.metrics.critic.estimates import estimates
from wgan_jax.metrics.critic.layers import layer_names
from wgan_jax.metrics.critic.lipschitz import lipschitz
from wgan_jax.metrics.critic.probe import optimality

NUM_IMAGES = 1024  # training images, and as many held-out ones: with NUM_UPDATES, a report takes less time than 30 rounds
NUM_UPDATES = 20

Diagnose = Callable[[GANState, np.ndarray, np.ndarray | None, jax.Array], dict[str, Any]]


def make_diagnostics(
    *,
    batch_size: int,
    loss: AdversarialLoss,
    latent_dim: int,
    clip_value: float | None,
    gp_weight: float = 0.0,
    gp_one_sided: bool = False,
    image_noise: noise.ImageNoise | None = None,
    draw: Callable[..., noise.Noise] = noise.draw,
    grad_accumulation: int = 1,
    num_updates: int = NUM_UPDATES,
    deterministic: bool = False,
) -> Diagnose:
    """Makes the diagnostics of a run. For the arguments not listed, see steps.train_round and estimates.estimates.

    Args:
      batch_size: the run's, over all its devices, although the diagnostics run on one device. For a run of D devices whose memory
        is full, give D times its grad_accumulation.
      clip_value: c of the run's weight clipping; None for no clipping.
      grad_accumulation: number of parts in which a batch goes through the networks, in updates and everywhere else.
      num_updates: of probe.optimality.

    Returns:
      (state, training images, held-out images or None, key) -> the results of estimates.estimates, probe.optimality and
      lipschitz.lipschitz in one dictionary of floats and lists, for JSON; `layers` names the layers, from the output to the input.
      The state is on one device, and is neither changed nor donated. There must be at least two batches of training images and
      one part of a batch of held-out images, both in random order.
    """
    game = {'loss': loss, 'latent_dim': latent_dim, 'deterministic': deterministic}
    training = {'gp_weight': gp_weight, 'gp_one_sided': gp_one_sided, 'image_noise': image_noise, 'draw': draw}
    training['grad_accumulation'] = grad_accumulation
    part = batch_size // grad_accumulation

    def diagnose(state: GANState, train: np.ndarray, held_out: np.ndarray | None, key: jax.Array) -> dict[str, Any]:
        results = {
            **estimates(state, train, held_out, key, batch_size=part, latent_dim=latent_dim, deterministic=deterministic),
            **optimality(state, train, key, num_updates=num_updates, batch_size=batch_size, **game, **training),
            **lipschitz(state, train, key, batch_size=part, clip_value=clip_value, **game),
        }
        lists = {name: np.asarray(value).tolist() for name, value in jax.device_get(results).items()}
        return {'layers': layer_names(state.critic, train.shape[1:]), **lists}

    return diagnose
