import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.conftest import in_float64
from wgan_jax.algorithm import noise, steps
from wgan_jax.algorithm.losses import LOSSES, gradient_penalty
from wgan_jax.algorithm.noise import ImageNoise
from wgan_jax.algorithm.optimizers import make_optimizer
from wgan_jax.algorithm.state import apply, create_state

KEY = jax.random.key(7)
GAME = {'loss': LOSSES['wasserstein'], 'latent_dim': 3}


def compiled(step, *static):
    """Compiles a step for all tests, so that each combination of settings and shapes is compiled once."""
    return jax.jit(step, static_argnames=('loss', 'latent_dim', *static))


critic_step = compiled(steps.critic_step, 'gp_weight', 'grad_accumulation')
generator_step = compiled(steps.generator_step, 'batch_size', 'ema_decay')
train_round = compiled(steps.train_round, 'gp_weight', 'ema_decay', 'grad_accumulation')


def make_state(players, batch_norm=False, clip_value=None, use_ema=False, seed=0):
    return initialiser(*players(batch_norm), clip_value, use_ema)(jax.random.key(seed))


@functools.cache  # a step is compiled again for other networks and optimizers, even if they are equal
def initialiser(generator, critic, clip_value, use_ema):
    parts = {
        'generator': generator,
        'critic': critic,
        'generator_optimizer': make_optimizer('adam', 1e-2, 0.0, 0.9),
        'critic_optimizer': make_optimizer('adam', 1e-2, 0.0, 0.9, clip_value=clip_value),
    }
    return jax.jit(functools.partial(create_state, **parts, latent_dim=3, use_ema=use_ema))


def real_images(*leading, seed=0):
    return jax.random.uniform(jax.random.key(seed), (*leading, 4, 4, 1), minval=-1.0)


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def assert_same(a, b):
    for x, y in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def differs(a, b):
    return any((x != y).any() for x, y in zip(leaves(a), leaves(b), strict=True))


def test_same_key_same_state(players):
    assert_same(make_state(players), make_state(players))
    assert differs(make_state(players).critic.params, make_state(players, seed=1).critic.params)
    assert differs(make_state(players).generator.params, make_state(players, seed=1).generator.params)


def test_metrics_fit_together(players):
    _, metrics = critic_step(make_state(players), real_images(4), KEY, gp_weight=10.0, **GAME)
    expected = -metrics['wasserstein_estimate'] + 10.0 * metrics['gradient_penalty']
    np.testing.assert_allclose(metrics['critic_loss'], expected, rtol=1e-5)
    _, metrics = critic_step(make_state(players), real_images(4), KEY, **GAME)
    assert 'gradient_penalty' not in metrics
    np.testing.assert_allclose(metrics['critic_loss'], -metrics['wasserstein_estimate'], rtol=1e-6)
    np.testing.assert_allclose(metrics['wasserstein_estimate'], metrics['real_score'] - metrics['fake_score'], rtol=1e-5)


def test_a_penalty_of_ones_own_takes_the_place_of_the_gradient_penalty(players):
    state, real = make_state(players), real_images(4)

    def step(penalty):
        loss = LOSSES['wasserstein']._replace(penalty=penalty)
        return critic_step(state, real, KEY, gp_weight=10.0, loss=loss, latent_dim=3)

    usual = step(lambda score, real, fake, interpolates: gradient_penalty(score, interpolates))
    assert_same(usual, critic_step(state, real, KEY, gp_weight=10.0, **GAME))
    drawn = noise.draw(KEY, 'critic', state.critic.step, 4, 3, None)
    fake, _ = apply(state.generator, state.generator.params, drawn.latents, axis_name=None)
    between = real + drawn.alpha.reshape(4, 1, 1, 1) * (fake - real)
    given = (real, fake, between)
    scores = [apply(state.critic, state.critic.params, images, axis_name=None)[0] for images in given]
    expected = sum(10.0**i * np.mean(np.square(part)) for i, part in enumerate((*given, *scores)))

    def penalty(score, *images):
        return sum(10.0**i * jnp.mean(jnp.square(part)) for i, part in enumerate((*images, *map(score, images))))

    after, metrics = step(penalty)
    np.testing.assert_allclose(metrics['gradient_penalty'], expected, rtol=1e-5)
    np.testing.assert_allclose(metrics['critic_loss'], 10.0 * expected - metrics['wasserstein_estimate'], rtol=1e-5)
    assert differs(after.critic.params, usual[0].critic.params)


