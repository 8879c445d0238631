import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

from wgan_jax.metrics import ssim
from wgan_jax.metrics.ssim import diversity, ms_ssim, num_levels

WEIGHTS = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]


def images(count, height=28, width=None, channels=1, seed=0):
    noise = np.random.default_rng(seed).normal(size=(count, height, width or height, channels))
    return np.clip(128 + 200 * scipy.ndimage.gaussian_filter(noise, (0, 1.5, 1.5, 0)), 0, 255).astype(np.uint8)


def noisy(batch, amount, seed=1):
    return np.clip(batch + amount * np.random.default_rng(seed).normal(size=batch.shape), 0, 255).astype(np.uint8)


def by_scipy(a, b, levels):
    """One pair of images [H, W, C]: two-dimensional windows by scipy.signal, halves by scipy.ndimage, the five terms apart."""
    a, b, result = a.astype(float), b.astype(float), 1.0
    weights = np.array(WEIGHTS[:levels]) / sum(WEIGHTS[:levels])
    for level in range(levels):
        size = min(11, *a.shape[:2])
        delta = np.zeros((size, size))
        middle = [size // 2] if size % 2 else [size // 2 - 1, size // 2]
        delta[np.ix_(middle, middle)] = 1.0
        places = np.stack(np.meshgrid(*[np.arange(size) - (size - 1) / 2] * 2))
        window = np.exp(-np.sum(places**2, axis=0) / (2 * (1.5 * size / 11) ** 2))[:, :, None]
        window /= window.sum()

        def mean(x, window=window):
            return scipy.signal.convolve(x, window, mode='valid', method='direct')

        mean_a, mean_b = mean(a), mean(b)
        var_a, var_b, cov = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2, mean(a * b) - mean_a * mean_b
        luminance = (2 * mean_a * mean_b + 2.55**2) / (mean_a**2 + mean_b**2 + 2.55**2)
        structure = (2 * cov + 7.65**2) / (var_a + var_b + 7.65**2)
        term = np.mean(luminance * structure) if level == levels - 1 else np.mean(structure)
        result *= max(term, 0.0) ** weights[level]
        ones = np.ones((2, 2, 1)) / 4
        a, b = (scipy.ndimage.convolve(x, ones, mode='reflect')[::2, ::2] for x in (a, b))
    return result


@pytest.mark.parametrize(
    ('side', 'levels'), [(4, 1), (12, 1), (13, 2), (24, 2), (25, 3), (48, 3), (49, 4), (96, 4), (97, 5), (512, 5)]
)
def test_number_of_levels(side, levels):
    assert num_levels(side, side) == num_levels(side, 2 * side) == num_levels(2 * side, side) == levels


@pytest.mark.parametrize(
    ('shape', 'levels'), [((5, 8, 1), 1), ((8, 8, 1), 1), ((28, 28, 1), 3), ((27, 31, 3), 3), ((50, 64, 1), 4), ((97, 97, 1), 5)]
)
def test_agrees_with_scipy(shape, levels):
    a = images(2, *shape)
    b = noisy(a, 40)
    b[1] = b[1] // 2 + 100  # luminance and contrast too
    found = ms_ssim(a, b)
    assert np.all((found > 0.1) & (found < 0.98))
    np.testing.assert_allclose(found, [by_scipy(*pair, levels) for pair in zip(a, b, strict=True)], rtol=1e-9)


def test_the_result_does_not_depend_on_blocks(monkeypatch):
    a, b = images(7, 16), images(7, 16, seed=1)
    whole, pairs = ms_ssim(a, b), diversity(a, pairs=20)
    monkeypatch.setattr(ssim, '_BLOCK_BYTES', 8 * 256 * 3)
    np.testing.assert_allclose(ms_ssim(a, b), whole, rtol=1e-12)
    np.testing.assert_allclose(diversity(a, pairs=20), pairs, rtol=1e-12)


@pytest.mark.parametrize('side', [1, 8, 28, 100])
def test_equal_images_give_one(side):
    batch = images(3, side, channels=3)
    batch[2] = 0
    np.testing.assert_allclose(ms_ssim(batch, batch), 1.0, rtol=1e-12)


def test_constant_images_by_hand():
    """No contrast: all terms but the luminance are C2 / C2. Eight pixels have one level, of weight 1."""
    a, b = np.full((1, 8, 8, 1), 100, np.uint8), np.full((1, 8, 8, 1), 200, np.uint8)
    expected = (2 * 100 * 200 + 2.55**2) / (100**2 + 200**2 + 2.55**2)
    np.testing.assert_allclose(ms_ssim(a, b), expected, rtol=1e-12)
    a, b = a.repeat(4, 1).repeat(4, 2), b.repeat(4, 1).repeat(4, 2)
    np.testing.assert_allclose(ms_ssim(a, b), expected ** (0.3001 / (0.0448 + 0.2856 + 0.3001)), rtol=1e-10)


def test_an_image_and_its_negative_give_zero():
    a = images(4)
    np.testing.assert_array_equal(ms_ssim(a, 255 - a), np.zeros(4))


def test_diversity_of_one_image_and_of_two():
    one, two = images(1), images(2)
    np.testing.assert_allclose(diversity(one.repeat(5, axis=0), pairs=30), 1.0, rtol=1e-12)
    np.testing.assert_allclose(diversity(two, pairs=30), ms_ssim(two[:1], two[1:])[0], rtol=1e-12)  # never one with itself


def test_diversity_is_the_mean_over_all_pairs():
    """6 images have 15 pairs: the mean of many draws is within its error of their mean."""
    batch = noisy(images(1).repeat(6, axis=0), 1) // np.arange(1, 7, dtype=np.uint8).reshape(6, 1, 1, 1)
    values = np.array([by_scipy(batch[i], batch[j], 3) for i in range(6) for j in range(i)])
    found = diversity(batch, pairs=2000)
    assert np.std(values) > 0.05
    np.testing.assert_allclose(found, values.mean(), atol=4 * np.std(values) / np.sqrt(2000))


def test_arguments_that_do_not_fit_are_refused():
    batch = images(4)
    with pytest.raises(ValueError, match='4 and 3 must be equally many'):
        ms_ssim(batch, batch[:3])
    with pytest.raises(ValueError, match=r'b has images \[28, 20, 1\]'):
        ms_ssim(batch, batch[:, :, :20])
    with pytest.raises(ValueError, match='N at least 2'):
        diversity(batch[:1])
