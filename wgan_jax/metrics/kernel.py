"""The kernel distance between two sets of features: unbiased, and with an error of its own (Binkowski et al. 2018: KID)."""

import numpy as np

from wgan_jax.metrics.checks import check_features


def kernel_distance(
    x: np.ndarray, y: np.ndarray, *, subset_size: int = 1000, num_subsets: int = 100, seed: int = 0
) -> tuple[float, float]:
    """Squared maximum mean discrepancy with the kernel (x.y / D + 1)^3, mean over random subsets and its standard error.

    Each subset takes `subset_size` items of x and as many of y, none twice, and gives the unbiased estimate (Gretton et al. 2012,
    equation 3, as Binkowski et al. 2018, section 4 use it): its expectation does not depend on N, and is 0 for equal
    distributions, so it may be negative. Published scores multiply it by 1000 more often than not.

    Args:
      x: features [N, D], N at least 2.
      y: features [M, D], M at least 2.
      subset_size: at least 2; where a set has fewer items, all of them, and equally many of the other.
      num_subsets: at least 2.
      seed: of the subsets; the same seed gives the same bits.

    Returns:
      The mean, and its standard error: the deviation of the subsets over the root of their number. That takes subsets as
      independent; where they hold the two sets many times over it is too small, and it is 0 where each of them is the whole.

    Raises:
      ValueError: shapes that do not fit, numbers that are not finite, or fewer than 2 of anything.
    """
    check_features(2, x=x, y=y)
    if subset_size < 2 or num_subsets < 2:
        raise ValueError(f'subset_size={subset_size} and num_subsets={num_subsets} must be at least 2')
    size = min(subset_size, len(x), len(y))
    rng = np.random.Generator(np.random.Philox(key=seed))

    def draw(features: np.ndarray) -> np.ndarray:
        return np.asarray(features[rng.choice(len(features), size, replace=False)], np.float64)

    estimates = [_unbiased(draw(x), draw(y)) for _ in range(num_subsets)]
    return float(np.mean(estimates)), float(np.std(estimates, ddof=1) / np.sqrt(num_subsets))


def _unbiased(x: np.ndarray, y: np.ndarray) -> float:
    """Items with themselves are left out: they are what makes the plain mean too large."""
    count = len(x)
    return (_off_diagonal_sum(x) + _off_diagonal_sum(y)) / (count * (count - 1)) - 2.0 * _kernel(x, y).sum() / count**2


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    base = x @ y.T
    base /= x.shape[1]
    base += 1.0
    return base * base * base  # a power of 3 takes ten times as long


def _off_diagonal_sum(x: np.ndarray) -> float:
    values = _kernel(x, x)
    return values.sum() - np.trace(values)
