"""The PyTorch tutorial for GAN on MNIST to the letter: mnist_gan, but both players' updates of a round share one batch of latents.

500 epochs of 938 rounds, with the losses and 16 samples after each. The tutorial's label of real images is 0, and its
discriminator estimates the probability of a fake: the same game with the sign of the logit reversed.

    python train.py --config=configs/tutorial_mnist_gan.py

Measured: 0.2 s per round on 2 cores, 26 hours in all; not yet run to the end.
"""

from ml_collections import ConfigDict

from configs import mnist_gan


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = mnist_gan.get_config()
    config.standing_batches = 0
    config.interval_unit = 'epochs'
    config.num_steps = 500
    config.log_every = config.sample_every = 1
    config.checkpoint_every = 5
    config.eval_every = 50
    config.num_samples = 16
    config.shared_latents = True
    return config
