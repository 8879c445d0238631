"""GAN with the -log D trick on points in the plane: eight Gaussians on a circle.

Source: the points, batch size and depth of toy_wgan_gp; Goodfellow et al. 2014, Algorithm 1 with one critic step; Adam's decays as
in DCGAN (Radford et al. 2016). The column wasserstein_estimate is the difference between mean logits, not a distance.

    python train.py --config=configs/toy_gan.py

Measured: 45 to 55 s on 2 cores. Expect mode collapse: three of the eight Gaussians, sharp, and almost nothing of the others. Which
ones, and how many, depends on the seed.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = default.get_config()
    config.num_steps = 10_000
    config.batch_size = 256
    config.latent_dim = 2
    config.loss = 'non_saturating'
    config.gp_weight = 0.0
    config.n_critic = 1
    config.generator.bounded = False
    for player in (config.generator, config.critic):
        player.num_features, player.num_layers = 128, 3
    for optimizer in (config.generator_optimizer, config.critic_optimizer):
        optimizer.learning_rate = 2e-4
        optimizer.b1, optimizer.b2 = 0.5, 0.999
    config.data.name = 'gaussians_8'
    config.log_every = 200
    config.exact_points = 512  # as in the other toy configs, so that a report can compare them
    config.sample_every = 100
    config.num_samples = 1000
    return config
