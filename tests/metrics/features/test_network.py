import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.metrics.features.network import in_batches

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 3, 2, 1), np.uint8)


@pytest.mark.parametrize('count', [1, 3, 4, 7])
def test_every_image_once_in_order_with_one_compilation(count):
    shapes = []

    @jax.jit
    def function(images):
        shapes.append(images.shape)
        return images.astype(jnp.float32).sum(axis=(1, 2, 3)), {'first': images[:, 0, 0]}

    sums, rest = in_batches(function, IMAGES[:count], 3)
    np.testing.assert_array_equal(sums, IMAGES[:count].sum(axis=(1, 2, 3)))
    np.testing.assert_array_equal(rest['first'], IMAGES[:count, 0, 0])
    assert isinstance(sums, np.ndarray)
    assert shapes == [(3, 3, 2, 1)]


@pytest.mark.parametrize(
    ('images', 'batch_size'), [(IMAGES[:0], 2), (IMAGES[0], 2), (IMAGES.astype(np.float32), 2), (IMAGES, 0), (IMAGES, -1)]
)
def test_what_are_no_images_or_no_size_is_refused(images, batch_size):
    with pytest.raises(ValueError, match='must be'):
        in_batches(lambda x: x, images, batch_size)
