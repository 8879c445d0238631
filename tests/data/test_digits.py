import numpy as np
from sklearn.datasets import load_digits

from wgan_jax.data import digits


def test_all_digits_with_their_grey_levels():
    images = digits.load()
    assert images.shape == (digits.NUM_IMAGES, *digits.IMAGE_SHAPE)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(np.unique(images), np.rint(np.arange(17) * 255 / 16))
    np.testing.assert_allclose(images[..., 0] / 255.0 * 16.0, load_digits().images, atol=0.05)
