"""Data sets, by name. Each becomes one uint8 array [N, H, W, C]; an index plan says which images a step sees."""

from types import ModuleType

from wgan_jax.data import digits, mnist

SOURCES: dict[str, ModuleType] = {'digits': digits, 'mnist': mnist}  # each with IMAGE_SHAPE, NUM_IMAGES and load()
