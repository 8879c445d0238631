import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from wgan_jax.algorithm.losses import cross_entropy_critic_loss
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
    wasserstein_of_samples,
)

RANDOM = np.random.default_rng(0)
P, Q = RANDOM.dirichlet(np.ones(7), 2)
PAIRS = [np.random.default_rng(number).dirichlet(np.ones(2 + number % 9), 2) for number in range(200)]


def test_the_textbook_coin():
    fair, loaded = [0.5, 0.5], [0.9, 0.1]
    np.testing.assert_allclose(kl_divergence(fair, loaded), 0.5 * math.log(0.25 / 0.09))
    np.testing.assert_allclose(kl_divergence(loaded, fair), 0.9 * math.log(1.8) + 0.1 * math.log(0.2))
    np.testing.assert_allclose(cross_entropy(fair, fair), math.log(2))
    np.testing.assert_allclose(total_variation(fair, loaded), 0.4)
    entropy_of_mean = -0.7 * math.log(0.7) - 0.3 * math.log(0.3)
    entropy_of_loaded = -0.9 * math.log(0.9) - 0.1 * math.log(0.1)
    np.testing.assert_allclose(jensen_shannon(fair, loaded), entropy_of_mean - (math.log(2) + entropy_of_loaded) / 2)
    np.testing.assert_allclose(jensen_shannon_distance(fair, loaded) ** 2, jensen_shannon(fair, loaded))


def test_the_cross_entropy_of_a_class_is_minus_the_log_of_its_probability():
    np.testing.assert_allclose(cross_entropy([0, 1, 0], [0.2, 0.7, 0.1]), -math.log(0.7))
    assert cross_entropy([0, 1], [1, 0]) == math.inf
    assert cross_entropy([0, 1], [0, 1]) == kl_divergence([0, 1], [0, 1]) == 0


def test_symmetry_and_entropy():
    np.testing.assert_allclose(jensen_shannon(P, Q), jensen_shannon(Q, P))
    assert abs(kl_divergence(P, Q) - kl_divergence(Q, P)) > 0.01
    np.testing.assert_allclose(cross_entropy(P, Q), kl_divergence(P, Q) - np.sum(P * np.log(P)))


def test_the_divergence_of_different_distributions_is_above_0():
    """Pinsker's inequality, KL >= 2 TV^2: a sum with a wrong sign would be cut off at 0 and be below this bound."""
    for p, q in PAIRS:
        np.testing.assert_allclose(kl_divergence(p, q), np.sum(p * np.log(p / q)), rtol=1e-9)
        assert kl_divergence(p, q) >= 2 * total_variation(p, q) ** 2 > 0


def test_jensen_shannon_by_entropies():
    """H(M) - (H(P) + H(Q)) / 2, and no more than log 2 times the total variation (Lin 1991)."""
    for p, q in PAIRS:
        of_mean, of_p, of_q = (-np.sum(each * np.log(each)) for each in ((p + q) / 2, p, q))
        np.testing.assert_allclose(jensen_shannon(p, q), of_mean - (of_p + of_q) / 2, rtol=1e-9)
        np.testing.assert_allclose(jensen_shannon_sum(p, q), 2 * of_mean - of_p - of_q, rtol=1e-9)
        assert jensen_shannon(p, q) <= math.log(2) * total_variation(p, q)


def test_jensen_shannon_is_finite_where_half_a_probability_is_0():
    smallest = np.nextafter(0.0, 1.0)
    np.testing.assert_allclose(jensen_shannon([1, smallest], [smallest, 1]), math.log(2))
    np.testing.assert_allclose(jensen_shannon_sum([1, smallest], [1, 0]), 0, atol=1e-300)


def test_the_value_of_a_gan_at_the_optimal_discriminator(double_precision):
    """V(D*, G) = JS - 2 log 2 without the halves, its maximum over D (Goodfellow et al. 2014, proposition 1 and theorem 1)."""
    counts = np.array([[5, 3, 2], [1, 6, 3]])
    real, fake = (np.repeat(np.arange(3), each) for each in counts)  # ten outcomes each
    p, q = counts / 10

    def value(logits):
        return -cross_entropy_critic_loss(logits[real], logits[fake])

    best = jnp.log(jnp.asarray(p / q))  # D* = p / (p + q)
    at_best, gradient, curvature = jax.jit(lambda x: (value(x), jax.grad(value)(x), jax.hessian(value)(x)))(best)
    np.testing.assert_allclose(at_best, jensen_shannon_sum(p, q) - 2 * math.log(2), rtol=1e-12)
    np.testing.assert_allclose(gradient, np.zeros(3), atol=1e-15)
    # The second derivative of V by the logit is -(p + q) D (1 - D) = -p q / (p + q), and each outcome has a logit of its own.
    np.testing.assert_allclose(curvature, np.diag(-p * q / (p + q)), atol=1e-15)


