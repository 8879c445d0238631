"""WGAN on CelebA with the schedule of the authors' code: 100 critic updates in each early round and in every 500th round.

Source: martinarjovsky/WassersteinGAN, main.py: 100 updates while the step is less than 25 and whenever it is a multiple of 500,
otherwise 5. The rest is configs/celeba_wgan.py.

    python train.py --config=configs/celeba_wgan_authors.py

Measured: 1.5 to 2.4 s per round on 2 cores, 18 times that per boosted round, 2 to 3 days in all; use a GPU.
"""

from ml_collections import ConfigDict

from configs import celeba_wgan


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = celeba_wgan.get_config()
    config.boost.n_critic = 100
    config.boost.until = 25
    config.boost.every = 500
    return config
