import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from jax.test_util import check_grads

from wgan_jax.algorithm import losses

REAL = jnp.array([2.0, 4.0])
FAKE = jnp.array([-1.0, 0.0])


def log1pexp(x):
    return np.log(1.0 + np.exp(x))


def test_wasserstein_by_hand():
    loss = losses.LOSSES['wasserstein']
    np.testing.assert_allclose(loss.critic(REAL, FAKE), -0.5 - 3.0)
    np.testing.assert_allclose(loss.critic(FAKE, REAL), 3.0 + 0.5)
    np.testing.assert_allclose(loss.generator(FAKE), 0.5)
    np.testing.assert_allclose(loss.generator(REAL), -3.0)


@pytest.mark.parametrize('name', ['minimax', 'non_saturating'])
def test_cross_entropy_critic_by_hand(name):
    expected = (log1pexp(-2.0) + log1pexp(-4.0)) / 2 + (log1pexp(-1.0) + log1pexp(0.0)) / 2
    np.testing.assert_allclose(losses.LOSSES[name].critic(REAL, FAKE), expected, rtol=1e-6)


def test_hinge_losses_by_hand():
    real, fake = jnp.array([0.25, 3.0]), jnp.array([-0.5, -2.0])  # the second ones are beyond their margins
    np.testing.assert_allclose(losses.LOSSES['hinge'].critic(real, fake), 0.75 / 2 + 0.5 / 2, rtol=1e-6)
    np.testing.assert_allclose(losses.LOSSES['hinge'].generator(fake), 1.25, rtol=1e-6)
    for_critic = jax.grad(losses.LOSSES['hinge'].critic, argnums=(0, 1))(real, fake)
    np.testing.assert_allclose(for_critic, [[-0.5, 0.0], [0.5, 0.0]], rtol=1e-6)


def test_generator_losses_of_the_gan_by_hand():
    # log(1 - sigmoid(x)) = -log(1 + e^x); -log(sigmoid(x)) = log(1 + e^-x)
    minimax = -(log1pexp(-1.0) + log1pexp(0.0)) / 2
    trick = (log1pexp(1.0) + log1pexp(0.0)) / 2
    np.testing.assert_allclose(losses.LOSSES['minimax'].generator(FAKE), minimax, rtol=1e-6)
    np.testing.assert_allclose(losses.LOSSES['non_saturating'].generator(FAKE), trick, rtol=1e-6)


@pytest.mark.parametrize('scale', [1.0, 30.0, 1000.0])
def test_cross_entropies_are_exact(double_precision, scale):
    """Against numpy.logaddexp, from uncertain to certain scores: log D = -log(1 + e^-x), and log(1 - D) = -log(1 + e^x)."""
    real, fake = scale * np.random.default_rng(0).normal(size=(2, 64))
    critic = np.mean(np.logaddexp(0.0, -real)) + np.mean(np.logaddexp(0.0, fake))
    generators = {'minimax': -np.mean(np.logaddexp(0.0, fake)), 'non_saturating': np.mean(np.logaddexp(0.0, -fake))}
    for name, generator in generators.items():
        np.testing.assert_allclose(losses.LOSSES[name].critic(jnp.asarray(real), jnp.asarray(fake)), critic, rtol=1e-14)
        np.testing.assert_allclose(losses.LOSSES[name].generator(jnp.asarray(fake)), generator, rtol=1e-14)


@pytest.mark.parametrize('name', sorted(losses.LOSSES))
def test_players_pull_in_opposite_directions(name):
    """The critic wants fake scores lower, the generator wants them higher; here they are above the margin of the hinge loss."""
    loss = losses.LOSSES[name]
    for_critic = np.asarray(jax.grad(loss.critic, argnums=1)(REAL, FAKE / 2))
    for_generator = np.asarray(jax.grad(loss.generator)(FAKE / 2))
    np.testing.assert_array_equal(np.sign(for_critic), [1.0, 1.0])
    np.testing.assert_array_equal(np.sign(for_generator), [-1.0, -1.0])


def test_losses_stay_finite_for_certain_critics():
    certain = jnp.array([1e4, -1e4])
    for loss in losses.LOSSES.values():
        assert np.isfinite(loss.critic(-certain, certain))
        assert np.isfinite(jax.grad(loss.generator)(certain)).all()


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('norm', [0.25, 3.0])
def test_penalty_of_a_linear_critic_is_known(channels, norm):
    shape = (5, 4, 4, channels)
    direction = jax.random.normal(jax.random.key(0), shape[1:])
    weights = norm * direction / jnp.linalg.norm(direction)
    images = jax.random.uniform(jax.random.key(1), shape, minval=-1.0)

    def score(x):
        return jnp.sum(x * weights[None], axis=(1, 2, 3))

    np.testing.assert_allclose(losses.gradient_penalty(score, images), (norm - 1.0) ** 2, rtol=1e-5)
    one_sided = losses.gradient_penalty(score, images, one_sided=True)
    np.testing.assert_allclose(one_sided, max(0.0, norm - 1.0) ** 2, rtol=1e-5)


def test_penalty_takes_each_examples_own_slope():
    """f(x) = |x|^2 has slope 2|x|: two examples, two slopes, worked out by hand."""
    images = jnp.array([[3.0, 4.0], [0.0, 1.0]]).reshape(2, 1, 2, 1)  # norms 5 and 1, slopes 10 and 2
    penalty = losses.gradient_penalty(lambda x: jnp.sum(x**2, axis=(1, 2, 3)), images)
    np.testing.assert_allclose(penalty, (9.0**2 + 1.0**2) / 2, rtol=1e-6)


