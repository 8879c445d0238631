"""A generator or a critic as a file for other programs: python -m wgan_jax.export."""
