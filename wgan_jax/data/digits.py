"""scikit-learn's digits: 1,797 scans of 8x8 pixels that come with the package, so nothing is downloaded."""

import numpy as np

from wgan_jax.data.source import Source


def source() -> Source:
    """uint8 [1797, 8, 8, 1]; the 17 grey levels of the original are spread over 0 to 255."""
    return Source((8, 8, 1), 1797, _load)


def _load() -> np.ndarray:
    from sklearn.datasets import load_digits  # slow to import, and only this data set needs it

    return np.rint(load_digits().images * (255.0 / 16.0)).astype(np.uint8)[..., None]
