"""WGAN-GP on scikit-learn's digits: 1,797 scans of 8x8 pixels in the scikit-learn package, so nothing is downloaded.

Source: Gulrajani et al. 2017, Algorithm 1, for the objective, n_critic, gp_weight and Adam's decays. The networks (MLP, two layers
of 128) and the learning rate are ours, chosen for a minute on a small machine.

    python train.py --config=configs/digits_wgan_gp.py

Measured: 30 to 50 s of training on 2 cores, and as long for four evaluations. Expect readable digits after about 2,000 steps; the
estimate falls from 2.3 (mean of the first 100 steps) to 0.64.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = default.get_config()
    config.num_steps = 8_000
    config.latent_dim = 32
    for player in (config.generator, config.critic):
        player.num_features, player.num_layers = 128, 2
    config.generator.norm = 'batch'
    for optimizer in (config.generator_optimizer, config.critic_optimizer):
        optimizer.learning_rate = 5e-4
    config.data.split = 'train'  # a sixth is held out for evaluation
    config.eval_every = 2000
    config.eval_num_samples = 1000
    return config
