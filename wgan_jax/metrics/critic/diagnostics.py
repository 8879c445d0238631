"""All that the theory asks about a critic, as one report."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from wgan_jax.algorithm.losses import AdversarialLoss
from wgan_jax.algorithm.state import GANState
from wgan_jax.metrics.critic.estimates import estimates
from wgan_jax.metrics.critic.layers import layer_names
from wgan_jax.metrics.critic.lipschitz import lipschitz
from wgan_jax.metrics.critic.probe import optimality

NUM_IMAGES = 1024  # of training, and as many held out: with NUM_UPDATES all takes less time than 30 rounds
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
    ema_decay: float | None = None,
    grad_accumulation: int = 1,
    num_updates: int = NUM_UPDATES,
    deterministic: bool = False,
) -> Diagnose:
    """Makes the diagnostics of a run, which are compiled at the first call.

    Args:
      batch_size: as in the run: over all its devices, though a diagnosis runs on one. A run of D devices that has no more memory
        than it needs should give D times its grad_accumulation here.
      clip_value: c of the run's weight clipping, None without.
      ema_decay: of the run, and not used: the critic plays against the raw generator.
      grad_accumulation: parts in which a batch goes through the networks, in updates and in all else.
      num_updates: of the probe in probe.optimality.
      deterministic: on a GPU, take only algorithms that give the same bits each time.
      others: as in steps.train_round.

    Returns:
      (state, training images, held-out images or None, key) -> the results of critic.estimates, probe.optimality and
      lipschitz.lipschitz in one dictionary of floats and lists, for JSON; `layers` are the names for what is per layer, from the
      output to the input. The state is of one device, and is neither changed nor donated. Of training images there must be two
      batches, of held-out ones one part of a batch; both in random order.
    """
    del ema_decay
    game = {'loss': loss, 'latent_dim': latent_dim, 'deterministic': deterministic}
    penalty = {'gp_weight': gp_weight, 'gp_one_sided': gp_one_sided, 'grad_accumulation': grad_accumulation}
    part = batch_size // grad_accumulation

    def diagnose(state: GANState, train: np.ndarray, held_out: np.ndarray | None, key: jax.Array) -> dict[str, Any]:
        results = {
            **estimates(state, train, held_out, key, batch_size=part, latent_dim=latent_dim, deterministic=deterministic),
            **optimality(state, train, key, num_updates=num_updates, batch_size=batch_size, **game, **penalty),
            **lipschitz(state, train, key, batch_size=part, clip_value=clip_value, **game),
        }
        lists = {name: np.asarray(value).tolist() for name, value in jax.device_get(results).items()}
        return {'layers': layer_names(state.critic, train.shape[1:]), **lists}

    return diagnose