@pytest.mark.parametrize('distance', [kl_divergence, jensen_shannon, jensen_shannon_sum, jensen_shannon_distance, total_variation])
def test_the_distance_of_a_distribution_to_itself_is_0(distance):
    assert distance(P, P) == 0


@pytest.mark.parametrize('theta', [-0.7, 0.2, 1])
def test_two_separate_points(theta):
    """Example 1 of Arjovsky et al. 2017, with one point of each line: only the earth mover's distance depends on theta."""
    here, there, positions = [1, 0], [0, 1], [0, theta]
    np.testing.assert_allclose(earth_movers_distance(here, there, costs_between(positions, positions)).cost, abs(theta))
    np.testing.assert_allclose(wasserstein_1d([0], [theta]), abs(theta))
    assert kl_divergence(here, there) == kl_divergence(there, here) == math.inf
    np.testing.assert_allclose(jensen_shannon(here, there), math.log(2))
    np.testing.assert_allclose(jensen_shannon_sum(here, there), 2 * math.log(2))
    assert total_variation(here, there) == 1


def test_six_boxes_to_the_right():
    """Three boxes at 1, two at 2, one at 3 move to one place at 7, two at 8, one at 9, two at 10.

    Positions sum to 10 before and to 52 after, and every box moves right, so every plan costs 42.
    """
    before, after = np.array([3, 2, 1]), np.array([1, 2, 1, 2])
    costs = costs_between([1, 2, 3], [7, 8, 9, 10])
    solved = earth_movers_distance(before / 6, after / 6, costs)
    np.testing.assert_allclose(6 * solved.cost, 42)
    np.testing.assert_allclose(6 * np.sum(np.outer(before / 6, after / 6) * costs), 42)
    np.testing.assert_allclose(6 * wasserstein_1d([1, 2, 3], [7, 8, 9, 10], before / 6, after / 6), 42)


def test_a_plan_moves_all_mass_at_its_cost():
    q, x, y = RANDOM.dirichlet(np.ones(5)), RANDOM.normal(size=(7, 2)), RANDOM.normal(size=(5, 2))
    costs = costs_between(x, y)
    np.testing.assert_allclose(costs[3, 4], math.dist(x[3], y[4]))
    solved = earth_movers_distance(P, q, costs)
    np.testing.assert_allclose(solved.plan.sum(axis=1), P, atol=1e-9)
    np.testing.assert_allclose(solved.plan.sum(axis=0), q, atol=1e-9)
    np.testing.assert_allclose(solved.cost, np.sum(solved.plan * costs))
    assert solved.plan.min() > -1e-9
    np.testing.assert_allclose(costs_between(x, y, 'cityblock'), np.abs(x[:, None] - y[None]).sum(axis=2))


def test_on_a_line_the_distance_is_the_area_between_the_cumulative_distributions():
    x, y, q = RANDOM.normal(size=7), 1 + 2 * RANDOM.normal(size=4), RANDOM.dirichlet(np.ones(4))
    grid = np.sort(np.concatenate([x, y]))
    cdfs = [[weights[points <= at].sum() for at in grid[:-1]] for points, weights in ((x, P), (y, q))]
    expected = np.sum(np.abs(np.subtract(*cdfs)) * np.diff(grid))
    np.testing.assert_allclose(wasserstein_1d(x, y, P, q), expected)
    np.testing.assert_allclose(earth_movers_distance(P, q, costs_between(x, y)).cost, expected)
    np.testing.assert_allclose(wasserstein_1d(x, x + 3), 3)
    np.testing.assert_allclose(wasserstein_1d(x, x[::-1] * 2), np.abs(x).mean())


