import numpy as np
import pytest
import scipy.stats
from sklearn.neighbors import NearestNeighbors

from wgan_jax.metrics import neighbours
from wgan_jax.metrics.neighbours import copying, nearest, precision_recall


def line(*places):
    return np.array(places, np.float64)[:, None]


@pytest.fixture
def small_blocks(monkeypatch):
    """About three rows of distances at a time, and a last block that is not full."""
    monkeypatch.setattr(neighbours, '_BLOCK_BYTES', 8 * 150)


def by_scikit_learn(real, fake, k):
    """The definitions, with all distances at once."""

    def radii(items):
        return NearestNeighbors(n_neighbors=k + 1).fit(items).kneighbors(items)[0][:, k]

    distances = np.linalg.norm(fake[:, None] - real[None], axis=2)  # [M, N]
    in_real, in_fake = distances <= radii(real)[None], distances <= radii(fake)[:, None]
    return {
        'precision': in_real.any(axis=1).mean(),
        'recall': in_fake.any(axis=0).mean(),
        'density': in_real.sum() / (k * len(fake)),
        'coverage': in_real.any(axis=0).mean(),
    }


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_nearest_agrees_with_scikit_learn(small_blocks, dtype):
    rng = np.random.default_rng(0)
    queries, reference = rng.normal(size=(50, 6)).astype(dtype), rng.normal(size=(40, 6)).astype(dtype)
    expected = NearestNeighbors(n_neighbors=1, algorithm='brute').fit(reference).kneighbors(queries)
    distances, indices = nearest(queries, reference)
    np.testing.assert_array_equal(indices, expected[1][:, 0])
    direct = np.linalg.norm(queries.astype(np.float64) - reference[indices], axis=1)
    np.testing.assert_allclose(distances, direct, rtol=1e-15)


@pytest.mark.parametrize('offset', [0.0, 1e4])
def test_a_copy_is_at_distance_zero(small_blocks, offset):
    """Also far from the origin, where squares are 1e9 times the squared distances."""
    rng = np.random.default_rng(1)
    reference = (offset + rng.normal(size=(60, 40))).astype(np.float32)
    order = rng.permutation(60)
    distances, indices = nearest(reference[order], reference)
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(distances, np.zeros(60))
    other = reference.astype(np.float64)
    other[:, 0] += 1e-4
    np.testing.assert_allclose(nearest(other, reference)[0], 1e-4, rtol=1e-6)


def test_on_a_line_by_hand():
    """k = 1. Real 0, 1, 3, 10 have the radii 1, 1, 2, 7; fake 0.5, 5, 30 have 4.5, 4.5, 25.

    0.5 is in the balls of 0 and 1; 5 is on the edge of that of 3 and in that of 10; 30 is in none. So the precision is 2/3, the
    density 4/3, and each real item has a fake one in its ball. 0, 1 and 3 are within 4.5 of 0.5 or 5, and 10 is within 25 of 30.
    """
    found = precision_recall(line(0, 1, 3, 10), line(0.5, 5, 30), k=1)
    assert found == pytest.approx({'precision': 2 / 3, 'recall': 1.0, 'density': 4 / 3, 'coverage': 1.0})
    far = precision_recall(line(0, 1, 3, 10), line(0.5, 0.75, 30, 31), k=1)  # radii 0.25, 0.25, 1, 1
    assert far == pytest.approx({'precision': 0.5, 'recall': 0.25, 'density': 4 / 4, 'coverage': 0.5})


@pytest.mark.parametrize('k', [1, 5])
@pytest.mark.parametrize('counts', [(50, 70), (70, 50)])
def test_precision_recall_density_and_coverage_follow_their_definitions(small_blocks, k, counts):
    rng = np.random.default_rng(2)
    real, fake = rng.normal(size=(counts[0], 3)), 0.7 + 0.8 * rng.normal(size=(counts[1], 3))
    expected = by_scikit_learn(real, fake, k)
    assert all(0 < expected[name] < 1 for name in ('precision', 'recall', 'coverage'))
    assert precision_recall(real, fake, k) == pytest.approx(expected, rel=1e-12)


def test_ties_and_duplicates_are_inside():
    """Balls of radius 0 contain the copies of their centre, although |x|^2 + |y|^2 - 2 x.y of equal items is not exactly 0."""
    rng = np.random.default_rng(4)
    items = rng.normal(size=(20, 30)).repeat(3, axis=0)
    found = precision_recall(items, items[rng.permutation(60)], k=2)
    assert found == {'precision': 1.0, 'recall': 1.0, 'density': 3 / 2, 'coverage': 1.0}
    beside = precision_recall(items, items + 1e-5, k=2)
    assert beside == {'precision': 0.0, 'recall': 0.0, 'density': 0.0, 'coverage': 0.0}


