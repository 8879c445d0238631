"""A step changes only its player, and follows the gradient of its whole loss, so no sign is wrong and no term is missing.

Nothing is compiled here: the steps run as plain functions.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.algorithm.test_steps import assert_same, differs, leaves
from tests.conftest import SEEDS, TinyCritic, TinyGenerator, examples, in_float64
from wgan_jax.algorithm import noise, steps
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.optimizers import OPTIMIZERS, make_optimizer
from wgan_jax.algorithm.state import create_state

LATENT_DIM, RATE = 3, 1e-6
pytestmark = pytest.mark.usefixtures('module_in_double_precision')


def softplus(x):
    return jnp.logaddexp(x, 0.0)


CRITIC_LOSSES = {
    'wasserstein': lambda real, fake: jnp.mean(fake) - jnp.mean(real),
    'minimax': lambda real, fake: jnp.mean(softplus(-real)) + jnp.mean(softplus(fake)),
    'non_saturating': lambda real, fake: jnp.mean(softplus(-real)) + jnp.mean(softplus(fake)),
    'hinge': lambda real, fake: jnp.mean(jnp.maximum(0.0, 1.0 - real)) + jnp.mean(jnp.maximum(0.0, 1.0 + fake)),
}
GENERATOR_LOSSES = {
    'wasserstein': lambda fake: -jnp.mean(fake),
    'minimax': lambda fake: -jnp.mean(softplus(fake)),
    'non_saturating': lambda fake: jnp.mean(softplus(-fake)),
    'hinge': lambda fake: -jnp.mean(fake),
}


def run(player, inputs):
    variables = {'params': player.params, 'batch_stats': player.batch_stats}
    return player.apply_fn(variables, inputs, train=True, mutable=['batch_stats'])[0]


def penalty(critic, points, one_sided):
    slopes = jax.vmap(lambda point: jnp.linalg.norm(jax.grad(lambda x: run(critic, x[None])[0])(point)))(points)
    return jnp.mean(jnp.where((slopes > 1.0) | (not one_sided), slopes - 1.0, 0.0) ** 2)


def critic_loss(state, real, drawn, loss, gp_weight, one_sided):
    fake = run(state.generator, drawn.latents)
    value = CRITIC_LOSSES[loss](run(state.critic, real), run(state.critic, fake))
    if gp_weight:
        value += gp_weight * penalty(state.critic, real + drawn.alpha[:, None, None, None] * (fake - real), one_sided)
    return float(value)


def descending(seed, batch_norm=False):
    """A state whose players follow their gradients in steps so small that only the first order matters."""
    networks = TinyGenerator(batch_norm=batch_norm), TinyCritic(batch_norm=batch_norm)
    return in_float64(create_state(jax.random.key(seed), *networks, optax.sgd(RATE), optax.sgd(RATE), latent_dim=LATENT_DIM))


def squared_slope(before, after):
    """Change of a loss along its own gradient, per unit of rate."""
    return sum(np.sum((x - y) ** 2) for x, y in zip(leaves(before), leaves(after), strict=True)) / RATE**2


@pytest.mark.parametrize('loss', sorted(LOSSES))
@pytest.mark.parametrize(
    ('gp_weight', 'one_sided', 'batch_norm'),
    [(0.0, False, False), (0.0, False, True), (10.0, False, False), (10.0, True, False)],  # no batch norm with a penalty
)
@examples(2)
@given(seed=SEEDS)
def test_a_critic_step_descends_its_whole_loss(loss, gp_weight, one_sided, batch_norm, seed):
    """By exactly the square of the gradient, on the same batch and draws."""
    state, key = descending(seed, batch_norm), jax.random.key(seed)
    real = jax.random.uniform(key, (4, 4, 4, 1), minval=-1.0)
    game = {'loss': LOSSES[loss], 'latent_dim': LATENT_DIM, 'gp_weight': gp_weight, 'gp_one_sided': one_sided}
    after, metrics = steps.critic_step(state, real, key, **game)
    drawn = noise.draw(key, 'critic', state.critic.step, 4, LATENT_DIM, None)
    before, now = (critic_loss(one, real, drawn, loss, gp_weight, one_sided) for one in (state, after))
    np.testing.assert_allclose(metrics['critic_loss'], before, rtol=1e-12)
    assert now < before
    np.testing.assert_allclose((before - now) / RATE, squared_slope(state.critic.params, after.critic.params), rtol=1e-3)


@pytest.mark.parametrize('loss', sorted(LOSSES))
@pytest.mark.parametrize('batch_norm', [False, True])
@examples(2)
@given(seed=SEEDS)
def test_a_generator_step_descends_its_loss(loss, batch_norm, seed):
    """By exactly the square of the gradient, on the same latents."""
    state, key = descending(seed, batch_norm), jax.random.key(seed)
    after, metrics = steps.generator_step(state, key, batch_size=4, loss=LOSSES[loss], latent_dim=LATENT_DIM)
    latents = noise.draw(key, 'generator', state.generator.step, 4, LATENT_DIM, None).latents
    before, now = (float(GENERATOR_LOSSES[loss](run(state.critic, run(one.generator, latents)))) for one in (state, after))
    np.testing.assert_allclose(metrics['generator_loss'], before, rtol=1e-12)
    assert now < before
    np.testing.assert_allclose((before - now) / RATE, squared_slope(state.generator.params, after.generator.params), rtol=1e-3)


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


@examples(6)
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
    """Its parameters, optimizer, batch statistics and count, as well as the round and, in a critic step, the average."""
    key = jax.random.key(seed)
    networks = TinyGenerator(batch_norm=batch_norms[0]), TinyCritic(batch_norm=batch_norms[1])
    use_ema = ema_decay is not None
    state = create_state(key, *networks, generator_optimizer, critic_optimizer, latent_dim=LATENT_DIM, use_ema=use_ema)
    state, real = in_float64(state), jax.random.uniform(key, (4, 4, 4, 1), minval=-1.0)
    game = {'loss': LOSSES[loss], 'latent_dim': LATENT_DIM}
    after_critic, _ = steps.critic_step(state, real, key, gp_weight=gp_weight, gp_one_sided=gp_one_sided, **game)
    assert_same(after_critic.replace(critic=None), state.replace(critic=None))
    assert differs(after_critic.critic.params, state.critic.params)
    assert int(after_critic.critic.step) == 1
    after_both, _ = steps.generator_step(after_critic, key, batch_size=4, ema_decay=ema_decay, **game)
    assert_same(after_both.replace(generator=None, ema=None), after_critic.replace(generator=None, ema=None))
    assert differs(after_both.generator.params, after_critic.generator.params)
    assert int(after_both.generator.step) == 1
    assert not use_ema or differs(after_both.ema, state.ema)
