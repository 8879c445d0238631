import math

import numpy as np
import pytest
import scipy.optimize
import scipy.spatial.distance
import scipy.stats

from wgan_jax.metrics.distances import (
    costs_between,
    cross_entropy,
    earth_movers_distance,
    jensen_shannon,
    jensen_shannon_distance,
    jensen_shannon_sum,
    kl_divergence,
    total_variation,
    wasserstein_1d,
)

RANDOM = np.random.default_rng(0)
P, Q = RANDOM.dirichlet(np.ones(7), 2)


def test_the_textbook_coin():
    fair, loaded = [0.5, 0.5], [0.9, 0.1]
    np.testing.assert_allclose(kl_divergence(fair, loaded), 0.5 * math.log(0.25 / 0.09))
    np.testing.assert_allclose(kl_divergence(loaded, fair), 0.9 * math.log(1.8) + 0.1 * math.log(0.2))
    np.testing.assert_allclose(cross_entropy(fair, fair), math.log(2))
    np.testing.assert_allclose(total_variation(fair, loaded), 0.4)


def test_the_cross_entropy_of_a_class_is_minus_the_log_of_what_was_given_to_it():
    np.testing.assert_allclose(cross_entropy([0, 1, 0], [0.2, 0.7, 0.1]), -math.log(0.7))
    assert cross_entropy([0, 1], [1, 0]) == math.inf
    assert cross_entropy([0, 1], [0, 1]) == kl_divergence([0, 1], [0, 1]) == 0


def test_they_are_what_scipy_says():
    np.testing.assert_allclose(kl_divergence(P, Q), scipy.stats.entropy(P, Q))
    np.testing.assert_allclose(cross_entropy(P, Q), scipy.stats.entropy(P) + scipy.stats.entropy(P, Q))
    np.testing.assert_allclose(jensen_shannon_distance(P, Q), scipy.spatial.distance.jensenshannon(P, Q))


def test_jensen_shannon_is_symmetric_and_kl_is_not():
    np.testing.assert_allclose(jensen_shannon(P, Q), jensen_shannon(Q, P))
    assert abs(kl_divergence(P, Q) - kl_divergence(Q, P)) > 0.01


@pytest.mark.parametrize('distance', [kl_divergence, jensen_shannon, jensen_shannon_sum, jensen_shannon_distance, total_variation])
def test_a_distribution_is_at_no_distance_from_itself(distance):
    assert distance(P, P) == 0


@pytest.mark.parametrize('theta', [-0.7, 0.2, 1])
def test_two_points_apart(theta):
    """Example 1 of Arjovsky et al. 2017, with one point of each line: only the earth mover's distance says how far."""
    here, there, positions = [1, 0], [0, 1], [0, theta]
    np.testing.assert_allclose(earth_movers_distance(here, there, costs_between(positions, positions)).cost, abs(theta))
    np.testing.assert_allclose(wasserstein_1d([0], [theta]), abs(theta))
    assert kl_divergence(here, there) == kl_divergence(there, here) == math.inf
    np.testing.assert_allclose(jensen_shannon(here, there), math.log(2))
    np.testing.assert_allclose(jensen_shannon_sum(here, there), 2 * math.log(2))
    assert total_variation(here, there) == 1


def test_six_boxes_to_the_right():
    """A pile of tutorials: three boxes at 1, two at 2, one at 3, to go to one place at 7, two at 8, one at 9, two at 10.

    How many lie where is our choice: positions sum to 10 before and to 52 after, and as every box goes right every plan costs 42.
    """
    before, after = np.array([3, 2, 1]), np.array([1, 2, 1, 2])
    costs = costs_between([1, 2, 3], [7, 8, 9, 10])
    solved = earth_movers_distance(before / 6, after / 6, costs)
    np.testing.assert_allclose(6 * solved.cost, 42)
    np.testing.assert_allclose(6 * np.sum(np.outer(before / 6, after / 6) * costs), 42)
    np.testing.assert_allclose(6 * wasserstein_1d([1, 2, 3], [7, 8, 9, 10], before / 6, after / 6), 42)


def test_of_two_plans_the_cheaper_one_is_found():
    """Boxes at 1 and 5, to go to 2 and 4: each to its neighbour costs 2, crosswise 6."""
    solved = earth_movers_distance([0.5, 0.5], [0.5, 0.5], costs_between([1, 5], [2, 4]))
    np.testing.assert_allclose(2 * solved.cost, 2)
    np.testing.assert_allclose(2 * solved.plan, np.eye(2), atol=1e-9)


