"""Scores of a run: python -m wgan_jax.evaluate."""
