"""WGAN-GP on CelebA at 64x64: DCGAN without normalisation in the critic.

Source: Gulrajani et al. 2017, Algorithm 1: penalty weight 10, Adam 1e-4 with b1 0 and b2 0.9, batch 64, n_critic 5. The paper's
Appendix E uses b1 0.5. Section 4 recommends layer norm for a critic that needs normalisation: --config.critic.norm=layer. The
number of steps is from section 5.2. The networks are those of the WGAN paper, without norm and with biases in the critic; the
DCGAN of the WGAN-GP authors, whose critic has biases too, has 5x5 kernels and 128 latents, and in section 5.2 layer norm in the
critic.

    python train.py --config=configs/celeba_wgan_gp.py

Measured: 2.3 to 3.3 s per round on 2 cores, 5 to 8 days in all; use a GPU. docs/results.md shows the result at 32x32 pixels and
half the width on 2 cores.
"""

from ml_collections import ConfigDict

from configs import default


def get_config() -> ConfigDict:
    """Returns the locked config."""
    config = default.get_config()
    config.num_steps = 200_000
    config.generator.network = config.critic.network = 'dcgan'
    config.generator.norm = 'batch'
    config.critic.norm = 'none'
    config.data.name = 'celeba'
    config.eval_every = 10_000
    config.data.image_size = 64
    config.data.crop = 140
    return config
