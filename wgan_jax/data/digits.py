"""scikit-learn's digits: 1,797 scans of 8x8 pixels that are part of the package, so nothing is downloaded."""

import numpy as np

from wgan_jax.data.share import share
from wgan_jax.data.source import Source, choose, held_out

_NUM_IMAGES, _NUM_TRAIN = 1797, 1500
SPLITS = ('all', 'train', 'test')  # not official


def source(split: str = 'all') -> Source:
    """uint8 [N, 8, 8, 1]: 'all' 1,797, 'train' 1,500 or 'test' 297. The original's 17 grey levels become 0 to 255."""
    chosen = numbers(choose('split', split, SPLITS))

    def load() -> np.ndarray:
        from sklearn.datasets import load_digits  # slow to import

        return np.rint(load_digits().images[chosen] * (255.0 / 16.0)).astype(np.uint8)[..., None]

    return Source((8, 8, 1), len(chosen), load, held_out=held_out(source, split))


def numbers(split: str) -> np.ndarray:
    """The places of a split's images in scikit-learn's order, int64 [N], rising.

    The last digits of the set differ from the others; they seem to be by other writers. So a fixed random choice is held out, whose
    digits come from the same distribution as the training ones.
    """
    everything = np.arange(_NUM_IMAGES)
    train = np.array(share(everything, _NUM_TRAIN / _NUM_IMAGES, 'digit {}'.format))
    return {'all': everything, 'train': train, 'test': np.setdiff1d(everything, train)}[split]
