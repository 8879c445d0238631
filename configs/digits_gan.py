"""GAN with the -log D trick on scikit-learn's digits.

Source: Goodfellow et al. 2014, Algorithm 1 with one critic step; Adam as in DCGAN (Radford et al. 2016); the networks of
digits_wgan_gp. The column wasserstein_estimate is the difference between mean logits; it does not estimate a distance.

    python train.py --config=configs/digits_gan.py

Measured: 15 to 20 s on 2 cores. Expect digits; the critic loss falls from 1.24 to 0.97.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = default.get_config()
    config.num_steps = 15_000
    config.loss = 'non_saturating'
    config.gp_weight = 0.0
    config.n_critic = 1
    config.latent_dim = 32
    for player in (config.generator, config.critic):
        player.num_features, player.num_layers = 128, 2
    config.generator.norm = 'batch'
    for optimizer in (config.generator_optimizer, config.critic_optimizer):
        optimizer.learning_rate = 2e-4
        optimizer.b1, optimizer.b2 = 0.5, 0.999
    config.data.split = 'train'  # a sixth is held out for evaluation
    config.eval_every = 3000
    config.eval_num_samples = 1000
    return config
