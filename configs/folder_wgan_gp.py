"""WGAN-GP on your own images, cropped to squares and resized to 64x64.

Source: Gulrajani et al. 2017, Algorithm 1, as configs/celeba_wgan_gp.py. Image sizes from 16 to 256 that are 4 times a power of two
work: --config.data.image_size=128. A tenth of the images is held out.

    python train.py --config=configs/folder_wgan_gp.py --config.data.folder=DIR

Measured: 2.3 to 3.3 s per round on 2 cores, 1 to 2 days in all; use a GPU. On a CPU, begin with --config.data.image_size=32
--config.generator.num_features=32 --config.critic.num_features=32, which takes 0.15 s per round.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = default.get_config()
    config.num_steps = 50_000
    config.eval_every = 5000
    config.generator.network = config.critic.network = 'dcgan'
    config.generator.norm = 'batch'
    config.critic.norm = 'none'
    config.data.name = 'folder'
    config.data.image_size = 64
    config.data.holdout = 0.1
    return config
