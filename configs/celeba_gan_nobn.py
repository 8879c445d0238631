"""GAN on CelebA; the generator has no batch norm and the same number of filters in every layer.

Source: Arjovsky et al. 2017, figure 6, where this GAN fails and the WGAN (configs/celeba_wgan_nobn.py) does not. As in the authors'
code, the generator has no biases either.

    python train.py --config=configs/celeba_gan_nobn.py

Measured: 0.5 s per round on 2 cores, 14 hours in all; use a GPU.
"""

from ml_collections import ConfigDict

from configs import celeba_gan


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = celeba_gan.get_config()
    config.generator.norm = 'none'
    config.generator.constant_width = True
    return config