def test_a_plan_of_transport_moves_all_of_one_to_all_of_the_other_at_its_cost():
    q, x, y = RANDOM.dirichlet(np.ones(5)), RANDOM.normal(size=(7, 2)), RANDOM.normal(size=(5, 2))
    costs = costs_between(x, y)
    np.testing.assert_allclose(costs[3, 4], math.dist(x[3], y[4]))
    solved = earth_movers_distance(P, q, costs)
    np.testing.assert_allclose(solved.plan.sum(axis=1), P, atol=1e-9)
    np.testing.assert_allclose(solved.plan.sum(axis=0), q, atol=1e-9)
    np.testing.assert_allclose(solved.cost, np.sum(solved.plan * costs))
    assert solved.plan.min() > -1e-9
    np.testing.assert_allclose(earth_movers_distance(P, q, costs_between(x, y, 'cityblock')).cost, _by_cityblock(P, q, x, y))


def _by_cityblock(p, q, x, y):
    """The dual program, in dense matrices: potentials u and v with u + v <= cost (Kantorovich)."""
    costs = np.abs(x[:, None] - y[None]).sum(axis=2)
    bounds = [(*first, *second) for first in np.eye(len(p)) for second in np.eye(len(q))]
    return -scipy.optimize.linprog(-np.concatenate([p, q]), A_ub=bounds, b_ub=costs.ravel(), bounds=(None, None)).fun


def test_on_a_line_all_ways_agree():
    x, y, q = RANDOM.normal(size=7), 1 + 2 * RANDOM.normal(size=4), RANDOM.dirichlet(np.ones(4))
    expected = scipy.stats.wasserstein_distance(x, y, P, q)
    np.testing.assert_allclose(wasserstein_1d(x, y, P, q), expected)
    np.testing.assert_allclose(earth_movers_distance(P, q, costs_between(x, y)).cost, expected)
    np.testing.assert_allclose(wasserstein_1d(x, y), scipy.stats.wasserstein_distance(x, y))
    np.testing.assert_allclose(wasserstein_1d(x, x + 3), 3)


def test_probabilities_of_float32_are_taken_and_scaled():
    p = np.full(3, 1 / 3, np.float32) + np.float32(1e-7)
    np.testing.assert_allclose(jensen_shannon_distance(p, np.full(3, 1 / 3)), 0, atol=1e-7)


def test_300_points_against_300_in_seconds():
    x, y = RANDOM.normal(size=(2, 300, 2))
    uniform = np.full(300, 1 / 300)
    rows, columns = scipy.optimize.linear_sum_assignment(costs_between(x, y))
    expected = costs_between(x, y)[rows, columns].mean()
    np.testing.assert_allclose(earth_movers_distance(uniform, uniform, costs_between(x, y)).cost, expected)


@pytest.mark.parametrize(
    ('p', 'message'),
    [
        ([], r'shape \[0\]'),
        ([[0.5, 0.5]], r'shape \[1, 2\]'),
        ([1.5, -0.5], 'negative probability, -0.5'),
        ([0.5, 0.4], 'sums to 0.9'),
        ([math.nan, 1], 'not finite'),
    ],
)
@pytest.mark.parametrize('distance', [cross_entropy, kl_divergence, jensen_shannon, jensen_shannon_sum, total_variation])
def test_what_is_no_distribution_is_refused(distance, p, message):
    for arguments in ((p, [0.5, 0.5]), ([0.5, 0.5], p)):
        with pytest.raises(ValueError, match=message):
            distance(*arguments)


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: kl_divergence([1], [0.5, 0.5]), 'p has 1 outcomes and q 2'),
        (lambda: earth_movers_distance([1], [0.5, 0.4], [[1, 1]]), 'q sums to 0.9'),
        (lambda: earth_movers_distance([1], [0.5, 0.5], [[1]]), r'\[1, 2\]'),
        (lambda: earth_movers_distance([1], [0.5, 0.5], [[1, math.inf]]), 'costs hold'),
        (lambda: costs_between([[1, 2]], [1]), 'same D'),
        (lambda: costs_between([1], [math.nan]), 'not finite'),
        (lambda: wasserstein_1d([], [1]), 'x must be'),
        (lambda: wasserstein_1d([1], [math.inf]), 'y must be'),
        (lambda: wasserstein_1d([1, 2], [1], [1]), '2 positions and 1 weights'),
        (lambda: wasserstein_1d([1, 2], [1], [0.5, 0.6]), 'the weight of x sums to 1.1'),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize('scale', [1e-9, 1.0, 1e9])
def test_the_unit_of_the_costs_does_not_matter(scale):
    x, y = scale * np.random.default_rng(0).normal(size=(2, 40))
    solved = earth_movers_distance(np.full(40, 1 / 40), np.full(40, 1 / 40), costs_between(x, y))
    np.testing.assert_allclose(solved.cost, wasserstein_1d(x, y), rtol=1e-6)
    assert solved.plan.min() >= 0


def test_distributions_that_hardly_differ_have_a_distance():
    """The sum of their logarithms may round to a number below 0, which has no root."""
    random = np.random.default_rng(0)
    for _ in range(100):
        p = random.dirichlet(np.ones(8))
        q = p * (1 + 1e-9 * random.normal(size=8))
        assert 0 <= jensen_shannon_distance(p, q / q.sum()) < 1e-7
