"""scikit-learn's digits: 1,797 scans of 8x8 pixels that come with the package, so nothing is downloaded."""

import numpy as np

IMAGE_SHAPE = (8, 8, 1)
NUM_IMAGES = 1797


def load(data_dir: str | None = None, manual_dir: str | None = None) -> np.ndarray:
    """uint8 [1797, 8, 8, 1]; the source's 17 grey levels are spread over 0 to 255. Both directories are unused."""
    del data_dir, manual_dir
    from sklearn.datasets import load_digits  # slow to import, and only this data set needs it

    return np.rint(load_digits().images * (255.0 / 16.0)).astype(np.uint8)[..., None]
