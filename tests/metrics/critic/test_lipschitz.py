import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.conftest import TinyCritic, TinyGenerator
from tests.metrics.critic.test_estimates import (
    KEY,
    LinearCritic,
    TrainModeCritic,
    critic_step,
    make_state,
    random_images,
    with_params,
)
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.metrics.critic.estimates import private_key
from wgan_jax.metrics.critic.lipschitz import BINS, lipschitz

SETTINGS = {'batch_size': 4, 'latent_dim': 3, 'loss': LOSSES['wasserstein'], 'clip_value': None}


@pytest.mark.parametrize('scale', [0.1, 3.0])
def test_slopes_of_a_linear_critic_are_the_norm_of_its_weights(scale):
    weights = scale * np.random.default_rng(0).normal(size=(16, 1))
    state = make_state(LinearCritic())
    state = state.replace(critic=with_params(state.critic, {'Dense_0': {'kernel': jnp.asarray(weights, jnp.float32)}}))
    panel = lipschitz(state, random_images(11), KEY, **SETTINGS)
    slope = np.linalg.norm(weights)
    np.testing.assert_allclose([panel['slope_mean'], panel['slope_max']], slope, rtol=1e-6)
    np.testing.assert_allclose(panel['slope_std'], 0.0, atol=1e-6)
    np.testing.assert_allclose(panel['gradient_norms'], [1.0, slope], rtol=1e-6)
    np.testing.assert_allclose(panel['slope_edges'], np.linspace(0, max(2.0, slope), BINS + 1), rtol=1e-6)
    counts = np.zeros(BINS)
    counts[min(BINS - 1, int(slope / max(2.0, slope) * BINS))] = 8  # two whole batches
    np.testing.assert_array_equal(panel['slope_counts'], counts)
    np.testing.assert_allclose(panel['spectral_norms'], [slope], rtol=1e-5)


def test_slopes_are_those_of_the_penalty():
    """In a critic step with the same noise: mean((slopes - 1)^2) = std^2 + (mean - 1)^2."""
    state, images = make_state(TrainModeCritic(), TinyGenerator(batch_norm=True)), random_images(4)
    settings = {'loss': LOSSES['wasserstein'], 'latent_dim': 3, 'gp_weight': 1.0}
    _, metrics = critic_step(**settings)(state, images, private_key(KEY))
    panel = lipschitz(state, images, KEY, **SETTINGS)
    assert panel['slope_std'] > 1e-4
    penalty = panel['slope_std'] ** 2 + (panel['slope_mean'] - 1.0) ** 2
    np.testing.assert_allclose(penalty, metrics['gradient_penalty'], rtol=1e-4)


def test_clipped_weights_are_counted():
    """By hand: 3 of the 136 weights and biases of the first layer, 1 of the 9 of the last."""
    state, c = make_state(TinyCritic()), 0.01
    first = np.linspace(-0.9 * c, 0.9 * c, 128).reshape(16, 8)
    first[0, :2] = c, -c
    first[1, 0] = 0.999 * c  # not clipped
    params = {
        'Dense_0': {'kernel': first, 'bias': np.array([c, *[0.0] * 7])},
        'Dense_1': {'kernel': np.full((8, 1), 0.5 * c), 'bias': np.array([-c])},
    }
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)
    state = state.replace(critic=with_params(state.critic, params))
    panel = lipschitz(state, random_images(4), KEY, **{**SETTINGS, 'clip_value': c})
    np.testing.assert_allclose(panel['clipped_shares'], [1 / 9, 3 / 136], rtol=1e-6)  # from the output to the input
    np.testing.assert_allclose(panel['clipped_share'], 4 / 145, rtol=1e-6)
    np.testing.assert_allclose(panel['weight_edges'], np.linspace(-c, c, BINS + 1), atol=1e-9)
    weights = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(params)])
    assert int(panel['weight_counts'].sum()) == 145
    # A value on an edge may fall to either side.
    np.testing.assert_allclose(panel['weight_counts'], np.histogram(weights, BINS, (-c, c))[0], atol=1)
    assert 'clipped_share' not in lipschitz(state, random_images(4), KEY, **SETTINGS)


def test_scales_of_norms_are_not_counted():
    """They start at 1, outside the bounds, if clipping leaves them alone."""
    state = make_state(TinyCritic(batch_norm=True))
    panel = lipschitz(state, random_images(4), KEY, **{**SETTINGS, 'clip_value': 0.999})
    np.testing.assert_array_equal(panel['clipped_share'], 0.0)
    assert int(panel['weight_counts'].sum()) == 145


def test_weights_that_are_all_zero():
    state = make_state(TinyCritic())
    state = state.replace(critic=with_params(state.critic, jax.tree.map(jnp.zeros_like, state.critic.params)))
    panel = lipschitz(state, random_images(4), KEY, **SETTINGS)
    assert all(np.isfinite(value).all() for value in panel.values())
    assert int(panel['weight_counts'].max()) == 145
    np.testing.assert_array_equal([panel['slope_max'], *panel['spectral_norms']], 0.0)


def test_the_gradient_at_the_last_layer_of_a_gan():
    """With logits s: 1 - D(s) for real images, D(s) for fake ones; it does not depend on the size of the batch."""
    state, images = make_state(LinearCritic()), np.full((8, 4, 4, 1), 200, np.uint8)
    params = {'Dense_0': {'kernel': 0 * state.generator.params['Dense_0']['kernel'], 'bias': jnp.full(16, -0.3)}}
    state = state.replace(generator=with_params(state.generator, params))
    weights = np.asarray(state.critic.params['Dense_0']['kernel'])[:, 0]
    real, fake = weights.sum() * (200 / 127.5 - 1), weights.sum() * np.tanh(-0.3)
    expected = (1 / (1 + np.exp(real)) + 1 / (1 + np.exp(-fake))) / 2
    for batch_size in (2, 8):
        panel = lipschitz(state, images, KEY, **{**SETTINGS, 'loss': LOSSES['non_saturating'], 'batch_size': batch_size})
        np.testing.assert_allclose(panel['gradient_norms'], [expected, expected * np.linalg.norm(weights)], rtol=1e-5)
