import jax
import numpy as np
import pytest

from tests.algorithm.test_steps import differs, leaves
from tests.conftest import TinyCritic, TinyGenerator, in_float64
from tests.metrics.critic.test_estimates import KEY, LinearCritic, constant_generator, critic_step, make_state, random_images
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.metrics.critic.probe import image_order, optimality, train_critic

GAME = {'loss': LOSSES['wasserstein'], 'latent_dim': 3}


@pytest.mark.parametrize('batch_norm', [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_probe_takes_critic_steps(double_precision, batch_norm):
    """From any state of the critic.

    In float32, Adam would move a bias before batch norm, whose gradient is only rounding, at random.
    """
    settings = GAME if batch_norm else {**GAME, 'gp_weight': 10.0}
    step = critic_step(**settings)
    state = in_float64(make_state(TinyCritic(batch_norm=batch_norm), TinyGenerator(batch_norm=True)))
    images = random_images(16) / 127.5 - 1.0
    state, _ = step(state, images[:4], KEY)
    indices, by_hand = image_order(KEY, 16, 4, 4), state
    trained = train_critic(state, images, indices, jax.random.key(1), **settings)
    for batch in np.asarray(indices):
        by_hand, _ = step(by_hand, images[batch], jax.random.key(1))
    assert int(trained.step) == 5
    for x, y in zip(leaves(trained), leaves(by_hand.critic), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9)
    assert differs(trained.params, state.critic.params)


def test_no_image_is_used_twice_before_all_were_used():
    order = np.asarray(image_order(KEY, 10, 5, 4)).reshape(-1)
    np.testing.assert_array_equal(np.sort(order[:10]), np.arange(10))
    np.testing.assert_array_equal(np.sort(order[10:]), np.arange(10))
    assert (order[:10] != order[10:]).any()
    assert (order[:10] != np.arange(10)).any()
    with pytest.raises(ValueError, match=r'^3 images to train on are fewer than a batch of 4$'):
        image_order(KEY, 3, 1, 4)


def bright_images(count):
    """Every pixel is brighter than those of the generator, tanh(-2)."""
    return np.random.default_rng(0).integers(128, 256, (count, 4, 4, 1), dtype=np.uint8)


def at_corner(state, clip_value):
    """Every weight is +c: the optimum of a linear critic if real pixels are brighter."""
    params = jax.tree.map(lambda leaf: np.full(leaf.shape, clip_value, np.float32), state.critic.params)
    return state.replace(critic=state.critic.replace(params=params))


def test_a_critic_at_its_optimum_gains_nothing_and_a_fresh_one_does():
    fresh = constant_generator(make_state(LinearCritic(), clip_value=0.01), -2.0)
    settings = {'num_updates': 5, 'batch_size': 4, **GAME}
    images = bright_images(16)
    best = optimality(at_corner(fresh, 0.01), images, KEY, **settings)
    expected = 0.01 * 16 * (np.mean(images[:4]) / 127.5 - 1.0 - np.tanh(-2.0))  # a quarter measures
    np.testing.assert_allclose(best['probe_before'], expected, rtol=1e-5)
    assert best['probe_after'] == best['probe_before']
    assert best['probe_gain'] == 0.0
    start = jax.tree.map(np.zeros_like, fresh.critic.params)
    poor = optimality(fresh.replace(critic=fresh.critic.replace(params=start)), images, KEY, **settings)
    np.testing.assert_allclose([poor['probe_before'], poor['probe_gain']], [0.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(poor['probe_after'], expected, rtol=1e-5)  # one step of Adam reaches the bounds
    np.testing.assert_allclose(poor['probe_loss_after'], -poor['probe_after'], rtol=1e-5)


def test_the_loss_of_a_gan():
    state = constant_generator(make_state(LinearCritic(), learning_rate=1e-2), -2.0)
    start = jax.tree.map(np.zeros_like, state.critic.params)
    state = state.replace(critic=state.critic.replace(params=start))
    game = {'loss': LOSSES['non_saturating'], 'latent_dim': 3}
    found = optimality(state, bright_images(16), KEY, num_updates=3, batch_size=4, **game)
    np.testing.assert_allclose(found['probe_loss_before'], 2 * np.log(2), rtol=1e-6)
    assert found['probe_loss_after'] < 1.3


def test_the_gain_is_relative_to_the_absolute_value_after_the_probe():
    state = at_corner(constant_generator(make_state(LinearCritic(), learning_rate=1e-3), -2.0), -0.01)
    found = optimality(state, bright_images(16), KEY, num_updates=2, batch_size=4, **GAME)
    before, after = float(found['probe_before']), float(found['probe_after'])
    assert before < after < 0
    np.testing.assert_allclose(found['probe_gain'], (after - before) / -after, rtol=1e-5)


def test_the_copy_is_not_trained_on_the_measured_images():
    state, images = make_state(LinearCritic()), random_images(16)
    settings = {'num_updates': 4, 'batch_size': 4, **GAME}
    found = optimality(state, images, KEY, **settings)
    others = np.concatenate([images[:4], 255 - images[4:]])
    changed = optimality(state, others, KEY, **settings)
    assert changed['probe_before'] == found['probe_before']
    assert changed['probe_after'] != found['probe_after']
    with pytest.raises(ValueError, match=r'^3 images to train on are fewer than a batch of 4$'):
        optimality(state, images[:7], KEY, **settings)


@pytest.mark.slow
def test_parts_of_a_batch_give_the_probe_of_the_whole(double_precision):
    state, images = in_float64(make_state(TinyCritic())), random_images(16)
    indices = image_order(KEY, 16, 2, 4)
    trained = [train_critic(state, images, indices, KEY, grad_accumulation=number, **GAME) for number in (1, 2, 4)]
    for one in trained[1:]:
        for x, y in zip(leaves(one), leaves(trained[0]), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-12)
    settings = {'num_updates': 2, 'batch_size': 4, **GAME}
    whole = optimality(state, images, KEY, **settings)
    parts = optimality(state, images, KEY, grad_accumulation=2, **settings)
    # The measured images are paired with other latents: only the direction is the same.
    assert whole['probe_gain'] > 0
    assert parts['probe_gain'] > 0
