import numpy as np
import pytest
import scipy.ndimage
import scipy.stats

from wgan_jax.metrics import sliced
from wgan_jax.metrics.sliced import level_sides, pyramid, sliced_wasserstein

KERNEL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])[None, :, :, None] / 256
FEW = {'patches_per_image': 4, 'num_directions': 16}


def images(count, height=12, width=None, channels=1, seed=0):
    """Smooth blobs with noise: unlike white noise, they have contrast at every level."""
    noise = np.random.default_rng(seed).normal(size=(count, height, width or height, channels))
    values = 128 + 150 * scipy.ndimage.gaussian_filter(noise, (0, 1.5, 1.5, 0)) + 20 * noise
    return np.clip(values, 0, 255).astype(np.uint8)


def by_scipy(batch, levels):
    """Burt and Adelson's pyramid of float64 images, by convolutions in two dimensions."""
    result = [batch.astype(np.float64)]
    for _ in range(levels - 1):
        smaller = scipy.ndimage.convolve(result[-1], KERNEL, mode='mirror')[:, ::2, ::2]
        spread = np.zeros_like(result[-1])
        spread[:, ::2, ::2] = smaller
        result[-1] = result[-1] - scipy.ndimage.convolve(spread, 4 * KERNEL, mode='mirror')
        result.append(smaller)
    return result


@pytest.mark.parametrize(
    ('sides', 'expected'),
    [
        ((8, 8), [(8, 8)]),
        ((32, 48), [(32, 48), (16, 24)]),
        ((64, 64), [(64, 64), (32, 32), (16, 16)]),
        ((44, 44), [(44, 44), (22, 22), (11, 11)]),
        ((218, 178), [(218, 178), (109, 89)]),
        ((7, 40), [(7, 40)]),
    ],
)
def test_levels(sides, expected):
    assert level_sides(*sides) == expected


@pytest.mark.parametrize(('height', 'width', 'channels'), [(28, 28, 1), (64, 40, 3)])
def test_the_pyramid_agrees_with_scipy(height, width, channels):
    batch = images(3, height, width, channels)
    found, expected = pyramid(batch), by_scipy(batch, len(level_sides(height, width)))
    assert len(found) == len(expected) > 1
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_the_pyramid_restores_the_images():
    batch = images(3, 64)
    *levels, back = pyramid(batch)
    for level in reversed(levels):
        back = level + sliced.larger(back)
    np.testing.assert_allclose(back, batch, atol=1e-3)


def patches_by_hand(levels, places):
    """Cut out at the places, each channel scaled to mean 0 and deviation 1 over all patches of the set."""
    patches = np.stack([[whole[y : y + 7, x : x + 7] for y, x in own] for whole, own in zip(levels, places, strict=True)])
    patches = (patches - patches.mean(axis=(0, 1, 2, 3))) / patches.std(axis=(0, 1, 2, 3))  # [N, places, 7, 7, C]
    return np.moveaxis(patches, 4, 2).reshape(-1, 49 * patches.shape[4])


def test_the_distance_by_hand(monkeypatch):
    """1000 times the mean over unit directions, whatever the blocks of images and of directions."""
    monkeypatch.setattr(sliced, '_IMAGES', 3)
    monkeypatch.setattr(sliced, '_CHUNK_BYTES', 4 * 7 * 40 * 2)
    real, fake = images(7, 18, 22, 2), images(7, 18, 22, 2, seed=1)
    real[..., 1] //= 4
    rng, expected = np.random.Generator(np.random.Philox(key=5)), {}
    for level, (height, width) in enumerate([(18, 22), (9, 11)]):
        places = rng.integers((height - 6, width - 6), size=(7, 40, 2))
        assert (places.max(axis=(0, 1)) == (height - 7, width - 7)).all()  # the last place touches the border
        directions = rng.normal(size=(9, 98))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        x, y = (patches_by_hand(by_scipy(batch, 2)[level], places) for batch in (real, fake))
        distances = [scipy.stats.wasserstein_distance(x @ direction, y @ direction) for direction in directions]
        expected[f'{height}x{width}'] = 1e3 * np.mean(distances)
    expected['mean'] = np.mean(list(expected.values()))
    found = sliced_wasserstein(real, fake, seed=5, patches_per_image=40, num_directions=9)
    assert found == pytest.approx(expected, rel=1e-4)


def test_equal_sets_are_at_distance_zero():
    """Also in another order, where a patch is the whole image."""
    batch = images(20, 28)
    assert sliced_wasserstein(batch, batch, **FEW) == {'28': 0.0, '14': 0.0, 'mean': 0.0}
    one_place = images(20, 7)
    np.testing.assert_allclose(sliced_wasserstein(one_place, one_place[::-1], **FEW)['mean'], 0.0, atol=1e-3)


def test_the_distance_grows_with_noise_mostly_at_the_finest_level():
    real, other, rng = images(400, 28), images(400, 28, seed=1).astype(float), np.random.default_rng(3)
    sparse = np.where(rng.random(other.shape) < 0.05, 255.0, 0.0)
    noisy = [np.clip(other + amount * sparse, 0, 255).astype(np.uint8) for amount in (0.0, 0.4, 1.0)]
    found = [sliced_wasserstein(real, fake, patches_per_image=30, num_directions=16) for fake in noisy]
    assert found[0]['28'] < 0.8 * found[1]['28'] < 0.8 * found[2]['28']
    assert found[2]['28'] - found[0]['28'] > 2 * (found[2]['14'] - found[0]['14'])


def test_a_generator_of_one_constant_image_is_far_and_finite():
    found = sliced_wasserstein(images(50, 28, channels=3), np.full((50, 28, 28, 3), 255, np.uint8), **FEW)
    assert all(300 < value < 1000 for value in found.values())  # from patches of deviation 1 to 0: E|N(0, 1)| or less


def test_arguments_that_do_not_fit_are_refused():
    batch = images(4)
    with pytest.raises(ValueError, match='4 real and 3 fake'):
        sliced_wasserstein(batch, batch[:3])
    with pytest.raises(ValueError, match='6x12 pixels are smaller than a patch'):
        sliced_wasserstein(batch[:, :6], batch[:, :6])
    with pytest.raises(ValueError, match=r'fake must be uint8 images \[N, H, W, C\].* not float64 \[4, 12, 12, 1\]'):
        sliced_wasserstein(batch, batch / 255)
    with pytest.raises(ValueError, match=r'fake has images \[12, 8, 1\]'):
        sliced_wasserstein(batch, batch[:, :, :8])
