"""Nearest neighbours among features: precision and recall, density and coverage, and whether the training set was copied."""

from collections.abc import Iterator

import numpy as np

from wgan_jax.metrics.checks import check_features

_BLOCK_BYTES = 2**26  # of one block of distances: a few of them are alive at a time, whatever the number of items
_REFERENCE_BYTES = 2**28  # of the part of a reference that is compared at a time: it may be the pixels of a whole data set
_SLACK = 1e-13  # of the squared norms: far above the rounding of |x|^2 + |y|^2 - 2 x.y, far below any distance that matters


def nearest(queries: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The Euclidean distance from each query [N, D] to the nearest item of reference [M, D], and the index of that item.

    Candidates are found by |x|^2 + |y|^2 - 2 x.y in float64 about the mean of the reference, which is one product of matrices
    but cancels; the distance returned is that of the differences, so that a copy is at exactly 0. Where two items are
    equally near, up to 1e-15 of the squared norms, it is either.

    Returns:
      float64 [N] and int64 [N].

    Raises:
      ValueError: the features do not fit each other, a set is empty, or a number is not finite.
    """
    check_features(1, queries=queries, reference=reference)
    distances, indices = np.full(len(queries), np.inf), np.zeros(len(queries), np.int64)
    rows = max(1, _REFERENCE_BYTES // (8 * reference.shape[1]))
    for start in range(0, len(reference), rows):
        found, places = _nearest(queries, reference[start : start + rows], 1)
        nearer = found[:, 0] < distances
        distances[nearer], indices[nearer] = found[nearer, 0], start + places[nearer, 0]
    return distances, indices


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 5) -> dict[str, float]:
    """How much of one set lies in the other, each spread by balls that reach to the k-th nearest neighbour in their own set.

    precision: share of fake in any ball of real. recall: share of real in any ball of fake (Kynkaanniemi et al. 2019, equation
    2; they take k = 3). density: balls of real that a fake lies in, on average, over k: may exceed 1, and an outlier of real
    counts once. coverage: share of real whose ball holds a fake (Naeem et al. 2020, section 3, with k = 5). An item is
    no neighbour of itself. What lies on the edge of a ball is inside, and rounding counts as the edge: a copy of an item that
    is there k + 1 times lies in its ball of radius 0.

    Args:
      real: features [N, D], N above k.
      fake: features [M, D], M above k. All four depend on N and M: compare only equal ones.
      k: at least 1.

    Raises:
      ValueError: k is below 1, a set has no more than k items, the features do not fit, or a number is not finite.
    """
    if k < 1:
        raise ValueError(f'k={k} must be at least 1')
    check_features(k + 1, real=real, fake=fake)
    real_squared, fake_squared = (_nearest(items, items, k, skip_self=True)[0].max(axis=1) ** 2 for items in (real, fake))
    balls = np.zeros(len(fake), np.int64)  # of real, that each fake lies in
    covered = np.zeros(len(real), bool)  # there is a fake in the ball of this real
    recalled = np.zeros(len(real), bool)  # this real is in the ball of a fake
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


def copying(fake: np.ndarray, train: np.ndarray, held_out: np.ndarray) -> dict[str, float]:
    """Whether the generator gives back its training set: are its samples nearer to it than new real items are?

    The statistic of Meehan, Chaudhuri, Dasgupta 2020 (A Non-Parametric Test to Detect Data-Copying), the other way
    round and over the whole space: they count a sample that is farther, and add up the cells of a clustering, which this does
    not. So copies of one region can hide behind poor samples of another, and a generator whose samples are all poor is near 0.

    Args:
      fake: features, or pixels, [N, D].
      train: features [M, D] of what the generator has seen.
      held_out: features [K, D] of what it has not, from the same source.

    Returns:
      probability: that a sample is nearer to its nearest training item than a held-out item to its own, a tie counting one half
      (Mann-Whitney). 0.5: no copying; 1: copies. distance_ratio: median distance of the samples over that of the held-out items;
      left out if more than half of these are training items, so that nothing tells copies from new items.

    Raises:
      ValueError: the features do not fit, or a number is not finite.
    """
    check_features(1, fake=fake, train=train, held_out=held_out)
    of_fake, of_held_out = nearest(fake, train)[0], np.sort(nearest(held_out, train)[0])
    farther = len(of_held_out) - np.searchsorted(of_held_out, of_fake, side='right')
    tied = len(of_held_out) - np.searchsorted(of_held_out, of_fake, side='left') - farther
    result = {'probability': float(np.mean(farther + 0.5 * tied) / len(of_held_out))}
    if (middle := float(np.median(of_held_out))) > 0.0:
        result['distance_ratio'] = float(np.median(of_fake)) / middle
    return result


def _nearest(queries: np.ndarray, reference: np.ndarray, k: int, *, skip_self: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Distances and indices [N, k] of the k nearest, in no order; without the item of the same index if skip_self."""
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
    """Yields (start, squared distances [rows, M]) for one block of queries after the other, less `slack` of the squared norms."""
    centre = reference.mean(axis=0, dtype=np.float64)  # an offset common to all would cancel, and take the digits with it
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
