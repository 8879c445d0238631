"""WGAN-GP on CelebA with the residual networks of the authors, layer norm in the critic, 128 latents.

Source: igul222/improved_wgan_training, gan_64x64.py (GoodGenerator, GoodDiscriminator): Adam 1e-4 with b1 0 and b2 0.9, batch 64,
n_critic 5, 200,000 steps.

    python train.py --config=configs/celeba_wgan_gp_resnet.py

Measured: 90 s per round on 2 cores, too slow for a CPU.
"""

from ml_collections import ConfigDict

from configs import celeba_wgan_gp


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = celeba_wgan_gp.get_config()
    config.latent_dim = 128
    config.generator.network = config.critic.network = 'resnet'
    config.critic.norm = 'layer'
    return config
