"""Multi-scale structural similarity, and its mean over pairs of images as a measure of their diversity."""

import numpy as np

from wgan_jax.metrics.checks import check_images

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the levels, the finest first (Wang et al. 2003, section 3.2)
_WINDOW, _SIGMA = 11, 1.5  # pixels
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_SMALLEST = 7  # pixels of the shorter side of a level: below, a window has too few pixels for a covariance
_BLOCK_BYTES = 2**24  # of one set of images in float64


def ms_ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Multi-scale structural similarity of a[i] and b[i] (Wang, Simoncelli, Bovik 2003, equation 7, with equal exponents).

    The product over levels of the mean contrast-structure term, at the coarsest level times the luminance term, each raised to the
    weight of the level. From one level to the next 2x2 pixels are averaged; an odd side repeats its last pixel. Channels are
    treated as further positions of the same image.

    In small images the window shrinks with the level, as in Odena et al. 2017 and in the evaluation of the progressive GAN: its
    side is min(11, H, W) and its sigma 1.5 * side / 11. Levels with a side below 7 are left out (theirs go down to windows of one
    or two pixels, whose variance is 0), and the other weights are scaled to sum 1: 5 levels from 97 pixels, 4 from 49, 3 from 25,
    1 for digits of 8. So values for different image sizes are not comparable. A negative mean term counts as 0, because its
    power is not real.

    Returns:
      float64 [N] in [0, 1]; 1 for equal images.

    Raises:
      ValueError: a and b are not uint8 [N, H, W, C] of the same shape.
    """
    check_images(1, a=a, b=b)
    if len(a) != len(b):
        raise ValueError(f'images are compared one by one: {len(a)} and {len(b)} must be equally many')
    rows = max(1, _BLOCK_BYTES // (8 * a[0].size))
    return np.concatenate([_ms_ssim(a[i : i + rows], b[i : i + rows]) for i in range(0, len(a), rows)])


def diversity(images: np.ndarray, *, pairs: int = 10_000, seed: int = 0) -> float:
    """Mean MS-SSIM of random pairs of distinct items: 1 if all images are the same (Odena et al. 2017, section 4.2).

    Lower means more diverse. The paper computes it within a class. Over all classes it says less: compare it with the value of
    equally many real images.

    Args:
      images: uint8 [N, H, W, C].
      pairs: number of pairs, drawn independently.
      seed: seed of the pairs; the same seed gives the same bits.

    Raises:
      ValueError: there are fewer than 2 images, or they are not such images.
    """
    check_images(2, images=images)
    rng = np.random.Generator(np.random.Philox(key=seed))
    first = rng.integers(len(images), size=pairs)
    second = (first + rng.integers(1, len(images), size=pairs)) % len(images)
    rows = max(1, _BLOCK_BYTES // (8 * images[0].size))
    parts = [slice(i, i + rows) for i in range(0, pairs, rows)]
    return float(sum(ms_ssim(images[first[part]], images[second[part]]).sum() for part in parts) / pairs)


def num_levels(height: int, width: int) -> int:
    """The number of the five levels that images of this size have."""
    count, side = 1, min(height, width)
    while count < len(_WEIGHTS) and (side := (side + 1) // 2) >= _SMALLEST:
        count += 1
    return count


def _ms_ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    weights = np.array(_WEIGHTS[: num_levels(*a.shape[1:3])])
    weights /= weights.sum()
    a, b = (np.moveaxis(images, 3, 1).astype(np.float64) for images in (a, b))  # [N, C, H, W]
    similarity = np.ones(len(a))
    for level, weight in enumerate(weights):
        if level > 0:
            a, b = _halve(a), _halve(b)
        structure, whole = _terms(a, b)
        similarity *= np.maximum(whole if level == len(weights) - 1 else structure, 0.0) ** weight
    return similarity


def _terms(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means [N] of the contrast-structure term and of its product with luminance (Wang et al. 2004, equations 6 and 13)."""
    size = min(_WINDOW, *a.shape[2:])
    places = np.arange(size) - (size - 1) / 2
    window = np.exp(-0.5 * (places / (_SIGMA * size / _WINDOW)) ** 2)
    window /= window.sum()

    def blur(images: np.ndarray) -> np.ndarray:
        for axis in (2, 3):
            valid = images.shape[axis] - size + 1
            images = sum(weight * images.take(range(i, i + valid), axis) for i, weight in enumerate(window))
        return images

    mean_a, mean_b = blur(a), blur(b)
    variances = blur(a * a + b * b) - mean_a**2 - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    structure = (2 * covariance + _C2) / (variances + _C2)
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    return structure.mean(axis=(1, 2, 3)), (luminance * structure).mean(axis=(1, 2, 3))


def _halve(images: np.ndarray) -> np.ndarray:
    odd = [(0, 0), (0, 0), *((0, side % 2) for side in images.shape[2:])]
    images = np.pad(images, odd, mode='edge')
    return (images[:, :, ::2, ::2] + images[:, :, 1::2, ::2] + images[:, :, ::2, 1::2] + images[:, :, 1::2, 1::2]) / 4
