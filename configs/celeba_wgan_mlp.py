"""WGAN on CelebA with a fully connected generator: 4 hidden layers of 512 units with ReLU; the critic is a DCGAN.

Source: Arjovsky et al. 2017, section 4 and figure 7. The authors' code has three hidden layers and no tanh. A fully connected
critic is --config.critic.network=mlp --config.critic.num_layers=4 --config.critic.norm=None; the one in the paper's figure 3 fails,
with a much larger learning rate.

    python train.py --config=configs/celeba_wgan_mlp.py

Measured: 1.3 s per round on 2 cores, 37 hours in all; use a GPU.
"""

from ml_collections import ConfigDict

from configs import celeba_wgan


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = celeba_wgan.get_config()
    config.generator.network = 'mlp'
    config.generator.num_layers = 4
    config.generator.num_features = 512
    config.generator.norm = 'none'
    return config
