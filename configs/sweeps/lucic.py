"""The wide ranges of the random search of Lucic et al. 2018 (arXiv 1711.10337), as their code has them.

    python -m wgan_jax.sweep --config=configs/mnist_wgan_gp.py --random=50 --space=configs/sweeps/lucic.py

Both players have the same learning rate and the same b1, which RMSProp does not have. Their fourth range, batch norm in the critic
or none, is not here: a gradient penalty excludes it.
"""

from ml_collections import ConfigDict


def get_space(config: ConfigDict) -> dict[str, tuple]:
    """For each key of the config, or for several with one value: how it is drawn."""
    space = {
        'generator_optimizer.learning_rate,critic_optimizer.learning_rate': ('log_uniform', 1e-5, 1e-2),
    }
    if 'rmsprop' not in (config.generator_optimizer.name, config.critic_optimizer.name):
        space['generator_optimizer.b1,critic_optimizer.b1'] = ('uniform', 0.0, 1.0)
    space['n_critic'] = ('choice', 1, 5)
    if config.gp_weight:
        space['gp_weight'] = ('log_uniform', 0.1, 100.0)
    if config.clip_value is not None:
        space['clip_value'] = ('log_uniform', 0.001, 1.0)
    return space
