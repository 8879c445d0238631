"""scikit-learn's digits: 1,797 scans of 8x8 pixels that are part of the package, so nothing is downloaded."""

import numpy as np

from wgan_jax.data.source import Source, choose, held_out

SPLITS = {'all': slice(0, 1797), 'train': slice(0, 1500), 'test': slice(1500, 1797)}  # not official


def source(split: str = 'all') -> Source:
    """uint8 [N, 8, 8, 1]: 'all' 1,797, 'train' (the first 1,500) or 'test'. The original's 17 grey levels become 0 to 255."""
    part = SPLITS[choose('split', split, SPLITS)]

    def load() -> np.ndarray:
        from sklearn.datasets import load_digits  # slow to import

        return np.rint(load_digits().images[part] * (255.0 / 16.0)).astype(np.uint8)[..., None]

    return Source((8, 8, 1), part.stop - part.start, load, held_out=held_out(source, split))
