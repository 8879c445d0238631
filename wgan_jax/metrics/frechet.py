"""The Frechet distance between Gaussians fitted to two sets of features (Heusel et al. 2017, equation 6).

It is called FID only on features of the 2015 Inception network; on any other network it carries that network's name.
"""

from typing import NamedTuple, Self

import numpy as np

from wgan_jax.metrics.checks import check_features

_BLOCK = 4096  # items converted to float64 at once
_NUM_SIZES = 15  # of the sets that frechet_infinity compares


class Moments(NamedTuple):
    """Count, mean and covariance of features, in float64."""

    count: int
    mean: np.ndarray  # [D]
    scatter: np.ndarray  # [D, D]: the sum of (x - mean)(x - mean)'

    @classmethod
    def of(cls, features: np.ndarray) -> Self:
        """The moments of features [N, D].

        Each block is centred on its own mean before it is squared, and blocks are combined through the difference of their means
        (Chan, Golub, LeVeque 1979): no large numbers cancel, whatever the offset of the features.

        Raises:
          ValueError: the features are not [N, D], or hold a number that is not finite.
        """
        check_features(1, features=features)
        num_features = features.shape[1]
        count, whole_mean, scatter = 0, np.zeros(num_features), np.zeros((num_features, num_features))
        for start in range(0, len(features), _BLOCK):
            block = np.asarray(features[start : start + _BLOCK], np.float64)
            mean = block.mean(axis=0)
            block = block - mean
            shift, total = mean - whole_mean, count + len(block)
            scatter += block.T @ block + np.outer(shift, shift) * (count * len(block) / total)
            whole_mean = whole_mean + shift * (len(block) / total)
            count = total
        return cls(count, whole_mean, scatter)

    @property
    def covariance(self) -> np.ndarray:
        """Divided by N - 1, as in np.cov and in published scores; a ValueError if there are fewer than two items."""
        if self.count < 2:
            raise ValueError(f'a covariance needs at least 2 items, not {self.count}')
        return self.scatter / (self.count - 1)


def frechet_distance(a: Moments, b: Moments) -> float:
    """|m - n|^2 + tr(S + T - 2 (S T)^(1/2)) for means m, n and covariances S, T (Dowson and Landau 1982, equation 4).

    With S = A A', the nonzero eigenvalues of S T are those of A' T A, which is symmetric: there is no complex root and no nearly
    singular product, and no small number has to be added to the diagonal. A has as many columns as the rank of S; S is the
    covariance of the set with fewer items. The rounding error is about 1e-8 of the largest variance per feature.

    Returns:
      The distance in squared units of the features, at least 0.

    Raises:
      ValueError: the sets have different numbers of features, or one has fewer than two items.
    """
    check_features(1, a=a.mean[None], b=b.mean[None])
    few, many = (a, b) if a.count <= b.count else (b, a)
    return max(0.0, _distance(few, _root(few.covariance), many))


def frechet_infinity(features: np.ndarray, reference: Moments, seed: int = 0) -> float:
    """Extrapolates the Frechet distance to infinitely many items (FID_infinity: Chong and Forsyth 2020).

    The distance of N items is too large by about a constant over N, which differs between generators. Distances at 15 sizes,
    evenly spaced from N/10 to N as in the paper, are fitted by a line in 1/N; the result is its value at 0. Each size takes its
    items in a new random order. As in the paper, the bias from the number of items in the reference remains.

    The bias is not linear in 1/N where a set has about as many items as features. So the smallest size is at least 2 D (as it is
    for the authors' 50,000 items of 2048 features), or N/2 if that is less. With N below 4 D too much is still subtracted.

    Args:
      features: [N, D], N at least 20.
      reference: the moments to compare with. To rank generators, use the same reference for all of them.
      seed: seed of the orders; the same seed gives the same bits.

    Returns:
      The intercept. It may be slightly negative for sets that are alike.

    Raises:
      ValueError: there are fewer than 20 items, or the features do not fit the reference.
    """
    check_features(20, features=features)
    check_features(1, features=features, reference=reference.mean[None])
    rng = np.random.Generator(np.random.Philox(key=seed))
    count, num_features = features.shape
    smallest = max(count / 10, min(2 * num_features, count / 2))
    sizes = np.linspace(smallest, count, _NUM_SIZES).astype(int)
    root = _root(reference.covariance)
    distances = [_distance(reference, root, Moments.of(features[rng.permutation(count)[:size]])) for size in sizes]
    return float(np.polynomial.Polynomial.fit(1.0 / sizes, distances, 1)(0.0))


def _root(covariance: np.ndarray) -> np.ndarray:
    """A [D, rank] with A A' = covariance; eigenvalues within rounding of 0 are left out."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > max(0.0, values[-1]) * len(values) * np.finfo(np.float64).eps
    return vectors[:, kept] * np.sqrt(values[kept])


def _distance(a: Moments, root: np.ndarray, b: Moments) -> float:
    covariance = b.covariance
    overlap = np.sqrt(np.maximum(np.linalg.eigvalsh(root.T @ covariance @ root), 0.0)).sum()
    return float(np.sum((a.mean - b.mean) ** 2) + np.trace(a.covariance) + np.trace(covariance) - 2.0 * overlap)
