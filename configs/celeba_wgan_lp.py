"""WGAN-LP on CelebA: configs/celeba_wgan_gp.py with a penalty for slopes above 1 only.

Source: Petzka et al. 2018, equation 8; the weight 10 is from WGAN-GP.

    python train.py --config=configs/celeba_wgan_lp.py

Measured: 2.3 to 3.3 s per round on 2 cores, 5 to 8 days in all, as configs/celeba_wgan_gp.py; use a GPU.
"""

from ml_collections import ConfigDict

from configs import celeba_wgan_gp


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = celeba_wgan_gp.get_config()
    config.gp_one_sided = True
    return config
