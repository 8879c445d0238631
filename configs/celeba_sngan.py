"""SNGAN, a GAN with the hinge loss and spectral normalisation in the critic, on CelebA at 64x64 with the DCGAN networks.

Source: Miyato et al. 2018: the hinge loss (equations 16 and 17), one power iteration, kernels as matrices (section 4), biases and
no batch norm in the critic, Adam 2e-4 with decays 0.5 and 0.999 and n_critic 1 (table 1, setting C), batch 64. The iteration is per
pass, as in PyTorch. The networks are those of celeba_gan, with 100 latents and a LeakyReLU of slope 0.2, where the paper has 128
and 0.1: it trains its networks on CIFAR-10, STL-10 and ImageNet, not on faces.

    python train.py --config=configs/celeba_sngan.py
"""

from ml_collections import ConfigDict

from configs import celeba_gan


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = celeba_gan.get_config()
    config.loss = 'hinge'
    config.critic.norm = 'none'
    config.critic.weights = 'spectral'
    return config
