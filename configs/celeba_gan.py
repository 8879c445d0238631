"""GAN with the -log D trick on CelebA at 64x64: the DCGAN that the WGAN papers compare with.

Source: Radford et al. 2016: Adam 2e-4 with b1 0.5 for both players, n_critic 1. Batch 64 and 100 latents as in
configs/celeba_wgan.py. The number of steps is ours.

    python train.py --config=configs/celeba_gan.py

Measured: 0.6 to 1.2 s per round on 2 cores, 16 to 33 hours in all; use a GPU. Faces after 5,000 rounds, an hour and a half.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = default.get_config()
    config.num_steps = 100_000
    config.loss = 'non_saturating'
    config.gp_weight = 0.0
    config.n_critic = 1
    config.generator.network = config.critic.network = 'dcgan'
    config.generator.norm = config.critic.norm = 'batch'
    for optimizer in (config.generator_optimizer, config.critic_optimizer):
        optimizer.learning_rate = 2e-4
        optimizer.b1, optimizer.b2 = 0.5, 0.999
    config.data.name = 'celeba'
    config.eval_every = 10_000
    config.data.image_size = 64
    config.data.crop = 140
    return config
