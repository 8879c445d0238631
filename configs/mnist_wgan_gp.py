r"""WGAN-GP on MNIST with the KerasCNN networks: 902,082 parameters in the generator, 4,305,409 in the critic.

Source: keras-team/keras-io, examples/generative/wgan_gp.py: Adam 2e-4 with decays 0.5 and 0.9, batch 512, n_critic 3, 128 latents,
20 epochs of 118 rounds. Each critic step uses new images; the source uses one batch for all three.

    python train.py --config=configs/mnist_wgan_gp.py

Measured: 6 s per round on 2 cores, 4 hours in all. Half an hour with batch 64 and half the width gives digits, and the estimate
falls from 25.2 to 3.7 (docs/results.md):

    python train.py --config=configs/mnist_wgan_gp.py --workdir=runs/mnist_small --config.batch_size=64 \
        --config.generator.num_features=32 --config.critic.num_features=32
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = default.get_config()
    config.num_steps = 20 * 118
    config.batch_size = 512
    config.n_critic = 3
    config.latent_dim = 128
    config.generator.network = config.critic.network = 'keras_cnn'
    for optimizer in (config.generator_optimizer, config.critic_optimizer):
        optimizer.learning_rate = 2e-4
        optimizer.b1 = 0.5
    config.data.name = 'mnist'
    config.log_every = 20
    config.sample_every = 118
    config.checkpoint_every = 118
    config.eval_every = 4 * 118
    return config
