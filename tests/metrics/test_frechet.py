import numpy as np
import pytest
import scipy.linalg

from wgan_jax.metrics import frechet
from wgan_jax.metrics.frechet import Moments, frechet_distance, frechet_infinity


def exactly(mean, covariance, count=40, seed=0):
    """Moments of features that have exactly this mean and covariance."""
    noise = np.random.default_rng(seed).normal(size=(count, len(mean)))
    noise -= noise.mean(axis=0)
    noise = scipy.linalg.solve_triangular(
        np.linalg.cholesky(np.cov(noise, rowvar=False).reshape(len(mean), -1)), noise.T, lower=True
    ).T
    return Moments.of(mean + noise @ scipy.linalg.sqrtm(np.array(covariance)).real)


def by_scipy(x, y):
    """The published formula, with the root of the product of the covariances."""
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    return np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2) + np.trace(s + t - 2 * scipy.linalg.sqrtm(s @ t).real)


def test_one_dimension_by_hand():
    """(m - n)^2 + (s - t)^2 for deviations s and t; the moments of three numbers, by hand."""
    a, b = Moments.of(np.array([[1.0], [2.0], [3.0]])), Moments.of(np.array([[0.0], [5.0], [10.0]]))
    np.testing.assert_allclose([a.count, a.mean[0], a.covariance[0, 0]], [3, 2.0, 1.0])
    np.testing.assert_allclose(frechet_distance(a, b), (2.0 - 5.0) ** 2 + (1.0 - 5.0) ** 2)


def test_correlated_covariances_by_hand():
    """S = [[2, 1], [1, 2]], T = diag(1, 4): ST = [[2, 4], [1, 8]] has trace 10 and determinant 12, and for 2 x 2
    tr(root)^2 = tr + 2 sqrt(det) = 10 + 4 sqrt(3). Neither S and T nor their roots commute."""
    a, b = exactly([0.0, 0.0], [[2.0, 1.0], [1.0, 2.0]]), exactly([1.0, 0.0], [[1.0, 0.0], [0.0, 4.0]], seed=1)
    expected = 1.0 + 4.0 + 5.0 - 2.0 * np.sqrt(10.0 + 4.0 * np.sqrt(3.0))
    np.testing.assert_allclose(frechet_distance(a, b), expected, rtol=1e-12)


@pytest.mark.parametrize('size', [(200, 300), (300, 200)])
def test_agrees_with_scipy(size):
    rng = np.random.default_rng(2)
    mixing = rng.normal(size=(2, 12, 12))
    x, y = rng.normal(size=(size[0], 12)) @ mixing[0], rng.normal(size=(size[1], 12)) @ mixing[1] + 0.5
    np.testing.assert_allclose(frechet_distance(Moments.of(x), Moments.of(y)), by_scipy(x, y), rtol=1e-9)


