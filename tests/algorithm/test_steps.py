import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import SEEDS, TinyCritic, TinyGenerator, examples, in_float64
from wgan_jax.algorithm import steps
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.optimizers import OPTIMIZERS, make_optimizer
from wgan_jax.algorithm.state import create_state

KEY = jax.random.key(7)
GAME = {'loss': LOSSES['wasserstein'], 'latent_dim': 3}


def make_state(players, batch_norm=False, clip_value=None, use_ema=False, seed=0):
    generator, critic = players(batch_norm)
    return create_state(
        jax.random.key(seed),
        generator,
        critic,
        make_optimizer('adam', 1e-2, 0.0, 0.9),
        make_optimizer('adam', 1e-2, 0.0, 0.9, clip_value=clip_value),
        latent_dim=3,
        use_ema=use_ema,
    )


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


@pytest.mark.parametrize('batch_norm', [False, True])
def test_each_step_changes_only_its_player(players, batch_norm):
    state = make_state(players, batch_norm, use_ema=True)
    after_critic, _ = steps.critic_step(state, real_images(4), KEY, **GAME)
    assert_same(after_critic.generator, state.generator)
    assert_same(after_critic.ema, state.ema)
    assert differs(after_critic.critic.params, state.critic.params)
    after_generator, _ = steps.generator_step(state, KEY, batch_size=4, ema_decay=0.5, **GAME)
    assert_same(after_generator.critic, state.critic)
    assert differs(after_generator.generator.params, state.generator.params)
    assert differs(after_generator.ema, state.ema)


def optimizers():
    return st.builds(
        make_optimizer,
        st.sampled_from(sorted(OPTIMIZERS)),
        st.just(1e-2),
        st.sampled_from([0.0, 0.5]),
        st.just(0.9),
        st.sampled_from([None, 0.01]),
        st.booleans(),
    )


@examples(12)
@given(
    loss=st.sampled_from(sorted(LOSSES)),
    gp_weight=st.sampled_from([0.0, 10.0]),
    gp_one_sided=st.booleans(),
    critic_optimizer=optimizers(),
    generator_optimizer=optimizers(),
    batch_norms=st.tuples(st.booleans(), st.booleans()),
    ema_decay=st.sampled_from([None, 0.0, 0.9]),
    seed=SEEDS,
)
def test_a_step_of_one_player_leaves_the_other_bit_identical(
    loss, gp_weight, gp_one_sided, critic_optimizer, generator_optimizer, batch_norms, ema_decay, seed
):
    """Its parameters, optimizer, batch statistics and count; the round as well, and in a critic step the average."""
    key = jax.random.key(seed)
    networks = TinyGenerator(batch_norm=batch_norms[0]), TinyCritic(batch_norm=batch_norms[1])
    use_ema = ema_decay is not None
    state = create_state(key, *networks, generator_optimizer, critic_optimizer, latent_dim=3, use_ema=use_ema)
    real = jax.random.uniform(key, (4, 4, 4, 1), jnp.float32, -1.0)
    game = {'loss': LOSSES[loss], 'latent_dim': 3}
    after_critic, _ = steps.critic_step(state, real, key, gp_weight=gp_weight, gp_one_sided=gp_one_sided, **game)
    assert_same(after_critic.replace(critic=None), state.replace(critic=None))
    assert differs(after_critic.critic.params, state.critic.params)
    assert int(after_critic.critic.step) == 1
    after_both, _ = steps.generator_step(after_critic, key, batch_size=4, ema_decay=ema_decay, **game)
    assert_same(after_both.replace(generator=None, ema=None), after_critic.replace(generator=None, ema=None))
    assert differs(after_both.generator.params, after_critic.generator.params)
    assert int(after_both.generator.step) == 1


def test_the_critic_learns_to_tell_and_the_generator_to_please(players):
    """One step with a small rate: the estimate on the same draws rises; the mean score of fakes rises."""
    state = make_state(players)
    real = real_images(64)
    after, before_metrics = steps.critic_step(state, real, KEY, **GAME)
    rewound = after.replace(critic=after.critic.replace(step=state.critic.step))  # the same draws again
    _, after_metrics = steps.critic_step(rewound, real, KEY, **GAME)
    assert after_metrics['wasserstein_estimate'] > before_metrics['wasserstein_estimate']
    after, before_metrics = steps.generator_step(state, KEY, batch_size=64, **GAME)
    rewound = after.replace(generator=after.generator.replace(step=state.generator.step))
    _, after_metrics = steps.generator_step(rewound, KEY, batch_size=64, **GAME)
    assert after_metrics['generator_loss'] < before_metrics['generator_loss']


