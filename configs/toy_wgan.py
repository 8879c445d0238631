"""WGAN with weight clipping on points in the plane: eight Gaussians on a circle.

Source: the points, batch size and depth of toy_wgan_gp; RMSProp and n_critic of Arjovsky et al. 2017, Algorithm 1. c = 0.05 and the
learning rates are ours: with the paper's 0.01, such a small critic learns almost nothing in a minute.

    python train.py --config=configs/toy_wgan.py

Measured: 45 s on 2 cores. Expect all eight Gaussians, blurred and connected, because the clipped critic is a simple function. The
estimate rises to 0.11 (mean of 100 steps) while the critic's weights grow, and falls to 0.02.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = default.get_config()
    config.num_steps = 3000
    config.batch_size = 256
    config.latent_dim = 2
    config.gp_weight = 0.0
    config.clip_value = 0.05
    config.generator.bounded = False
    for player in (config.generator, config.critic):
        player.num_features, player.num_layers = 128, 3
    for optimizer in (config.generator_optimizer, config.critic_optimizer):
        optimizer.name = 'rmsprop'
    config.critic_optimizer.learning_rate = 1e-4
    config.generator_optimizer.learning_rate = 3e-4
    config.data.name = 'gaussians_8'
    config.exact_points = 512
    config.sample_every = 100
    config.num_samples = 1000
    return config
