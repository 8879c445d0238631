import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.conftest import TinyCritic, TinyGenerator
from wgan_jax.algorithm import noise, steps
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.optimizers import make_optimizer
from wgan_jax.algorithm.state import create_state
from wgan_jax.metrics.critic.estimates import estimates, private_key, whole_batches

KEY = jax.random.key(7)


class LinearCritic(nn.Module):
    """<w, x>."""

    @nn.compact
    def __call__(self, images, *, train, axis_name=None):
        return nn.Dense(1, use_bias=False)(images.reshape(images.shape[0], -1))[:, 0]


class TrainModeCritic(nn.Module):
    """One hidden layer with batch norm, half of which is dropped in training."""

    @nn.compact
    def __call__(self, images, *, train, axis_name=None):
        x = nn.Dense(8)(images.reshape(images.shape[0], -1))
        x = nn.softplus(nn.BatchNorm(use_running_average=not train, axis_name=axis_name)(x))
        return nn.Dense(1)(nn.Dropout(0.5, deterministic=not train)(x))[:, 0]


@functools.cache  # states of one structure share their compiled programs
def make_state(critic, generator=None, clip_value=None, learning_rate=1e-2, use_ema=False):
    optimizers = make_optimizer('adam', 1e-2, 0.0, 0.9), make_optimizer('adam', learning_rate, 0.0, 0.9, clip_value=clip_value)
    players = generator or TinyGenerator(), critic
    return jax.jit(lambda: create_state(jax.random.key(0), *players, *optimizers, latent_dim=3, use_ema=use_ema))()


def critic_step(**settings):
    return jax.jit(functools.partial(steps.critic_step, **settings))


def with_params(player, params):
    return player.replace(params=params)


def random_images(count, shape=(4, 4, 1), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def constant_generator(state, value):
    """Every pixel of every image is tanh(value)."""
    params = {'Dense_0': {'kernel': jnp.zeros((3, 16)), 'bias': jnp.full(16, value)}}
    return state.replace(generator=with_params(state.generator, params))


def test_estimates_by_hand():
    """The moving average of the generator and the images beyond whole batches are not used."""
    state = constant_generator(make_state(LinearCritic(), use_ema=True), 0.5)
    mean_of_pixels = {'Dense_0': {'kernel': jnp.full((16, 1), 1 / 16)}}
    state = state.replace(critic=with_params(state.critic, mean_of_pixels))
    train = np.full((11, 4, 4, 1), 255, np.uint8)
    train[4:8], train[8:] = 51, 0
    held_out = np.full((7, 4, 4, 1), 102, np.uint8)
    held_out[4:] = 0
    found = estimates(state, train, held_out, KEY, batch_size=4, latent_dim=3)
    assert found.keys() == {'estimate_train', 'estimate_held_out', 'critic_overfit'}
    np.testing.assert_allclose(found['estimate_train'], (1.0 - 0.6) / 2 - np.tanh(0.5), rtol=1e-6)
    np.testing.assert_allclose(found['estimate_held_out'], -0.2 - np.tanh(0.5), rtol=1e-6)
    np.testing.assert_allclose(found['critic_overfit'], 0.4, rtol=1e-6)
    alone = estimates(state, train, None, KEY, batch_size=4, latent_dim=3)
    assert alone == {'estimate_train': found['estimate_train']}


def test_the_estimate_is_that_of_a_critic_step_with_the_same_noise():
    """In train mode: with the statistics of each batch, and with dropout masks."""
    state, images = make_state(TrainModeCritic(), TinyGenerator(batch_norm=True)), random_images(4)
    _, metrics = critic_step(loss=LOSSES['wasserstein'], latent_dim=3)(state, images, private_key(KEY))
    found = estimates(state, images, images, KEY, batch_size=4, latent_dim=3)
    np.testing.assert_allclose(found['estimate_train'], metrics['wasserstein_estimate'], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found['critic_overfit'], 0.0)  # the same images, with the same masks


def test_each_batch_has_its_own_latents():
    state, images = make_state(TinyCritic()), np.full((8, 4, 4, 1), 9, np.uint8)
    first, second = (estimates(state, images[:count], None, KEY, batch_size=4, latent_dim=3) for count in (4, 8))
    assert first['estimate_train'] != second['estimate_train']


def test_the_noise_differs_from_that_of_the_run():
    """Even with the run's key, whatever the players and rewinds fold into it."""
    keys = [KEY, private_key(KEY), noise.after_rewinds(KEY, 1), *jax.random.split(KEY, 3)]
    draws = [
        noise.draw(key, player, update, 2, 3, None).latents for key in keys for player in noise._PLAYERS for update in range(3)
    ]
    private = noise.draw(private_key(KEY), 'critic', 0, 2, 3, None).latents
    assert sum(np.array_equal(private, latents) for latents in draws) == 1


def test_fewer_images_than_a_batch_are_refused():
    with pytest.raises(ValueError, match=r'^3 images are fewer than a batch of 4$'):
        whole_batches(random_images(3), 4)
