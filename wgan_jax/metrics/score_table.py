"""The table of scores: how each is computed, what it needs and how it is read."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from wgan_jax.metrics import frechet, kernel, neighbours, sliced, ssim

MOST_NEIGHBOURS = 10_000  # of each set, for precision, recall, density and coverage: the cost grows with the square
NEAREST = 1000  # samples at most whose nearest training images are searched, and as many held-out images
PAIRS = 2000  # whose similarity is averaged: the mean is then known to a few thousandths
NEIGHBOUR = 5  # the k of precision, recall, density and coverage: Naeem et al. 2020
SLICED = {'patches_per_image': 32, 'num_directions': 128}  # the paper's 128 and 512 take sixteen times as long
_MODE_RATIO = 10  # a class is a mode if its share exceeds its share of the training images divided by this


class Sample(NamedTuple):
    """Images to score, uint8 [N, H, W, C], and what is known of them."""

    images: np.ndarray
    features: np.ndarray | None = None  # [N, D]; None without a feature network
    logits: np.ndarray | None = None  # [N, classes]; None if the network has no classes
    shares: np.ndarray | None = None  # of images in each class; None unless the classes are those of the data set
    held_out: np.ndarray | None = None  # real images that were not trained on; None if there are none, or `images` are these


class Reference(NamedTuple):
    """The training images that samples are compared with, described in the same way."""

    images: np.ndarray
    features: np.ndarray | None
    shares: np.ndarray | None
    moments: frechet.Moments | None  # of the features
    seed: int  # of every random choice


class Score(NamedTuple):
    """A row of the table. In names, * stands for the feature network."""

    measure: Callable[[Sample, Reference], dict[str, float]]  # returns numbers by name
    needs: str = 'images'  # a field of Sample that must not be None
    least_side: int = 1  # pixels of the shorter side
    lower: tuple[str, ...] = ()  # names of scores that fall as images get better
    higher: tuple[str, ...] = ()  # names of scores that rise as images get better
    shown: tuple[str, ...] = ()  # names of scores whose best value is no reason to keep a checkpoint


def _frechet(sample: Sample, train: Reference) -> dict[str, float]:
    return {
        'fd_*': frechet.frechet_distance(frechet.Moments.of(sample.features), train.moments),
        'fd_infinity_*': frechet.frechet_infinity(sample.features, train.moments, seed=train.seed),
    }


def _kernel(sample: Sample, train: Reference) -> dict[str, float]:
    mean, error = kernel.kernel_distance(train.features, sample.features, seed=train.seed)
    return {'kd_*': mean, 'kd_*_error': error}


def _neighbours(sample: Sample, train: Reference) -> dict[str, float]:
    count = min(MOST_NEIGHBOURS, len(sample.features), len(train.features))
    found = neighbours.precision_recall(train.features[:count], sample.features[:count], k=NEIGHBOUR)
    return {f'{name}_*': value for name, value in found.items()}


def _classifier_score(sample: Sample, _: Reference) -> dict[str, float]:
    """exp(mean KL(p(y|x) || p(y))), over all images at once (Salimans et al. 2016, section 4; they average ten parts)."""
    logits = sample.logits.astype(np.float64)
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    log_mean = np.logaddexp.reduce(logs, axis=0) - math.log(len(logs))
    return {'classifier_score_*': math.exp(np.mean(np.sum(np.exp(logs) * (logs - log_mean), axis=1)))}


def _classes(sample: Sample, train: Reference) -> dict[str, float]:
    positive = sample.shares[sample.shares > 0]
    return {
        'modes_*': int(np.sum(sample.shares > train.shares / _MODE_RATIO)),
        'kl_to_uniform_*': np.sum(positive * np.log(positive * len(sample.shares))),
    }


def _sliced(sample: Sample, train: Reference) -> dict[str, float]:
    count = min(len(sample.images), len(train.images))
    found = sliced.sliced_wasserstein(train.images[:count], sample.images[:count], seed=train.seed, **SLICED)
    return {'swd' if level == 'mean' else f'swd_{level}': value for level, value in found.items()}


def _diversity(sample: Sample, train: Reference) -> dict[str, float]:
    return {'ms_ssim': ssim.diversity(sample.images, pairs=PAIRS, seed=train.seed)}


def _copying(sample: Sample, train: Reference) -> dict[str, float]:
    count = min(NEAREST, len(sample.images), len(sample.held_out))
    return {'copying': neighbours.copying(pixels(sample.images[:count]), pixels(train.images), pixels(sample.held_out[:count]))}


def pixels(images: np.ndarray) -> np.ndarray:  # [N, H, W, C] -> [N, H * W * C]
    """Images as rows of a matrix."""
    return images.reshape(len(images), -1)


SCORES = {
    'frechet': Score(_frechet, 'features', lower=('fd_*', 'fd_infinity_*')),
    'kernel': Score(_kernel, 'features', lower=('kd_*',), shown=('kd_*_error',)),
    'neighbours': Score(_neighbours, 'features', higher=('precision_*', 'recall_*', 'density_*', 'coverage_*')),
    'classifier': Score(_classifier_score, 'logits', higher=('classifier_score_*',)),
    'classes': Score(_classes, 'shares', higher=('modes_*',), shown=('kl_to_uniform_*',)),
    'sliced': Score(_sliced, least_side=sliced.PATCH, lower=('swd',)),  # also swd_28, ... for the levels
    'diversity': Score(_diversity, shown=('ms_ssim',)),  # lowest for noise
    'copying': Score(_copying, 'held_out', shown=('copying',)),  # lowest for noise
}
INCEPTION = {  # the usual names of scores on the features of the Inception network
    'fd_*': 'fid',
    'fd_infinity_*': 'fid_infinity',
    'kd_*': 'kid',
    'kd_*_error': 'kid_error',
    'classifier_score_*': 'inception_score',
}
