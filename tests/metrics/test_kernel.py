import numpy as np
import pytest
from sklearn.metrics.pairwise import polynomial_kernel

from wgan_jax.metrics.kernel import kernel_distance


def textbook(x, y):
    """The double sums, with the kernel of scikit-learn, whose defaults are degree 3, gamma 1/D and coef0 1."""
    count = len(x)
    within = sum(
        k[i, j] for k in (polynomial_kernel(x), polynomial_kernel(y)) for i in range(count) for j in range(count) if i != j
    )
    return within / (count * (count - 1)) - 2 * np.mean(polynomial_kernel(x, y))


def sets(x_count, y_count, features=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(x_count, features)), 0.3 + 1.2 * rng.normal(size=(y_count, features))


def test_by_hand():
    """One feature: k(x, y) = (xy + 1)^3. x = 0, 1 and y = 1, 2: 1 + 27 - (1 + 1 + 8 + 27) / 2."""
    mean, error = kernel_distance(np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]]), num_subsets=3)
    np.testing.assert_allclose(mean, 1.0 + 27.0 - 37.0 / 2)
    np.testing.assert_allclose(error, 0.0, atol=1e-12)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_subsets_of_all_items_give_the_textbook_sum(dtype):
    x, y = (z.astype(dtype) for z in sets(17, 17))
    np.testing.assert_allclose(kernel_distance(x, y)[0], textbook(x.astype(np.float64), y.astype(np.float64)), rtol=1e-10)


def test_subsets_are_drawn_without_replacement():
    """The mean and the standard error of the textbook sum over the same draws."""
    x, y = sets(30, 40)
    rng, values = np.random.Generator(np.random.Philox(key=5)), []
    for _ in range(6):
        rows = rng.choice(30, 10, replace=False), rng.choice(40, 10, replace=False)
        values.append(textbook(x[rows[0]], y[rows[1]]))
    mean, error = kernel_distance(x, y, subset_size=10, num_subsets=6, seed=5)
    np.testing.assert_allclose(mean, np.mean(values), rtol=1e-10)
    np.testing.assert_allclose(error, np.std(values, ddof=1) / np.sqrt(6), rtol=1e-10)


@pytest.mark.parametrize('swapped', [False, True])
def test_the_smaller_set_bounds_the_subset(swapped):
    """8 items of x and so 8 of y: only the choice among the 9 items of y varies."""
    x, y = sets(8, 9)
    without_one = [textbook(x, np.delete(y, i, axis=0)) for i in range(9)]
    mean, error = kernel_distance(*((y, x) if swapped else (x, y)), num_subsets=2)
    nearest = min(abs(mean - (a + b) / 2) + abs(2 * error - abs(a - b)) for a in without_one for b in without_one)
    assert nearest < 1e-9


def test_unbiased():
    """For equal distributions, the mean of many draws is 0 within its error; the biased estimate would be far outside."""
    rng = np.random.default_rng(1)
    values = [kernel_distance(*rng.normal(size=(2, 12, 4)), num_subsets=2)[0] for _ in range(800)]
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3 * error
    diagonal = 2 * np.mean((rng.chisquare(4, 10_000) / 4 + 1) ** 3 - 1) / 12  # the terms with i = j
    assert diagonal > 20 * error


def test_arguments_that_do_not_fit_are_refused():
    x, y = sets(10, 10)
    with pytest.raises(ValueError, match='y has 4 features per item, x has 5'):
        kernel_distance(x, y[:, :4])
    with pytest.raises(ValueError, match='N at least 2'):
        kernel_distance(x, y[:1])
    with pytest.raises(ValueError, match='subset_size=1 '):
        kernel_distance(x, y, subset_size=1)
    with pytest.raises(ValueError, match='y holds a number that is not finite'):
        kernel_distance(x, np.where(y > 1, np.inf, y))