def test_float32_probabilities_are_accepted_and_scaled():
    p = np.full(3, 1 / 3, np.float32) + np.float32(1e-7)
    np.testing.assert_allclose(jensen_shannon_distance(p, np.full(3, 1 / 3)), 0, atol=1e-7)


def test_equal_weights_give_an_assignment():
    x, y = RANDOM.normal(size=(2, 60, 2))
    uniform = np.full(60, 1 / 60)
    rows, columns = scipy.optimize.linear_sum_assignment(costs_between(x, y))
    expected = costs_between(x, y)[rows, columns].mean()
    np.testing.assert_allclose(earth_movers_distance(uniform, uniform, costs_between(x, y)).cost, expected)


@pytest.mark.parametrize(
    ('p', 'message'),
    [
        ([], r'shape \[0\]'),
        ([1.5, -0.5], 'negative probability, -0.5'),
        ([0.5, 0.4], 'sums to 0.9'),
        ([math.nan, 1], 'not finite'),
    ],
)
@pytest.mark.parametrize('distance', [cross_entropy, kl_divergence, jensen_shannon, jensen_shannon_sum, total_variation])
def test_invalid_distributions_are_refused(distance, p, message):
    for arguments in ((p, [0.5, 0.5]), ([0.5, 0.5], p)):
        with pytest.raises(ValueError, match=message):
            distance(*arguments)


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: kl_divergence([1], [0.5, 0.5]), 'p has 1 outcomes and q has 2'),
        (lambda: earth_movers_distance([1], [0.5, 0.4], [[1, 1]]), 'q sums to 0.9'),
        (lambda: earth_movers_distance([1], [0.5, 0.5], [[1]]), r'\[1, 2\]'),
        (lambda: earth_movers_distance([1], [0.5, 0.5], [[1, math.inf]]), 'costs hold'),
        (lambda: costs_between([[1, 2]], [1]), 'same D'),
        (lambda: costs_between([1], [math.nan]), 'not finite'),
        (lambda: wasserstein_1d([1], [math.inf]), 'y must be'),
        (lambda: wasserstein_1d([1, 2], [1], [1]), '2 positions and 1 weights'),
        (lambda: wasserstein_1d([1, 2], [1], [0.5, 0.6]), 'the weight of x sums to 1.1'),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize('scale', [1e-9, 1.0, 1e9])
def test_the_unit_of_the_costs_does_not_matter(scale):
    x, y = scale * np.random.default_rng(0).normal(size=(2, 40))
    solved = earth_movers_distance(np.full(40, 1 / 40), np.full(40, 1 / 40), costs_between(x, y))
    np.testing.assert_allclose(solved.cost, wasserstein_1d(x, y), rtol=1e-6)
    assert solved.plan.min() >= 0


def test_nearly_equal_distributions_have_a_distance():
    """Their divergence may round to a number below 0, which has no root."""
    random = np.random.default_rng(0)
    for _ in range(100):
        p = random.dirichlet(np.ones(8))
        q = p * (1 + 1e-9 * random.normal(size=8))
        assert 0 <= jensen_shannon_distance(p, q / q.sum()) < 1e-7


@pytest.mark.parametrize('dimension', [1, 2, 5])
def test_the_distance_of_samples_is_that_of_the_linear_program(dimension):
    x, y = np.random.default_rng(dimension).normal(size=(2, 15, dimension))
    weights = np.full(15, 1 / 15)
    expected = earth_movers_distance(weights, weights, costs_between(x, y)).cost
    np.testing.assert_allclose(wasserstein_of_samples(x, y), expected, rtol=1e-6)
    np.testing.assert_allclose(wasserstein_of_samples(x, x[::-1] + 3), 3 * np.sqrt(dimension), rtol=1e-12)
    if dimension == 1:
        np.testing.assert_allclose(wasserstein_of_samples(x[:, 0], y[:, 0]), wasserstein_1d(x[:, 0], y[:, 0]), rtol=1e-12)


@pytest.mark.parametrize(('sizes', 'named'), [((3, 4), '3 and 4'), ((0, 0), '0 and 0'), ((2001, 2001), '2001 and 2001')])
def test_samples_that_cannot_be_assigned_are_refused(sizes, named):
    with pytest.raises(ValueError, match=f'equal size, from 1 to 2000 points, not {named}'):
        wasserstein_of_samples(*(np.zeros((size, 2)) for size in sizes))
