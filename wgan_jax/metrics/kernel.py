"""The kernel distance between two sets of features: unbiased, with a standard error (KID: Binkowski et al. 2018)."""

import numpy as np

from wgan_jax.metrics.checks import check_features


def kernel_distance(
    x: np.ndarray, y: np.ndarray, *, subset_size: int = 1000, num_subsets: int = 100, seed: int = 0
) -> tuple[float, float]:
    """Squared maximum mean discrepancy with the kernel (x.y / D + 1)^3: mean over random subsets and its standard error.

    A subset has `subset_size` items of x and as many of y, drawn without replacement, and gives the unbiased estimate of Gretton
    et al. 2012, equation 3, as in Binkowski et al. 2018, section 4. Its expectation does not depend on N and is 0 for equal
    distributions, so it may be negative. Published scores are usually multiplied by 1000.

    Args:
      x: features [N, D].
      y: features [M, D].
      subset_size: at least 2. If a set has fewer items, subsets have the size of the smaller set.
      num_subsets: at least 2.
      seed: seed of the subsets; the same seed gives the same bits.

    Returns:
      The mean and its standard error: the deviation of the subsets over the root of their number. This assumes independent
      subsets: the error is too small if subsets overlap much, and 0 if each of them is the whole set.

    Raises:
      ValueError: shapes do not fit, a number is not finite, or there are fewer than 2 items or subsets.
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
    """Leaves out the pairs of an item with itself, which bias the plain mean upwards."""
    count, within = len(x), (values.sum() - np.trace(values) for values in (_kernel(x, x), _kernel(y, y)))
    return sum(within) / (count * (count - 1)) - 2.0 * _kernel(x, y).sum() / count**2


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    base = x @ y.T
    base /= x.shape[1]
    base += 1.0
    return base * base * base  # a power of 3 takes ten times as long
