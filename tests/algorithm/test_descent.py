"""A step follows the gradient of its whole loss, to first order: no sign is wrong, no term is missing and none is too many."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given

from tests.algorithm.test_steps import leaves
from tests.conftest import SEEDS, TinyCritic, TinyGenerator, examples
from wgan_jax.algorithm import noise, steps
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.state import create_state

LATENT_DIM, RATE = 3, 1e-6
pytestmark = pytest.mark.usefixtures('module_in_double_precision')


def softplus(x):
    return jnp.logaddexp(x, 0.0)


CRITIC_LOSSES = {
    'wasserstein': lambda real, fake: jnp.mean(fake) - jnp.mean(real),
    'minimax': lambda real, fake: jnp.mean(softplus(-real)) + jnp.mean(softplus(fake)),
    'non_saturating': lambda real, fake: jnp.mean(softplus(-real)) + jnp.mean(softplus(fake)),
}
GENERATOR_LOSSES = {
    'wasserstein': lambda fake: -jnp.mean(fake),
    'minimax': lambda fake: -jnp.mean(softplus(fake)),
    'non_saturating': lambda fake: jnp.mean(softplus(-fake)),
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
    """A state whose players follow their gradients by steps so small that the first order is all."""
    networks = TinyGenerator(batch_norm=batch_norm), TinyCritic(batch_norm=batch_norm)
    state = create_state(jax.random.key(seed), *networks, optax.sgd(RATE), optax.sgd(RATE), latent_dim=LATENT_DIM)
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if leaf.dtype == jnp.float32 else leaf, state)


def squared_slope(before, after):
    """By how much a loss changes per unit of rate along its own gradient."""
    return sum(np.sum((x - y) ** 2) for x, y in zip(leaves(before), leaves(after), strict=True)) / RATE**2


@pytest.mark.parametrize('loss', sorted(LOSSES))
@pytest.mark.parametrize(
    ('gp_weight', 'one_sided', 'batch_norm'),
    [(0.0, False, False), (0.0, False, True), (10.0, False, False), (10.0, True, False)],  # a penalised critic has no batch norm
)
@examples(3)
@given(seed=SEEDS)
def test_a_critic_step_descends_its_whole_loss(loss, gp_weight, one_sided, batch_norm, seed):
    """By exactly the square of the gradient, on the same batch and draws; so without a penalty the estimate of WGAN rises."""
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
@examples(3)
@given(seed=SEEDS)
def test_a_generator_step_descends_its_loss(loss, batch_norm, seed):
    """By exactly the square of the gradient, on the same latents; so the mean score of WGAN's fakes rises."""
    state, key = descending(seed, batch_norm), jax.random.key(seed)
    after, metrics = steps.generator_step(state, key, batch_size=4, loss=LOSSES[loss], latent_dim=LATENT_DIM)
    latents = noise.draw(key, 'generator', state.generator.step, 4, LATENT_DIM, None).latents
    before, now = (float(GENERATOR_LOSSES[loss](run(state.critic, run(one.generator, latents)))) for one in (state, after))
    np.testing.assert_allclose(metrics['generator_loss'], before, rtol=1e-12)
    assert now < before
    np.testing.assert_allclose((before - now) / RATE, squared_slope(state.generator.params, after.generator.params), rtol=1e-3)


@pytest.mark.parametrize('loss', sorted(LOSSES))
@examples(8)
@given(seed=SEEDS)
def test_a_generator_step_raises_the_score_of_a_fake(loss, seed):
    """Of one: in a batch the losses of the GAN weigh examples, and the plain mean may fall while the weighted one rises."""
    state, key = descending(seed), jax.random.key(seed)
    after, _ = steps.generator_step(state, key, batch_size=1, loss=LOSSES[loss], latent_dim=LATENT_DIM)
    latents = noise.draw(key, 'generator', state.generator.step, 1, LATENT_DIM, None).latents
    before, now = (run(state.critic, run(one.generator, latents))[0] for one in (state, after))
    assert now > before
