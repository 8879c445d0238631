"""WGAN with weight clipping on LSUN bedrooms at 64x64: the experiment of the WGAN paper.

Source: Arjovsky et al. 2017, section 4 and Algorithm 1; the settings of configs/celeba_wgan.py. The set (43 GB) is not downloaded
for you: fetch http://dl.yf.io/lsun/scenes/bedroom_train_lmdb.zip, unzip it into DIR, pip install lmdb, and run

    python train.py --config=configs/lsun_bedroom_wgan.py --config.data.manual_dir=DIR

Measured: 1.5 to 2.4 s per round on 2 cores, 2 to 3 days in all, as configs/celeba_wgan.py; use a GPU.
"""

from ml_collections import ConfigDict

from configs import celeba_wgan


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = celeba_wgan.get_config()
    config.data.name = 'lsun_bedroom'
    config.data.crop = None
    return config
