import numpy as np
import pytest

from wgan_jax.metrics.features.network import apply_in_batches

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 3, 2, 1), np.uint8)


def test_batches_are_joined():
    features, logits = apply_in_batches(lambda images: (images[:, 0, 0], images.sum(axis=(1, 2, 3))), IMAGES, 3)
    np.testing.assert_array_equal(features, IMAGES[:, 0, 0])
    np.testing.assert_array_equal(logits, IMAGES.sum(axis=(1, 2, 3)))


def test_other_arrays_are_refused():
    with pytest.raises(ValueError, match='must be uint8 images'):
        apply_in_batches(lambda batch: (batch, batch), IMAGES[:0], 2)