def test_metrics_fit_together(players):
    _, metrics = steps.critic_step(make_state(players), real_images(4), KEY, gp_weight=10.0, **GAME)
    expected = -metrics['wasserstein_estimate'] + 10.0 * metrics['gradient_penalty']
    np.testing.assert_allclose(metrics['critic_loss'], expected, rtol=1e-5)
    _, metrics = steps.critic_step(make_state(players), real_images(4), KEY, **GAME)
    assert 'gradient_penalty' not in metrics
    np.testing.assert_allclose(metrics['critic_loss'], -metrics['wasserstein_estimate'], rtol=1e-6)


def test_every_critic_weight_is_inside_the_box_after_every_step(players):
    state = make_state(players, batch_norm=True, clip_value=0.01)
    step = jax.jit(functools.partial(steps.critic_step, **GAME))
    for i in range(3):
        state, _ = step(state, real_images(4, seed=i), KEY)
        for leaf in leaves(state.critic.params):
            assert np.abs(leaf).max() <= np.float32(0.01)


@pytest.mark.parametrize('n_critic', [1, 2, 3])
def test_updates_are_counted(players, n_critic):
    state = make_state(players)
    for i in range(2):
        state, _ = steps.train_round(state, real_images(n_critic, 4, seed=i), KEY, **GAME)
    assert (int(state.step), int(state.critic.step), int(state.generator.step)) == (2, 2 * n_critic, 2)


@pytest.mark.parametrize('n_critic', [1, 3])
def test_a_round_is_critic_steps_on_their_own_images_then_a_generator_step(players, n_critic):
    """The generator sees the updated critic; the critic's metrics are those of its last update."""
    start, real = make_state(players), real_images(n_critic, 4)
    by_hand = start
    for batch in real:
        by_hand, critic_metrics = steps.critic_step(by_hand, batch, KEY, gp_weight=10.0, **GAME)
    by_hand, generator_metrics = steps.generator_step(by_hand, KEY, batch_size=4, **GAME)
    together, metrics = steps.train_round(start, real, KEY, gp_weight=10.0, **GAME)
    for x, y in zip(leaves(by_hand.replace(step=together.step)), leaves(together), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)
    expected = {**critic_metrics, **generator_metrics}
    assert metrics.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-4)


def test_batch_norm_statistics_never_mix_real_and_fake(players):
    """Running means after one step: momentum twice, once with the real batch and once with the fake one."""
    state = make_state(players, batch_norm=True)
    real = real_images(8) + 5.0
    after, _ = steps.critic_step(state, real, KEY, **GAME)
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
    after, _ = steps.generator_step(state, KEY, batch_size=4, ema_decay=0.75, **GAME)
    for part in ('params', 'batch_stats'):
        expected = jax.tree.map(lambda old, new: 0.75 * old + 0.25 * new, state.ema[part], getattr(after.generator, part))
        for x, y in zip(leaves(after.ema[part]), leaves(expected), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7)
    after, _ = steps.generator_step(state, KEY, batch_size=4, ema_decay=0.0, **GAME)
    assert_same(after.ema['params'], after.generator.params)


def test_rounds_in_one_call_equal_rounds_one_by_one(players):
    """However rounds are cut into calls: the same bits, in the state and in the sums of metrics."""
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
    run = jax.jit(functools.partial(steps.train_round, gp_weight=10.0, **GAME))
    for _ in range(300):
        state, metrics = run(state, real, KEY)
    fake = state.generator.apply_fn({'params': state.generator.params}, jax.random.normal(KEY, (64, 3)), train=False)
    np.testing.assert_allclose(np.mean(fake), 0.5, atol=0.1)
    assert np.isfinite(float(metrics['critic_loss']))


@pytest.mark.parametrize(('loss', 'gp_weight'), [('wasserstein', 10.0), ('non_saturating', 0.0), ('minimax', 0.0)])
def test_a_batch_in_parts_gives_the_update_of_the_whole(players, double_precision, loss, gp_weight):
    state = in_float64(make_state(players, use_ema=True))
    images = jax.random.randint(jax.random.key(1), (2, 8, 4, 4, 1), 0, 256).astype(jnp.uint8)
    settings = {'loss': LOSSES[loss], 'latent_dim': 3, 'gp_weight': gp_weight, 'ema_decay': 0.5}
    whole = steps.train_round(state, images, KEY, **settings)
    for parts in (2, 8):
        for x, y in zip(
            leaves(steps.train_round(state, images, KEY, grad_accumulation=parts, **settings)), leaves(whole), strict=True
        ):
            np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-12)


def test_batch_norm_over_parts_of_a_batch_is_another_update(players, double_precision):
    """That is why it has to be asked for."""
    state = in_float64(make_state(players, batch_norm=True))
    game = {**GAME, 'grad_accumulation': 2}
    whole, _ = steps.critic_step(state, real_images(8), KEY, **GAME)
    parts, _ = steps.critic_step(state, real_images(8), KEY, **game)
    assert max(np.abs(x - y).max() for x, y in zip(leaves(whole.critic), leaves(parts.critic), strict=True)) > 1e-4