def test_every_critic_weight_is_inside_the_box_after_every_step(players):
    state = make_state(players, batch_norm=True, clip_value=0.01)
    for i in range(3):
        state, _ = critic_step(state, real_images(4, seed=i), KEY, **GAME)
        for leaf in leaves(state.critic.params):
            assert np.abs(leaf).max() <= np.float32(0.01)


def test_a_round_is_critic_steps_on_their_own_images_then_a_generator_step(players):
    """The generator sees the updated critic; the critic's metrics are those of its last update."""
    start, real = make_state(players), real_images(3, 4)
    by_hand = start
    for batch in real:
        by_hand, critic_metrics = critic_step(by_hand, batch, KEY, gp_weight=10.0, **GAME)
    by_hand, generator_metrics = generator_step(by_hand, KEY, batch_size=4, **GAME)
    together, metrics = train_round(start, real, KEY, gp_weight=10.0, **GAME)
    for x, y in zip(leaves(by_hand.replace(step=together.step)), leaves(together), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)
    expected = {**critic_metrics, **generator_metrics}
    assert (int(together.step), int(together.critic.step), int(together.generator.step)) == (1, 3, 1)
    assert metrics.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-4)


def test_batch_norm_statistics_never_mix_real_and_fake(players):
    """Running means after one step: the momentum is applied twice, to the real batch and then to the fake one."""
    state = make_state(players, batch_norm=True)
    real = real_images(8) + 5.0
    after, _ = critic_step(state, real, KEY, **GAME)
    latent_key = jax.random.split(jax.random.fold_in(jax.random.fold_in(KEY, 0), 0), 3)[0]
    latents = jax.random.normal(latent_key, (8, 3))
    variables = {'params': state.generator.params, 'batch_stats': state.generator.batch_stats}
    fake, _ = state.generator.apply_fn(variables, latents, train=True, mutable=['batch_stats'])
    dense = state.critic.params['Dense_0']
    means = [np.asarray((images.reshape(8, -1) @ dense['kernel'] + dense['bias'][None]).mean(0)) for images in (real, fake)]
    expected = 0.99 * (0.99 * 0.0 + 0.01 * means[0]) + 0.01 * means[1]
    np.testing.assert_allclose(after.critic.batch_stats['BatchNorm_0']['mean'], expected, rtol=1e-4, atol=1e-6)


def test_ema_formula(players):
    state = make_state(players, batch_norm=True, use_ema=True)
    assert_same(state.ema['params'], state.generator.params)
    after, _ = generator_step(state, KEY, batch_size=4, ema_decay=0.75, **GAME)
    for part in ('params', 'batch_stats'):
        expected = jax.tree.map(lambda old, new: 0.75 * old + 0.25 * new, state.ema[part], getattr(after.generator, part))
        for x, y in zip(leaves(after.ema[part]), leaves(expected), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7)


def test_rounds_in_one_call_equal_rounds_one_by_one(players):
    """The same bits in the state and in the sums of metrics, for any grouping of rounds into calls."""
    images = jax.random.randint(jax.random.key(0), (20, 16), 0, 256).astype(jnp.uint8)
    indices = jax.random.randint(jax.random.key(1), (6, 2, 4), 0, 20)
    run = jax.jit(functools.partial(steps.train_rounds, image_shape=(4, 4, 1), gp_weight=10.0, **GAME))
    start = make_state(players, use_ema=True), steps.zero_sums(10.0)
    together = run(*start, images, indices, 6, KEY)
    parts = start
    for first, rounds in ((0, 1), (1, 3), (4, 2)):
        chunk = jnp.zeros_like(indices).at[:rounds].set(indices[first : first + rounds])
        parts = run(*parts, images, chunk, rounds, KEY)
    assert_same(together, parts)
    assert float(together[1]['rounds']) == 6.0


