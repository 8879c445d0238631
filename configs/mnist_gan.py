"""GAN on MNIST with the UpsampleCNN networks: 1,636,033 parameters in the generator, 26,545 in the critic.

Source: the PyTorch tutorials for GAN and WGAN on MNIST: binary cross-entropy with the -log D trick, Adam with amsgrad 1e-3 for both
players, batch 64, 100 latents. The number of steps is ours: 21 epochs.

    python train.py --config=configs/mnist_gan.py

Measured: 0.1 to 0.2 s per round on 2 cores, 36 minutes to 1 hour in all; docs/results.md shows the result.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = default.get_config()
    config.num_steps = 20_000
    config.loss = 'non_saturating'
    config.gp_weight = 0.0
    config.n_critic = 1
    config.generator.network = config.critic.network = 'upsample_cnn'
    for optimizer in (config.generator_optimizer, config.critic_optimizer):
        optimizer.name = 'amsgrad'
        optimizer.learning_rate = 1e-3
        optimizer.b1, optimizer.b2 = 0.9, 0.999
    config.data.name = 'mnist'
    config.eval_every = 2000
    return config
