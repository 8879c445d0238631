"""Pictures from a trained generator: python -m wgan_jax.sample."""
