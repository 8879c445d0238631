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


def test_the_held_out_digits_are_spread_over_the_whole_set():
    """Its last digits differ from the others."""
    train, test = digits.numbers('train'), digits.numbers('test')
    assert len(train) == 1500
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(1797))
    np.testing.assert_array_equal(train[:8], [0, 1, 2, 3, 4, 5, 7, 8])  # the same on every machine
    shares = np.histogram(test, bins=10, range=(0, 1797))[0] / len(test)
    np.testing.assert_allclose(shares, 0.1, atol=0.05)


def test_a_split_has_its_images():
    everything = digits.source().load()
    for split in ('train', 'test'):
        np.testing.assert_array_equal(digits.source(split).load(), everything[digits.numbers(split)])
