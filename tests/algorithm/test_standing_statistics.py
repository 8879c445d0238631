from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.algorithm.test_steps import make_state
from wgan_jax.algorithm.standing_statistics import BATCH, batch_statistics, with_standing_statistics
from wgan_jax.algorithm.state import generate, weights_of
from wgan_jax.models import make_network

KEY, LATENT_DIM = jax.random.key(3), 3
GENERATORS = {
    'dcgan': ((16, 16, 1), {'num_features': 2, 'norm': 'batch'}),
    'keras_cnn': ((13, 18, 1), {'num_features': 2}),  # momentum 0.99
    'mlp': ((2, 2, 1), {'num_features': 3, 'num_layers': 1, 'norm': 'batch'}),
    'resnet': ((16, 16, 1), {'num_features': 2}),
    'upsample_cnn': ((8, 8, 1), {'num_features': 2}),
}


def state_with(network):
    """A state whose generator has statistics that are far from those of any batch."""
    image_shape, options = GENERATORS[network]
    generator = make_network('generator', image_shape, network, **options)
    critic = make_network('critic', image_shape, 'mlp', num_features=2, num_layers=1)
    state = make_state(lambda batch_norm: (generator, critic), use_ema=True)
    lagging = jax.tree.map(lambda values: values - 0.5, state.generator.batch_stats)
    ema = {**state.ema, 'params': jax.tree.map(lambda leaf: 1.5 * leaf, state.ema['params'])}
    return state.replace(generator=state.generator.replace(batch_stats=lagging), ema=ema)


def latents_of(number):
    return jax.random.normal(jax.random.fold_in(KEY, number), (BATCH, LATENT_DIM))


@pytest.mark.parametrize('network', [name if name == 'mlp' else pytest.param(name, marks=pytest.mark.slow) for name in GENERATORS])
def test_another_pass_with_the_batch_does_not_move_its_statistics(network):
    """Running statistics move towards those of the batch, so they stay where they are only if they are these."""
    state = state_with(network).replace(ema=None)
    found = batch_statistics(state.generator, weights_of(state), latents_of(0))
    variables = {'params': state.generator.params, 'batch_stats': found}
    _, changed = state.generator.apply_fn(variables, latents_of(0), train=True, mutable=['batch_stats'])
    assert jax.tree.leaves(found)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), changed['batch_stats'], found)


def test_the_statistics_of_a_dense_layer_by_hand():
    state = state_with('mlp').replace(ema=None)
    standing = with_standing_statistics(state, KEY, num_batches=3, latent_dim=LATENT_DIM).generator
    kernel, bias = (np.asarray(standing.params['Dense_0'].get(name, 0)) for name in ('kernel', 'bias'))
    outputs = [np.asarray(latents_of(number)) @ kernel + bias for number in range(3)]
    (found,) = standing.batch_stats.values()
    np.testing.assert_allclose(found['mean'], np.mean([batch.mean(axis=0) for batch in outputs], axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found['var'], np.mean([batch.var(axis=0) for batch in outputs], axis=0), rtol=1e-5)


@pytest.mark.parametrize('averaged', [False, True])
def test_only_what_makes_images_gets_them_and_nothing_else_changes(averaged):
    state = state_with('mlp')
    state = state if averaged else state.replace(ema=None)
    after = with_standing_statistics(state, KEY, num_batches=2, latent_dim=LATENT_DIM)
    before, now = weights_of(state), weights_of(after)
    expected = [batch_statistics(state.generator, before, latents_of(i)) for i in range(2)]
    mean = jax.tree.map(lambda a, b: (a + b) / 2, *expected)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), now['batch_stats'], mean)
    back = {**now, 'batch_stats': before['batch_stats']}
    again = after.replace(ema=back) if averaged else after.replace(generator=after.generator.replace(**back))
    jax.tree.map(np.testing.assert_array_equal, again, state)


def test_images_no_longer_depend_on_running_statistics():
    state = state_with('mlp').replace(ema=None)
    moved = state.replace(generator=state.generator.replace(batch_stats=jax.tree.map(jnp.ones_like, state.generator.batch_stats)))
    latents = latents_of(9)[:4]
    assert np.abs(np.asarray(generate(state, latents) - generate(moved, latents))).max() > 1e-3
    images = [generate(with_standing_statistics(one, KEY, num_batches=1, latent_dim=LATENT_DIM), latents) for one in (state, moved)]
    np.testing.assert_array_equal(*images)


def test_without_batches_or_without_batch_norm_the_state_stays(players):
    state = state_with('mlp')
    assert with_standing_statistics(state, KEY, num_batches=0, latent_dim=LATENT_DIM) is state
    plain = make_state(players)
    assert with_standing_statistics(plain, KEY, num_batches=2, latent_dim=LATENT_DIM) is plain


class Spectral(nn.Module):
    """Batch norm, and another layer that keeps arrays of its own beside the statistics."""

    image_shape: tuple[int, int, int] = (2, 2, 1)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, latents, *, train, axis_name=None):
        x = nn.SpectralNorm(nn.Dense(4))(latents, update_stats=train)
        return nn.BatchNorm(use_running_average=not train, momentum=0.9)(x).reshape(-1, *self.image_shape)


def test_what_other_layers_keep_beside_the_statistics_stays_as_it_is():
    critic = make_network('critic', (2, 2, 1), 'mlp', num_features=2, num_layers=1)
    state = make_state(lambda batch_norm: (Spectral(), critic), use_ema=False)
    standing = with_standing_statistics(state, KEY, num_batches=3, latent_dim=LATENT_DIM).generator
    before, after = state.generator.batch_stats, standing.batch_stats
    assert jax.tree.structure(before) == jax.tree.structure(after)
    jax.tree.map(np.testing.assert_array_equal, after['SpectralNorm_0'], before['SpectralNorm_0'])
    variables = {'params': standing.params, 'batch_stats': before}
    hidden, _ = (
        Spectral().apply(
            variables,
            jnp.concatenate([latents_of(i) for i in range(3)]),
            train=True,
            mutable=['batch_stats', 'intermediates'],
            capture_intermediates=True,
        )[1]['intermediates']['SpectralNorm_0']['__call__'][0],
        None,
    )
    np.testing.assert_allclose(after['BatchNorm_0']['mean'], np.mean(hidden, axis=0), rtol=1e-4, atol=1e-5)