def test_images_are_scaled_to_minus_one_and_one():
    images = jnp.array([0, 255, 51], jnp.uint8)
    np.testing.assert_allclose(steps.to_float(images), [-1.0, 1.0, -0.6], atol=1e-6)


def test_training_fits_a_constant(players):
    """300 rounds of WGAN-GP move the generator's mean from 0 to that of the data, 0.5."""
    state = make_state(players)
    real = jnp.full((2, 16, 4, 4, 1), 0.5)
    for _ in range(300):
        state, metrics = train_round(state, real, KEY, gp_weight=10.0, **GAME)
    fake = state.generator.apply_fn({'params': state.generator.params}, jax.random.normal(KEY, (64, 3)), train=False)
    np.testing.assert_allclose(np.mean(fake), 0.5, atol=0.1)
    assert (int(state.step), int(state.critic.step), int(state.generator.step)) == (300, 600, 300)
    assert np.isfinite(float(metrics['critic_loss']))


SLOW = [pytest.param(loss, 0.0, marks=pytest.mark.slow) for loss in ('non_saturating', 'minimax')]


@pytest.mark.parametrize(('loss', 'gp_weight'), [('wasserstein', 10.0), *SLOW])
def test_a_batch_in_parts_gives_the_update_of_the_whole(players, double_precision, loss, gp_weight):
    state = in_float64(make_state(players, use_ema=True))
    images = jax.random.randint(jax.random.key(1), (2, 8, 4, 4, 1), 0, 256).astype(jnp.uint8)
    settings = {'loss': LOSSES[loss], 'latent_dim': 3, 'gp_weight': gp_weight, 'ema_decay': 0.5}
    whole, parts = (train_round(state, images, KEY, grad_accumulation=number, **settings) for number in (1, 4))
    for x, y in zip(leaves(parts), leaves(whole), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-12)


def test_batch_norm_over_parts_of_a_batch_gives_another_update(players):
    """Why the config must ask for it."""
    state = make_state(players, batch_norm=True)
    whole, _ = critic_step(state, real_images(8), KEY, **GAME)
    parts, _ = critic_step(state, real_images(8), KEY, grad_accumulation=2, **GAME)
    assert max(np.abs(x - y).max() for x, y in zip(leaves(whole.critic), leaves(parts.critic), strict=True)) > 1e-4


@pytest.mark.slow
def test_noise_on_images_reaches_both_kinds_of_images_and_both_players(players):
    """The critic's scores of real and of generated images change, and so does the generator's loss; faded noise changes nothing."""
    state, real = make_state(players), real_images(4)
    critic, generator = (functools.partial(step, key=KEY, **GAME) for step in (steps.critic_step, steps.generator_step))
    plain, noisy = (critic(state, real, image_noise=noise)[1] for noise in (None, ImageNoise(1.0, 5)))
    assert abs(plain['real_score'] - noisy['real_score']) > 1e-3
    assert abs(plain['fake_score'] - noisy['fake_score']) > 1e-3
    losses = [generator(state, batch_size=4, image_noise=noise)[1]['generator_loss'] for noise in (None, ImageNoise(1.0, 5))]
    assert abs(losses[0] - losses[1]) > 1e-3
    faded = critic(state.replace(step=jnp.int32(5)), real, image_noise=ImageNoise(1.0, 5))[1]
    for name, value in plain.items():
        np.testing.assert_allclose(faded[name], value, rtol=1e-5, atol=1e-7)


def test_parts_of_a_batch_have_the_noise_of_the_whole(players):
    settings = {'image_noise': ImageNoise(0.5, None), **GAME}
    whole, parts = (steps.critic_step(make_state(players), real_images(4), KEY, grad_accumulation=n, **settings)[1] for n in (1, 2))
    for name, value in whole.items():
        np.testing.assert_allclose(parts[name], value, rtol=1e-4, atol=1e-6)
