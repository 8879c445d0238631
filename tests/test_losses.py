import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax import losses

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


def test_generator_losses_of_the_gan_by_hand():
    # log(1 - sigmoid(x)) = -log(1 + e^x); -log(sigmoid(x)) = log(1 + e^-x)
    minimax = -(log1pexp(-1.0) + log1pexp(0.0)) / 2
    trick = (log1pexp(1.0) + log1pexp(0.0)) / 2
    np.testing.assert_allclose(losses.LOSSES['minimax'].generator(FAKE), minimax, rtol=1e-6)
    np.testing.assert_allclose(losses.LOSSES['non_saturating'].generator(FAKE), trick, rtol=1e-6)


@pytest.mark.parametrize('name', sorted(losses.LOSSES))
def test_players_pull_in_opposite_directions(name):
    """The critic wants fake scores lower, the generator wants them higher."""
    loss = losses.LOSSES[name]
    for_critic = np.asarray(jax.grad(loss.critic, argnums=1)(REAL, FAKE))
    for_generator = np.asarray(jax.grad(loss.generator)(FAKE))
    np.testing.assert_array_equal(np.sign(for_critic), [1.0, 1.0])
    np.testing.assert_array_equal(np.sign(for_generator), [-1.0, -1.0])


def test_losses_stay_finite_for_sure_critics():
    sure = jnp.array([1e4, -1e4])
    for loss in losses.LOSSES.values():
        assert np.isfinite(loss.critic(-sure, sure))
        assert np.isfinite(jax.grad(loss.generator)(sure)).all()


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
