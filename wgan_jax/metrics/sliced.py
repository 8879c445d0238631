"""The sliced Wasserstein distance between patches of two sets of images, by pyramid level (Karras et al. 2018, section 5)."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from wgan_jax.metrics.checks import check_images

_FILTER = (1.0, 4.0, 6.0, 4.0, 1.0)  # over 16, along each axis
PATCH = 7  # pixels
_SMALLEST = 16  # pixels of the shorter side; larger levels are halved
_IMAGES = 256  # whose pyramid is in memory at once
_CHUNK_BYTES = 2**26  # of projections of one set at once


def sliced_wasserstein(
    real: np.ndarray, fake: np.ndarray, *, seed: int = 0, patches_per_image: int = 128, num_directions: int = 512
) -> dict[str, float]:
    """The distance between the patches of two sets: small levels compare large structure, large levels compare texture.

    Each image becomes a Laplacian pyramid. At every level, 7x7 patches are cut out at random places, their channels are scaled to
    mean 0 and deviation 1 over all patches of the set, and they are projected on random directions. The one-dimensional
    Wasserstein distance is the mean absolute difference of the sorted projections. Patches of real and fake come from the same
    places. The authors draw places for each set, which adds noise and gives equal sets a distance above 0.

    Images are halved while both sides are even and the shorter is above 16: 64 pixels have the levels 64, 32, 16 as in the paper,
    28 have 28 and 14, digits of 8 have 8 alone. A halved side is at least 9, so a patch always fits.

    Args:
      real: uint8 [N, H, W, C].
      fake: uint8 [N, H, W, C]. The value falls with N even between equal distributions: compare only results with equal N.
      seed: seed of places and directions; the same seed gives the same bits.
      patches_per_image: 128 in the paper. The time is proportional to it; the memory is 392 bytes * C * N times it. 32 are enough
        for 10,000 images of 28 pixels: fewer raise the value of equal distributions at the finest level (as the root: 1.6 times
        from 128 to 32) but not its spread between seeds, and at 14 pixels the number of images matters more.
      num_directions: 512 in the paper.

    Returns:
      1000 times the distance, as in the paper's table 1, of each level by its side ('28', or '32x24' for unequal sides), and their
      'mean'.

    Raises:
      ValueError: the arguments are not such images, a side is below 7, or the sets have different sizes.
    """
    check_images(1, real=real, fake=fake)
    if len(real) != len(fake):
        raise ValueError(
            f'sorted projections are compared one by one: {len(real)} real and {len(fake)} fake images must be equally many'
        )
    if min(real.shape[1:3]) < PATCH:
        raise ValueError(f'images of {real.shape[1]}x{real.shape[2]} pixels are smaller than a patch of {PATCH}x{PATCH}')
    rng = np.random.Generator(np.random.Philox(key=seed))
    distances = {}
    for level, (height, width) in enumerate(level_sides(*real.shape[1:3])):
        places = rng.integers((height - PATCH + 1, width - PATCH + 1), size=(len(real), patches_per_image, 2))
        directions = rng.normal(size=(num_directions, PATCH * PATCH * real.shape[3]))
        directions = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)
        sets = (descriptors(images, level, places) for images in (real, fake))
        distances[level_name(height, width)] = 1e3 * _distance(*sets, directions)
    return {**distances, 'mean': float(np.mean(list(distances.values())))}


def level_sides(height: int, width: int) -> list[tuple[int, int]]:
    """The sides of the levels of the pyramid, the largest first."""
    sides = [(height, width)]
    while min(sides[-1]) > _SMALLEST and sides[-1][0] % 2 == sides[-1][1] % 2 == 0:
        sides.append((sides[-1][0] // 2, sides[-1][1] // 2))
    return sides


def level_name(height: int, width: int) -> str:
    """28, or 32x24 for unequal sides."""
    return str(height) if height == width else f'{height}x{width}'


def pyramid(images: np.ndarray) -> list[np.ndarray]:
    """Laplacian pyramid of [N, H, W, C], float32 (Burt and Adelson 1983): each level minus the enlarged next one, then the last.

    Starting from the last, level + larger(...) restores the images.
    """
    levels = [np.asarray(images, np.float32)]
    for _ in level_sides(*images.shape[1:3])[1:]:
        smaller = _filter(levels[-1])[:, ::2, ::2]
        levels[-1] = levels[-1] - larger(smaller)
        levels.append(smaller)
    return levels


def larger(images: np.ndarray) -> np.ndarray:
    """Doubles the sides: zeros between the pixels, then the filter, times 4 to make up for the zeros."""
    count, height, width, channels = images.shape
    spread = np.zeros((count, 2 * height, 2 * width, channels), images.dtype)
    spread[:, ::2, ::2] = images
    return 4 * _filter(spread)


def descriptors(images: np.ndarray, level: int, places: np.ndarray) -> np.ndarray:
    """Patches of one level, each channel scaled to mean 0 and deviation 1: float32 [N * places, C * 49].

    `places` [N, places, 2] are the upper left corners (row, column).
    """
    count, per_image = places.shape[:2]
    patches = np.empty((count, per_image, images.shape[3], PATCH, PATCH), np.float32)
    for start in range(0, count, _IMAGES):
        block = slice(start, start + _IMAGES)
        windows = np.lib.stride_tricks.sliding_window_view(pyramid(images[block])[level], (PATCH, PATCH), axis=(1, 2))
        patches[block] = windows[np.arange(len(windows))[:, None], places[block, :, 0], places[block, :, 1]]
    for channel in range(images.shape[3]):
        values = patches[:, :, channel]
        values -= values.mean(dtype=np.float64).astype(np.float32)
        # Constant images have no deviation at the finer levels: their patches stay 0.
        squares = sum(float(np.square(values[i : i + _IMAGES], dtype=np.float64).sum()) for i in range(0, count, _IMAGES))
        values /= np.float32(np.sqrt(squares / values.size)) or np.float32(1.0)
    return patches.reshape(count * per_image, -1)


def _distance(real: np.ndarray, fake: np.ndarray, directions: np.ndarray) -> float:
    """Mean over directions [K, D] of the Wasserstein distance between the projections of real and fake [N, D]."""
    total, rows = 0.0, max(1, _CHUNK_BYTES // (4 * len(real)))
    # Most of the time is spent on sorting, for which numpy uses one core. On AMD's Zen 4 it takes four times as long with AVX-512
    # as with AVX2: there the environment variable NPY_DISABLE_CPU_FEATURES='X86_V4 AVX512_ICL' helps.
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(directions), rows):
            projected = [directions[start : start + rows] @ patches.T for patches in (real, fake)]
            real_sorted, fake_sorted = pool.map(lambda values: np.sort(values, axis=1), projected)
            total += np.abs(real_sorted - fake_sorted).mean(axis=1, dtype=np.float64).sum()
    return float(total / len(directions))


def _filter(images: np.ndarray) -> np.ndarray:
    """Filters both axes with [1, 4, 6, 4, 1] / 16, mirrored at the border without repeating it."""
    for axis in (1, 2):
        side = images.shape[axis]
        margins = [(2, 2) if i == axis else (0, 0) for i in range(4)]
        padded = np.pad(images, margins, mode='reflect')
        shifted = (padded.take(range(i, i + side), axis) for i in range(len(_FILTER)))
        images = sum(np.float32(weight / 16) * part for weight, part in zip(_FILTER, shifted, strict=True))
    return images
