"""Metrics of nearest neighbours among features: precision and recall, density and coverage, copying of training items."""

from collections.abc import Iterator

import numpy as np

from wgan_jax.metrics.checks import check_features

_NEAREST = 50  # training items in the mean that a relative distance is relative to: as in Carlini et al. 2023
_BLOCK_BYTES = 2**26  # of one block of distances; a few blocks are in memory at a time, whatever the number of items
_REFERENCE_BYTES = 2**28  # of the part of a reference that is compared at a time: the whole may be the pixels of a data set
_SLACK = 1e-13  # of the squared norms: far above the rounding of |x|^2 + |y|^2 - 2 x.y, far below any distance that matters


def nearest(queries: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The Euclidean distance, float64 [N], from each query [N, D] to the nearest of reference [M, D], and its index, int64 [N].

    The nearest item is found through |x|^2 + |y|^2 - 2 x.y, centred on the mean of the reference, in float64: a single matrix
    product, but subject to cancellation. The distance is then computed from the difference, so a copy has distance exactly 0. Of
    two items that are equally near, up to 1e-15 of the squared norms, either may be returned.

    Raises:
      ValueError: the features have different D, a set is empty, or a number is not finite.
    """
    check_features(1, queries=queries, reference=reference)
    distances, indices = np.full(len(queries), np.inf), np.zeros(len(queries), np.int64)
    for start, rows in _parts(reference):
        found, places = _nearest(queries, reference[start : start + rows], 1)
        nearer = found[:, 0] < distances
        distances[nearer], indices[nearer] = found[nearer, 0], start + places[nearer, 0]
    return distances, indices


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 5) -> dict[str, float]:
    """Precision, recall, density and coverage: each item has a ball that reaches to its k-th nearest neighbour in its own set.

    precision: share of fake items in any ball of real items. recall: share of real items in any ball of fake items (Kynkaanniemi
    et al. 2019, equation 2, with k = 3). density: mean number of balls of real items that a fake item is in, divided by k; it may
    exceed 1, and an outlier among the real items counts only once. coverage: share of real items whose ball contains a fake item
    (Naeem et al. 2020, section 3, with k = 5). An item is not its own neighbour. Items on the edge of a ball, up to rounding, are
    inside: a copy of an item that appears k + 1 times is in its ball of radius 0.

    Args:
      real: features [N, D], N greater than k.
      fake: features [M, D], M greater than k. All four depend on N and M: compare only results with equal N and M.
      k: number of the neighbour, at least 1.

    Raises:
      ValueError: a set has at most k items, the features have different D, or a number is not finite.
    """
    check_features(k + 1, real=real, fake=fake)
    real_squared, fake_squared = (_nearest(items, items, k, skip_self=True)[0].max(axis=1) ** 2 for items in (real, fake))
    balls = np.zeros(len(fake), np.int64)  # number of balls of real items that each fake item is in
    covered = np.zeros(len(real), bool)  # whether the ball of this real item contains a fake item
    recalled = np.zeros(len(real), bool)  # whether this real item is in the ball of a fake item
    for start, squared in _squared_distances(fake, real, slack=_SLACK):
        rows = slice(start, start + len(squared))
        inside = squared <= real_squared[None]
        balls[rows] = inside.sum(axis=1)
        covered |= inside.any(axis=0)
        recalled |= (squared <= fake_squared[rows, None]).any(axis=0)
    return {
        'precision': float(np.mean(balls > 0)),
        'recall': float(recalled.mean()),
        'density': float(balls.mean() / k),
        'coverage': float(covered.mean()),
    }


def copying(fake: np.ndarray, train: np.ndarray, held_out: np.ndarray) -> float:
    """Whether generated items single out training items, as copies do, more than new real items do.

    An item singles out its nearest training item if that one is much nearer than the 50 nearest are on average: the relative
    distance of Carlini et al. 2023 (Extracting Training Data from Diffusion Models, arXiv 2301.13188). Those of the samples are
    compared with those of held-out items, as Meehan, Chaudhuri, Dasgupta 2020 (A Non-Parametric Test to Detect Data-Copying)
    compare distances. Of the samples with the same nearest training item only the nearest counts, and the others are no evidence
    either way: otherwise noise and blurred samples, which are all near to one blurred training image, would pass for copies. So
    samples that are all copies of a few training items are not found; they lack variety.

    Args:
      fake: features or pixels [N, D] of generated items.
      train: those of the training set, [M, D].
      held_out: those of other items from the same source, [K, D]; K about N, so that as many of them share their nearest item.

    Returns:
      0.5: no copying. 1: copies of different training items. Below 0.5: the samples are like noise. It is the probability of the
      relative distance of a sample being less than that of a held-out item, where a tie, or being no evidence, counts one half.

    Raises:
      ValueError: the features have different D, or a number is not finite.
    """
    check_features(1, fake=fake, train=train, held_out=held_out)
    of_fake, of_held_out = _relative_distances(fake, train), np.sort(_relative_distances(held_out, train))
    farther = len(of_held_out) - np.searchsorted(of_held_out, of_fake, side='right')
    tied = len(of_held_out) - np.searchsorted(of_held_out, of_fake, side='left') - farther
    evidence = len(of_fake) / len(fake)
    return float(evidence * np.mean(farther + 0.5 * tied) / len(of_held_out) + 0.5 * (1.0 - evidence))


def _relative_distances(queries: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The distance to the nearest item over the mean distance to the nearest ones: 1 if these are equally near, 0 for a copy.

    Of the queries with the same nearest item, only the one with the least such ratio is there.
    """
    distances, indices = np.empty((len(queries), 0)), np.empty((len(queries), 0), np.int64)
    for start, rows in _parts(reference):
        part = reference[start : start + rows]
        found, places = _nearest(queries, part, min(_NEAREST, len(part)))
        distances, indices = np.concatenate([distances, found], axis=1), np.concatenate([indices, start + places], axis=1)
        order = np.argsort(distances, axis=1, kind='stable')[:, :_NEAREST]
        distances, indices = np.take_along_axis(distances, order, axis=1), np.take_along_axis(indices, order, axis=1)
    relative = distances[:, 0] / np.maximum(distances.mean(axis=1), np.finfo(np.float64).tiny)
    order = np.argsort(relative, kind='stable')
    _, first = np.unique(indices[order, 0], return_index=True)
    return relative[order][first]


def _parts(reference: np.ndarray) -> Iterator[tuple[int, int]]:
    """(start, number of items) of each part of a reference that is compared at a time."""
    rows = max(1, _REFERENCE_BYTES // (8 * reference.shape[1]))
    return ((start, rows) for start in range(0, len(reference), rows))


def _nearest(queries: np.ndarray, reference: np.ndarray, k: int, *, skip_self: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Distances and indices [N, k] of the k nearest items, unordered; skip_self leaves out the item of the same index."""
    distances, indices = np.empty((len(queries), k)), np.empty((len(queries), k), np.int64)
    for start, squared in _squared_distances(queries, reference):
        rows = slice(start, start + len(squared))
        if skip_self:
            squared[np.arange(len(squared)), np.arange(start, start + len(squared))] = np.inf
        indices[rows] = squared.argmin(axis=1)[:, None] if k == 1 else np.argpartition(squared, k - 1, axis=1)[:, :k]
        for column in range(k):
            difference = queries[rows].astype(np.float64) - reference[indices[rows, column]]
            distances[rows, column] = np.linalg.norm(difference, axis=1)
    return distances, indices


def _squared_distances(queries: np.ndarray, reference: np.ndarray, slack: float = 0.0) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (start, squared distances [rows, M]) for each block of queries, reduced by `slack` of the squared norms."""
    centre = reference.mean(axis=0, dtype=np.float64)  # a common offset would cancel, and digits would be lost
    reference = reference - centre
    norms = (1.0 - slack) * np.einsum('nd,nd->n', reference, reference)
    rows = max(1, _BLOCK_BYTES // (8 * len(reference)))
    for start in range(0, len(queries), rows):
        block = queries[start : start + rows] - centre
        squared = block @ reference.T
        squared *= -2.0
        squared += norms[None]
        squared += (1.0 - slack) * np.einsum('nd,nd->n', block, block)[:, None]
        yield start, squared
