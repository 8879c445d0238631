"""The scores of generated images: against the images of training, beside those of real images that were kept out of it."""

import math
from typing import Any

import numpy as np

from wgan_jax.metrics import frechet, kernel, neighbours, sliced, ssim
from wgan_jax.metrics.features.network import FeatureNetwork

LEAST = 20  # images of any kind from which a score can be told
MOST_REAL = 50_000  # images of training that are compared with; more change a score by less than its own noise
_MOST_BYTES = 2**31  # of these, which stay in memory
_MOST_NEIGHBOURS = 10_000  # of each set, for precision, recall, density and coverage: the cost grows with the square
_NEAREST = 1000  # samples whose nearest images of training are looked for
_PAIRS = 2000  # whose similarity is averaged: its mean is known to a few thousandths
_NEIGHBOUR = 5  # the k of precision, recall, density and coverage: Naeem et al. 2020
_SLICED = {'patches_per_image': 32, 'num_directions': 128}  # the paper's 128 and 512 take sixteen times as long
_HIGHER_IS_BETTER = ('precision', 'recall', 'density', 'coverage', 'modes', 'classifier_score', 'inception_score')


class Scorer:
    """What generated images are compared with; real features are taken once."""

    def __init__(
        self, train: np.ndarray, held_out: np.ndarray | None, network: FeatureNetwork | None, *, num_samples: int, seed: int = 0
    ) -> None:
        """Takes the features of real images, which may last minutes.

        Args:
          train: uint8 [N, H, W, C].
          held_out: real images that were not trained on, or None.
          network: where features come from; None: only scores of pixels are taken.
          num_samples: generated images that will be scored.
          seed: of every choice that is made at random.
        """
        self.network, self._seed = network, seed
        self._train = _choose(train, min(MOST_REAL, max(1, _MOST_BYTES // train[0].size)), seed)
        self.held_out = None if held_out is None else _choose(held_out, num_samples, seed)
        self._num_samples = num_samples
        if network is not None:
            self._features, logits = network.apply(self._train)
            self.moments = frechet.Moments.of(self._features)
            self._shares = _shares(logits) if network.num_classes is not None else None
        self.floor, self.floor_details = ({}, {}) if self.held_out is None else self.score(self.held_out, real=True)

    def score(self, images: np.ndarray, *, real: bool = False) -> tuple[dict[str, float], dict[str, Any]]:
        """The scores of uint8 images [N, H, W, C], in an order of no meaning.

        Args:
          images: as above.
          real: they are those held out, which cannot be asked how they compare with themselves.

        Returns:
          {'fd_mnist_cnn_10k': 12.3, ...}, and what is no single number.
        """
        measured: dict[str, float] = {}
        details: dict[str, Any] = {}
        if self.network is not None:
            self._score_features(images, measured, details)
        count = min(len(images), len(self._train))
        if min(images.shape[1:3]) >= sliced.PATCH:
            distances = sliced.sliced_wasserstein(self._train[:count], images[:count], seed=self._seed, **_SLICED)
            measured |= {'swd' if level == 'mean' else f'swd_{level}': value for level, value in distances.items()}
        measured['ms_ssim'] = ssim.diversity(images, pairs=_PAIRS, seed=self._seed)
        if self.held_out is not None and not real:
            fake, held_out = (_pixels(part[:_NEAREST]) for part in (images, self.held_out))
            found = neighbours.copying(fake, _pixels(self._train), held_out)
            measured |= {'copying' if name == 'probability' else f'copying_{name}': value for name, value in found.items()}
        return {with_count(name, len(images)): float(value) for name, value in measured.items()}, details

    @property
    def protocol(self) -> dict[str, Any]:
        """All that a score depends on and does not show."""
        network = self.network
        return {
            'num_real': len(self._train),
            'num_held_out': 0 if self.held_out is None else len(self.held_out),
            'seed': self._seed,
            'features': None if network is None else network.name,
            'weights_sha256': None if network is None else network.weights_sha256,
            'preprocessing': None if network is None else network.preprocessing,
            'kernel': 'cubic, 100 subsets of 1000',
            'neighbours': _NEIGHBOUR,
            'num_for_neighbours': min(_MOST_NEIGHBOURS, self._num_samples, len(self._train)),
            'sliced': _SLICED,
            'ms_ssim_pairs': _PAIRS,
            'ms_ssim_levels': ssim.num_levels(*self._train.shape[1:3]),
            'num_for_copying': min(_NEAREST, self._num_samples),
            'pixels': 'rounded to 8 bits',
        }

    def real(self, count: int) -> np.ndarray:
        """Some of the images of training, at random."""
        return self._train[:count]

    def nearest(self, images: np.ndarray) -> np.ndarray:
        """The image of training, of those compared with, that is nearest in pixels to each of uint8 [N, H, W, C]."""
        _, indices = neighbours.nearest(_pixels(images), _pixels(self._train))
        return self._train[indices]

    def _score_features(self, images: np.ndarray, measured: dict[str, float], details: dict[str, Any]) -> None:
        network = self.network
        features, logits = network.apply(images)
        distance, infinity, kid = (
            ('fid', 'fid_infinity', 'kid')
            if network.name == 'inception'
            else (f'fd_{network.name}', f'fd_infinity_{network.name}', f'kd_{network.name}')
        )
        measured[distance] = frechet.frechet_distance(frechet.Moments.of(features), self.moments)
        measured[infinity] = frechet.frechet_infinity(features, self.moments, seed=self._seed)
        measured[kid], measured[f'{kid}_error'] = kernel.kernel_distance(self._features, features, seed=self._seed)
        count = min(_MOST_NEIGHBOURS, len(features), len(self._features))
        found = neighbours.precision_recall(self._features[:count], features[:count], k=_NEIGHBOUR)
        measured |= {f'{name}_{network.name}': value for name, value in found.items()}
        if network.num_classes is None:
            return
        name = 'inception_score' if network.name == 'inception' else f'classifier_score_{network.name}'
        measured[name] = _inception_score(logits)
        if network.image_shape is None:
            return  # the classes are not those of the data set
        shares = _shares(logits)
        measured[f'modes_{network.name}'] = int(np.sum(shares > self._shares / 10))
        positive = shares[shares > 0]
        measured[f'kl_to_uniform_{network.name}'] = float(np.sum(positive * np.log(positive * len(shares))))
        details['classes'] = shares.tolist()


def lower_is_better(name: str) -> bool:
    """Whether a score, such as fd_mnist_cnn_10k, falls as images get better."""
    return not name.startswith(_HIGHER_IS_BETTER)


def can_choose(name: str) -> bool:
    """Whether the best of some states may be chosen by a score: noise is no copy, and its samples are not alike."""
    return '_error_' not in name and not name.startswith(('copying', 'ms_ssim', 'kl_to_uniform'))


def with_count(name: str, number: int) -> str:
    """fd_mnist_cnn_10k of fd_mnist_cnn and 10,000."""
    return f'{name}_{number // 1000}k' if number % 1000 == 0 else f'{name}_{number}'


def full_name(name: str | None, number: int) -> str | None:
    """A score's name with the number of samples, which it may have already."""
    return name if name is None or name.endswith(with_count('', number)) else with_count(name, number)


def without_count(name: str) -> str:
    """fd_mnist_cnn of fd_mnist_cnn_10k."""
    return name.rpartition('_')[0]


def _choose(images: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Some of the images, or all, in a random order: a data set may be in an order that means something."""
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(images))
    return np.asarray(images[order[:most]])


def _pixels(images: np.ndarray) -> np.ndarray:  # [N, H, W, C] -> [N, H * W * C]
    return images.reshape(len(images), -1)


def _shares(logits: np.ndarray) -> np.ndarray:  # [N, classes] -> [classes]
    """Of each class, the share of the images that are taken for it."""
    return np.bincount(np.argmax(logits, axis=1), minlength=logits.shape[1]) / len(logits)


def _inception_score(logits: np.ndarray) -> float:
    """exp(mean KL(p(y|x) || p(y))), over all images at once (Salimans et al. 2016, section 4; they take ten parts)."""
    logits = logits.astype(np.float64)
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    log_mean = np.logaddexp.reduce(logs, axis=0) - math.log(len(logs))
    return math.exp(np.mean(np.sum(np.exp(logs) * (logs - log_mean), axis=1)))