def test_penalty_of_a_quadratic_critic_is_known(double_precision):
    """x'Ax + b'x has the gradient (A + A')x + b, which differs from example to example and depends on all of A."""
    rng = np.random.default_rng(0)
    matrix, vector, images = 0.025 * rng.normal(size=(24, 24)), 0.15 * rng.normal(size=24), rng.normal(size=(40, 4, 2, 3))

    def score(x):
        x = x.reshape(x.shape[0], -1)
        return jnp.einsum('bi,ij,bj->b', x, matrix, x) + x @ vector

    slopes = np.linalg.norm(images.reshape(40, 24) @ (matrix + matrix.T) + vector[None], axis=1)
    assert 10 < np.sum(slopes > 1.0) < 30  # so that the two penalties differ
    np.testing.assert_allclose(losses.gradient_penalty(score, jnp.asarray(images)), np.mean((slopes - 1.0) ** 2), rtol=1e-12)
    one_sided = losses.gradient_penalty(score, jnp.asarray(images), one_sided=True)
    np.testing.assert_allclose(one_sided, np.mean(np.maximum(slopes - 1.0, 0.0) ** 2), rtol=1e-12)


@pytest.mark.parametrize('axis', [1, 2, 3])
def test_a_slope_is_over_height_width_and_channels_and_over_one_example(axis):
    """The score of example i is i + 1 times a sum over n pixels or channels in a line, so its slope is (i + 1) sqrt(n)."""
    shape = (2, 3, 4, 5)
    line = np.zeros(shape[1:], np.float32)
    line[tuple(slice(None) if i == axis - 1 else 0 for i in range(3))] = 1.0

    def score(x):
        return jnp.array([1.0, 2.0]) * jnp.sum(x * line[None], axis=(1, 2, 3))

    expected = np.mean([(np.sqrt(shape[axis]) - 1.0) ** 2, (2 * np.sqrt(shape[axis]) - 1.0) ** 2])
    np.testing.assert_allclose(losses.gradient_penalty(score, jnp.zeros(shape)), expected, rtol=1e-6)


def smooth_critic():
    """Two layers, so that the penalty depends on every weight: (score of weights and images, weights, images)."""
    rng = np.random.default_rng(0)
    weights = {'first': 0.5 * rng.normal(size=(12, 5)), 'shift': rng.normal(size=5), 'last': 0.5 * rng.normal(size=5)}

    def score(weights, images):
        hidden = images.reshape(images.shape[0], -1) @ weights['first'] + weights['shift'][None]
        return (jnp.tanh(hidden) + 0.5 * jax.nn.softplus(hidden)) @ weights['last']

    return score, jax.tree.map(jnp.asarray, weights), jnp.asarray(rng.normal(size=(4, 2, 2, 3)))


@pytest.mark.parametrize('one_sided', [False, True])
def test_gradient_of_the_penalty_is_the_difference_quotient(double_precision, one_sided):
    """With respect to every weight and every pixel, one at a time."""
    score, *points = smooth_critic()
    points, unravel = ravel_pytree(points)

    def penalty(point):
        weights, images = unravel(point)
        return losses.gradient_penalty(lambda x: score(weights, x), images, one_sided=one_sided)

    gradient, step = jax.jit(jax.grad(penalty))(points), 1e-5
    moves = step * jnp.eye(len(points))
    above, below = jax.jit(jax.vmap(jax.vmap(penalty)))(points[None, None] + jnp.stack([moves, -moves]))
    quotients = (above - below) / (2 * step)
    np.testing.assert_allclose(gradient, quotients, rtol=1e-5, atol=1e-8)
    weights, images = unravel(points)
    slopes = np.linalg.norm(jax.jacobian(score, argnums=1)(weights, images).sum(axis=1).reshape(4, -1), axis=1)
    pulled = np.abs(unravel(gradient)[1]).max(axis=(1, 2, 3)) > 0
    assert 0 < np.sum(slopes > 1.0) < 4
    np.testing.assert_array_equal(pulled, slopes > 1.0 if one_sided else [True] * 4)
    assert all(np.abs(leaf).min() > 1e-6 for leaf in jax.tree.leaves(unravel(gradient)[0]))  # no weight is left out


@pytest.mark.slow  # training needs only the first derivatives
@pytest.mark.parametrize('one_sided', [False, True])
def test_penalty_can_be_differentiated_twice_in_both_modes(double_precision, one_sided):
    score, weights, images = smooth_critic()

    @jax.jit
    def penalty(weights, images):
        return losses.gradient_penalty(lambda x: score(weights, x), images, one_sided=one_sided)

    check_grads(penalty, (weights, images), order=2, atol=1e-4, rtol=1e-4)


def test_penalty_of_a_constant_critic_is_one_and_its_gradient_finite():
    images = jnp.ones((3, 4, 4, 1))

    def penalty(weight):
        return losses.gradient_penalty(lambda x: weight * jnp.sum(x, axis=(1, 2, 3)), images)

    np.testing.assert_allclose(penalty(0.0), 1.0)
    assert np.isfinite(jax.grad(penalty)(0.0))


def test_interpolates_lie_on_the_segments():
    real, fake = jnp.zeros((2, 1, 1, 3)), jnp.full((2, 1, 1, 3), 4.0)
    alpha = jnp.array([0.25, 1.0]).reshape(2, 1, 1, 1)
    np.testing.assert_allclose(losses.interpolate(real, fake, alpha)[:, 0, 0], [[1.0] * 3, [4.0] * 3])


@pytest.mark.parametrize('shape', [(2, 1, 1), (1, 1, 1, 1), (2, 1, 1, 3)])
def test_one_alpha_per_example_and_no_other(shape):
    with pytest.raises(ValueError, match='alpha'):
        losses.interpolate(jnp.zeros((2, 1, 1, 3)), jnp.zeros((2, 1, 1, 3)), jnp.zeros(shape))