@pytest.mark.parametrize('counts', [(5, 60), (60, 5), (4, 6)])
def test_fewer_items_than_features(counts):
    """The covariances are singular. The trace of the root is then the sum of the singular values of X Y' (centred, scaled)."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(counts[0], 20)), 2.0 + rng.normal(size=(counts[1], 20)) * np.linspace(0.1, 3, 20)
    p, q = ((z - z.mean(axis=0)) / np.sqrt(len(z) - 1) for z in (x, y))
    root = np.linalg.svd(p @ q.T, compute_uv=False).sum()
    expected = np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2) + np.sum(p**2) + np.sum(q**2) - 2 * root
    found = frechet_distance(Moments.of(x), Moments.of(y))
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    np.testing.assert_allclose(found, frechet_distance(Moments.of(y), Moments.of(x)), rtol=1e-8)


def test_constant_features():
    """The covariance is 0."""
    real = exactly([1.0, 2.0], [[2.0, 1.0], [1.0, 2.0]])
    np.testing.assert_allclose(frechet_distance(Moments.of(np.full((7, 2), 4.0)), real), 9.0 + 4.0 + 4.0)


@pytest.mark.parametrize('count', [10, 500])
def test_equal_sets_are_at_distance_zero_and_not_below(count):
    features = np.random.default_rng(4).normal(size=(count, 30)) * np.logspace(-3, 3, 30)
    for other in (features, features[::-1], features * (1 + 1e-9)):
        assert 0.0 <= frechet_distance(Moments.of(features), Moments.of(other)) < 1e-6 * np.var(features, axis=0).max()


@pytest.mark.parametrize('count', [28, 29, 30])
def test_moments_do_not_depend_on_the_blocks(monkeypatch, count):
    """Nor on an offset in which a sum of squares would lose all digits."""
    monkeypatch.setattr(frechet, '_BLOCK', 7)
    features = np.random.default_rng(5).normal(size=(count, 4)) @ np.diag([1.0, 2.0, 3.0, 4.0]) + 1e8
    moments = Moments.of(features)
    assert moments.count == count
    np.testing.assert_allclose(moments.mean, features.mean(axis=0), rtol=1e-15)
    np.testing.assert_allclose(moments.covariance, np.cov(features, rowvar=False), rtol=1e-6)


def test_infinity_is_nearer_to_the_true_distance():
    """Twelve dimensions, deviations 1 and 1.2, means 0 and 0.1: the true distance is 12 * (0.01 + 0.04)."""
    dim, truth, rng = 12, 12 * (0.1**2 + 0.2**2), np.random.default_rng(7)
    reference = exactly(np.zeros(dim), np.eye(dim), count=400)
    errors = []
    for seed in range(8):
        features = 0.1 + 1.2 * rng.normal(size=(800, dim))
        found = frechet_distance(Moments.of(features), reference), frechet_infinity(features, reference, seed=seed)
        errors.append(np.array(found) - truth)
    of_n, of_infinity = np.mean(errors, axis=0)
    assert of_n > 0.04
    assert abs(of_infinity) < 0.3 * of_n


@pytest.mark.parametrize(('count', 'num_features', 'smallest'), [(200, 2, 20), (80, 6, 12), (24, 6, 12), (20, 6, 10)])
def test_infinity_is_the_intercept_of_a_line(monkeypatch, count, num_features, smallest):
    """Through the distances at two sizes: the smaller is N/10, but at least twice the number of features or N/2."""
    monkeypatch.setattr(frechet, '_NUM_SIZES', 2)
    features = np.random.default_rng(8).normal(size=(count, num_features))
    reference = exactly(np.ones(num_features), np.diag(np.arange(1.0, num_features + 1)))
    order = np.random.Generator(np.random.Philox(key=3)).permutation(count)
    few, whole = (frechet_distance(Moments.of(part), reference) for part in (features[order[:smallest]], features))
    expected = whole - (few - whole) / (count / smallest - 1)
    np.testing.assert_allclose(frechet_infinity(features, reference, seed=3), expected, rtol=1e-9)


def test_arguments_that_do_not_fit_are_refused():
    two, three = Moments.of(np.eye(2)), Moments.of(np.eye(3))
    with pytest.raises(ValueError, match='b has 3 features per item, a has 2'):
        frechet_distance(two, three)
    with pytest.raises(ValueError, match='at least 2 items'):
        frechet_distance(two, Moments.of(np.ones((1, 2))))
    with pytest.raises(ValueError, match=r'N at least 1, not \[0, 2\]'):
        Moments.of(np.ones((0, 2)))
    with pytest.raises(ValueError, match='not finite'):
        Moments.of(np.array([[1.0, np.nan]]))
    with pytest.raises(ValueError, match='N at least 20'):
        frechet_infinity(np.ones((19, 2)), two)
    with pytest.raises(ValueError, match='reference has 3'):
        frechet_infinity(np.ones((20, 2)), three)
