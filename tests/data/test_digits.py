import numpy as np
from sklearn.datasets import load_digits

from wgan_jax.data import digits


def test_all_digits_with_their_grey_levels():
    source = digits.source()
    images = source.load()
    assert images.shape == (source.num_images, *source.image_shape) == (1797, 8, 8, 1)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(np.unique(images), np.rint(np.arange(17) * 255 / 16))
    np.testing.assert_allclose(images[..., 0] / 255.0 * 16.0, load_digits().images, atol=0.05)
