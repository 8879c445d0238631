"""wgan_jax: GAN, WGAN and WGAN-GP in JAX and Flax."""
