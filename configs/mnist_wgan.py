"""WGAN with weight clipping on MNIST with the UpsampleCNN networks.

Source: the PyTorch tutorials for GAN and WGAN on MNIST; c = 0.01, Adam with amsgrad 5e-5 for both players, batch 64, n_critic 5,
100 latents. Momentum in a clipped critic is questionable (the program warns of it), and it is what the source uses.

    python train.py --config=configs/mnist_wgan.py

Measured: 0.4 s per round on 2 cores, so 2 hours in all; it has not been run to the end there. The number of steps is ours.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """The config."""
    config = default.get_config()
    config.num_steps = 20_000
    config.clip_value = 0.01
    config.gp_weight = 0.0
    config.generator.network = config.critic.network = 'upsample_cnn'
    for optimizer in (config.generator_optimizer, config.critic_optimizer):
        optimizer.name = 'amsgrad'
        optimizer.learning_rate = 5e-5
        optimizer.b1, optimizer.b2 = 0.9, 0.999
    config.data.name = 'mnist'
    config.eval_every = 2000
    return config
