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
    """Train 0, 10. Held out 1, 8, 14: distances 1, 2, 4. Fake 0, 9, 12, 17: 0, 1, 2, 7.

    0 is nearer than all 3; 1 than 2, and ties one; 2 than 1, and ties one; 7 than none: (3 + 2.5 + 1.5) / 12.
    """
    found = copying(line(0, 9, 12, 17), line(0, 10), line(1, 8, 14))
    assert found == pytest.approx({'probability': 7 / 12, 'distance_ratio': 1.5 / 2.0})


def test_copying_is_the_mann_whitney_statistic():
    rng = np.random.default_rng(6)
    train, held_out, fake = (np.round(3 * rng.normal(size=(count, 2))) for count in (30, 41, 57))
    train, fake = train + 0.5, np.round(0.8 * fake)
    of_fake, of_held_out = (np.linalg.norm(items[:, None] - train[None], axis=2).min(axis=1) for items in (fake, held_out))
    assert len(np.unique(of_fake)) < 30  # there are ties
    statistic = scipy.stats.mannwhitneyu(of_held_out, of_fake).statistic
    found = copying(fake, train, held_out)
    np.testing.assert_allclose(found['probability'], statistic / (41 * 57), rtol=1e-14)
    np.testing.assert_allclose(found['distance_ratio'], np.median(of_fake) / np.median(of_held_out), rtol=1e-14)


def test_copying_of_copies_new_items_and_poor_items():
    train, held_out, new = np.random.default_rng(7).normal(size=(3, 300, 4))
    assert copying(train[:50], train, held_out) == {'probability': 1.0, 'distance_ratio': 0.0}
    np.testing.assert_allclose(copying(new, train, held_out)['probability'], 0.5, atol=0.08)
    assert copying(new + 50, train, held_out)['probability'] == 0.0


def test_there_is_no_ratio_if_most_held_out_items_are_training_items():
    items = np.random.default_rng(8).normal(size=(6, 2))
    found = copying(items + 1, items, np.concatenate([items[:3], items[:2] + 1]))
    assert set(found) == {'probability'}
    assert found['probability'] < 0.5


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
