"""WGAN with spectral normalisation in the critic on MNIST with the UpsampleCNN networks.

Source: Miyato et al. 2018 for the normalisation and LeakyReLU (of slope 0.1 there, 0.2 here); the data, the networks and n_critic
of mnist_wgan, without batch norm in the critic, which would stretch what the other layers do not. Adam's b1 and b2 are those of
WGAN-GP (Gulrajani et al. 2017), its learning rate is ours.

    python train.py --config=configs/mnist_wgan_sn.py
"""

from ml_collections import ConfigDict

from configs import mnist_wgan


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = mnist_wgan.get_config()
    config.clip_value = None
    config.critic.norm = 'none'
    config.critic.weights = 'spectral'
    config.critic.activation = 'leaky_relu'
    for optimizer in (config.generator_optimizer, config.critic_optimizer):
        optimizer.name = 'adam'
        optimizer.learning_rate = 2e-4
        optimizer.b1, optimizer.b2 = 0.0, 0.9
    return config
