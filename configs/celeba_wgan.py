"""WGAN with weight clipping on CelebA at 64x64: DCGAN, 3,576,704 parameters in the generator, 2,765,568 in the critic.

Source: Arjovsky et al. 2017, Algorithm 1: c = 0.01, RMSProp 5e-5 for both players, batch 64, n_critic 5. Networks and 100 latents
as in the authors' code. The paper trains on LSUN bedrooms (configs/lsun_bedroom_wgan.py). The number of steps is ours.

    python train.py --config=configs/celeba_wgan.py

Measured: 1.5 to 2.4 s per round on 2 cores, 2 to 3 days in all; use a GPU. docs/results.md shows the result at 32x32 pixels and
half the width on 2 cores.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = default.get_config()
    config.num_steps = 100_000
    config.clip_value = 0.01
    config.gp_weight = 0.0
    config.generator.network = config.critic.network = 'dcgan'
    config.generator.norm = config.critic.norm = 'batch'
    for optimizer in (config.generator_optimizer, config.critic_optimizer):
        optimizer.name = 'rmsprop'
        optimizer.learning_rate = 5e-5
    config.data.name = 'celeba'
    config.eval_every = 10_000
    config.data.image_size = 64
    config.data.crop = 140
    return config
