"""The scores of generated images against training images, and the same scores of held-out real images as a floor."""

import fnmatch
from collections.abc import Sequence
from typing import Any

import numpy as np

from wgan_jax.metrics import frechet, neighbours, score_table, sliced, ssim
from wgan_jax.metrics.features import registry
from wgan_jax.metrics.features.network import FeatureNetwork
from wgan_jax.metrics.score_table import INCEPTION, SCORES, Reference, Sample, pixels

LEAST = 20  # images of any kind that a score needs
MOST_REAL = 50_000  # training images that are compared with; more change a score by less than its own noise
_MOST_BYTES = 2**31  # of these images, which stay in memory


class Scorer:
    """Scores sets of images against the same real images, whose features are computed once."""

    def __init__(
        self, train: np.ndarray, held_out: np.ndarray | None, network: FeatureNetwork | None, *, num_samples: int, seed: int = 0
    ) -> None:
        """Computes the features of the real images, which may take minutes.

        Args:
          train: training images, uint8 [N, H, W, C].
          held_out: real images that were not trained on, or None.
          network: None leaves only the scores of pixels.
          num_samples: number of generated images that will be scored.
          seed: of every random choice.
        """
        self.network, self._num_samples = network, num_samples
        train = self._describe(_choose(train, min(MOST_REAL, max(1, _MOST_BYTES // train[0].size)), seed))
        self.moments = None if network is None else frechet.Moments.of(train.features)
        self._train = Reference(train.images, train.features, train.shares, self.moments, seed)
        self.held_out = None if held_out is None else _choose(held_out, num_samples, seed)
        self.floor, self.floor_details = ({}, {}) if self.held_out is None else self.score(self.held_out, real=True)

    def score(self, images: np.ndarray, *, real: bool = False) -> tuple[dict[str, float], dict[str, Any]]:
        """The scores of images.

        Args:
          images: uint8 [N, H, W, C], in random order.
          real: leaves out the scores that compare with the held-out images, for these images themselves.

        Returns:
          {'fd_mnist_cnn_10k': 12.3, ...}; and what is not a single number: 'classes', the share of each class, if the feature
          network knows the classes of the data set.
        """
        sample = self._describe(images)._replace(held_out=None if real else self.held_out)
        measured: dict[str, float] = {}
        for score in SCORES.values():
            if getattr(sample, score.needs) is not None and min(images.shape[1:3]) >= score.least_side:
                measured |= score.measure(sample, self._train)
        scores = {with_count(self._name(pattern), len(images)): float(value) for pattern, value in measured.items()}
        return scores, {} if sample.shares is None else {'classes': sample.shares.tolist()}

    @property
    def protocol(self) -> dict[str, Any]:
        """Everything that the scores depend on and that their names do not say."""
        network, images = self.network, self._train.images
        num_held_out = 0 if self.held_out is None else len(self.held_out)
        return {
            'num_real': len(images),
            'num_held_out': num_held_out,
            'seed': self._train.seed,
            'features': None if network is None else network.name,
            'weights_sha256': None if network is None else network.weights_sha256,
            'preprocessing': None if network is None else network.preprocessing,
            'kernel': f'cubic, 100 subsets of {min(1000, self._num_samples, len(images))}',
            'neighbours': score_table.NEIGHBOUR,
            'num_for_neighbours': min(score_table.MOST_NEIGHBOURS, self._num_samples, len(images)),
            'sliced': score_table.SLICED,
            'ms_ssim_pairs': score_table.PAIRS,
            'ms_ssim_levels': ssim.num_levels(*images.shape[1:3]),
            'num_for_copying': min(score_table.NEAREST, self._num_samples, num_held_out),
            'pixels': 'rounded to 8 bits',
        }

    def real(self, count: int) -> np.ndarray:
        """Up to `count` training images, chosen at random."""
        return self._train.images[:count]

    def nearest(self, images: np.ndarray) -> np.ndarray:
        """The training image, of those compared with, that is nearest in pixels to each of uint8 [N, H, W, C]."""
        _, indices = neighbours.nearest(pixels(images), pixels(self._train.images))
        return self._train.images[indices]

    def _describe(self, images: np.ndarray) -> Sample:
        if self.network is None:
            return Sample(images)
        features, logits = self.network.apply(images)
        if self.network.num_classes is None:
            return Sample(images, features)
        shares = np.bincount(np.argmax(logits, axis=1), minlength=logits.shape[1]) / len(logits)
        # A network that takes images of any shape does not have the classes of the data set.
        return Sample(images, features, logits, None if self.network.image_shape is None else shares)

    def _name(self, pattern: str) -> str:
        if self.network is None:
            return pattern
        return (INCEPTION.get(pattern, pattern) if self.network.name == 'inception' else pattern).replace('*', self.network.name)


def lower_is_better(name: str) -> bool:
    """Whether a score, such as fd_mnist_cnn_10k, falls as images get better."""
    return not _is_among('higher', name)


def can_choose(name: str) -> bool:
    """Whether the checkpoint with the best value of a score, such as fd_mnist_cnn_10k, may be kept as the best one."""
    return not _is_among('shown', name)


def rankable(features: str | None, image_shape: Sequence[int]) -> list[str]:
    """The names, without a number of samples, of all scores by which images can be ranked.

    Args:
      features: name of the feature network; None: without one.
      image_shape: (height, width, channels).
    """
    fields, (height, width) = ('images', *registry.gives(features)), image_shape[:2]
    measured = [score for score in SCORES.values() if score.needs in fields and score.least_side <= min(height, width)]
    patterns = [pattern for score in measured for pattern in (*score.lower, *score.higher)]
    if features == 'inception':
        patterns = [INCEPTION.get(pattern, pattern) for pattern in patterns]
    levels = [f'swd_{sliced.level_name(*sides)}' for sides in sliced.level_sides(height, width)] if 'swd' in patterns else []
    return [*(pattern.replace('*', features or '') for pattern in patterns), *levels]


def _is_among(group: str, name: str) -> bool:
    patterns = [pattern for score in SCORES.values() for pattern in getattr(score, group)]
    patterns += [INCEPTION[pattern] for pattern in patterns if pattern in INCEPTION]
    return any(fnmatch.fnmatchcase(name, f'{pattern}_*') for pattern in patterns)


def with_count(name: str, number: int) -> str:
    """fd_mnist_cnn_10k of fd_mnist_cnn and 10,000."""
    return f'{name}_{number // 1000}k' if number % 1000 == 0 else f'{name}_{number}'


def full_name(name: str | None, number: int) -> str | None:
    """The name of a score with the number of samples, which it may have already."""
    return name if name is None or name.endswith(with_count('', number)) else with_count(name, number)


def without_count(name: str) -> str:
    """fd_mnist_cnn of fd_mnist_cnn_10k."""
    return name.rpartition('_')[0]


def _choose(images: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most `most` of the images, in random order: a data set may be sorted."""
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(images))
    return np.asarray(images[order[:most]])
