"""Trains a GAN, WGAN or WGAN-GP.

    python train.py --config=configs/digits_wgan_gp.py

The flags are in wgan_jax/training/__main__.py; an installed package has them as the command wgan-train.
"""

from wgan_jax.training.__main__ import run

if __name__ == '__main__':
    run()
