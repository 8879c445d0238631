"""WGAN whose critic has slopes of at most 1 by its layers: orthogonal weights with MaxMin, on eight Gaussians in the plane.

Source: Anil et al. 2019 for GroupSort with orthonormal weights, here by the Cayley transform (wgan_jax/models/bounded.py); the
points, the batch size, the networks and the optimizers of toy_wgan_gp. Nothing is clipped or penalised. The estimate is a lower
bound of the true distance, up to the noise of a batch, because no slope of the critic exceeds 1.

    python train.py --config=configs/toy_wgan_tight.py

Measured: the critic's level lines are those of a distance, with slope 1 nearly everywhere. Expect all eight Gaussians, with some
points between them. The estimate falls from 0.26 (mean of the first 100 steps) to 0.04, and the exact distance of 1,024 points from
0.55 (of the same steps) to 0.15, where two real samples have 0.08.
"""

from ml_collections import ConfigDict

from configs import toy_wgan_gp


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = toy_wgan_gp.get_config()
    config.gp_weight = 0.0
    config.critic.weights = 'orthogonal'
    config.critic.activation = 'max_min'
    return config