def test_copying_on_a_line_by_hand():
    """Train 0, 10. Relative distances are the nearer one over the mean of both: held out 1, 8: 1/5, 2/5.

    Fake 0 and 9: 0, below 2, and 1/5, below one and tied with one. 7 has the same nearest item as 9 and a greater 3/5: no evidence.
    """
    assert copying(line(0, 9, 7), line(0, 10), line(1, 8)) == pytest.approx((2 + 1.5 + 1) / 6)


def test_copying_is_the_mann_whitney_statistic(monkeypatch):
    """Of the samples that are the least of those with the same nearest item."""
    random = np.random.default_rng(6)
    train, held_out, fake = (random.normal(size=(count, 2)) for count in (60, 41, 57))
    fake[:20] = held_out[:20]
    least = []
    for items in (fake, held_out):
        found = np.linalg.norm(items[:, None] - train[None], axis=2)
        relative = found.min(axis=1) / np.sort(found)[:, :50].mean(axis=1)
        groups = {}
        for index, value in zip(found.argmin(axis=1), relative, strict=True):
            groups.setdefault(index, []).append(value)
        least.append([min(values) for values in groups.values()])
    assert len(set(least[0] + least[1])) < len(least[0] + least[1])  # there are ties
    statistic = scipy.stats.mannwhitneyu(least[1], least[0]).statistic / len(least[0]) / len(least[1])
    evidence = len(least[0]) / 57
    assert evidence < 1
    expected = evidence * statistic + (1 - evidence) / 2
    np.testing.assert_allclose(copying(fake, train, held_out), expected, rtol=1e-12)
    monkeypatch.setattr('wgan_jax.metrics.neighbours._REFERENCE_BYTES', 8 * 2 * 7)  # the reference in nine parts
    np.testing.assert_allclose(copying(fake, train, held_out), expected, rtol=1e-12)


def test_copying_of_copies_new_items_and_poor_items():
    train, held_out, new = np.random.default_rng(7).normal(size=(3, 300, 4))
    assert copying(train, train, held_out) == 1.0
    np.testing.assert_allclose(copying(new, train, held_out), 0.5, atol=0.08)
    half = np.concatenate([train[:150], new[:150]])
    np.testing.assert_allclose(copying(half, train, held_out), 0.75, atol=0.1)
    assert copying(train[[0] * 300], train, held_out) < 0.51  # all the same


def test_noise_and_blurred_samples_are_no_copies():
    """All of them are nearer to one blurred training image than a new image is to any."""
    random = np.random.default_rng(10)
    train, held_out = random.normal(size=(400, 30)), random.normal(size=(100, 30))
    train[0] *= 0.1  # a blurred image
    for size in (0.1, 0.3):
        samples = size * random.normal(size=(100, 30))
        assert (nearest(samples, train)[1] == 0).all()
        assert nearest(samples, train)[0].max() < nearest(held_out, train)[0].min()
        assert copying(samples, train, held_out) < 0.51
    assert copying(train[100:200] + 0.1 * random.normal(size=(100, 30)), train, held_out) == 1.0


def test_a_large_reference_is_processed_in_parts(monkeypatch):
    random = np.random.default_rng(9)
    queries, reference = (random.integers(0, 256, (count, 5), dtype=np.uint8) for count in (20, 50))
    reference[41] = queries[3]
    whole = nearest(queries, reference)
    monkeypatch.setattr('wgan_jax.metrics.neighbours._REFERENCE_BYTES', 8 * 5 * 7)
    parts = nearest(queries, reference)
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_array_equal(np.linalg.norm(queries - reference[parts[1]].astype(float), axis=1), parts[0])
    assert (parts[0][3], parts[1][3]) == (0.0, 41)


def test_arguments_that_do_not_fit_are_refused():
    items = np.random.default_rng(8).normal(size=(6, 2))
    with pytest.raises(ValueError, match=r'fake must be features \[N, D\] with N at least 6'):
        precision_recall(items, items[:5])
    with pytest.raises(ValueError, match='reference has 1'):
        nearest(items, items[:, :1])
    with pytest.raises(ValueError, match='train holds a number that is not finite'):
        copying(items, items * np.nan, items)
