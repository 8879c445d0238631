"""WGAN-LP on CelebA: the penalty of configs/celeba_wgan_gp.py, for slopes above 1 only.

Source: Petzka et al. 2018, equation 8; the weight 10 is that of WGAN-GP.

    python train.py --config=configs/celeba_wgan_lp.py

Measured: 2.3 s per round on 2 cores, as configs/celeba_wgan_gp.py, so 5 days in all: made for a GPU.
"""

from ml_collections import ConfigDict

from configs import celeba_wgan_gp


def get_config() -> ConfigDict:
    """The config."""
    config = celeba_wgan_gp.get_config()
    config.gp_one_sided = True
    return config
