import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from papers.shared.critics import critic_loss, generator_gradient, new_critic, train_critic
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.optimizers import make_optimizer
from wgan_jax.devices import compiling
from wgan_jax.models import make_network

SHAPE = (1, 1, 1)
# On a line a two-sided penalty has a second optimum, with a slope near -1.
GAME = {'loss': LOSSES['wasserstein'], 'gp_weight': 10.0, 'gp_one_sided': True}


def critic():
    return make_network('critic', SHAPE, 'mlp', num_features=16, num_layers=1)


def two_points(key, distance=0.5):
    """Real images are all 0, generated ones are all `distance`."""
    del key
    return jnp.zeros((8, *SHAPE)), jnp.full((8, 1), distance)


def test_a_trained_critic_measures_the_distance_of_two_points():
    start = new_critic(jax.random.key(0), critic(), make_optimizer('adam', 1e-2, 0.5, 0.9))
    train = compiling.compiled(functools.partial(train_critic, sample=two_points, num_updates=200, **GAME))
    state, metrics = train(start, key=jax.random.key(1))
    distance = 0.5 * (1 + 0.5 / 20)  # where distance * slope - 10 (slope - 1)^2 is largest
    np.testing.assert_allclose(-critic_loss(state, *two_points(None), GAME['loss']), distance, rtol=5e-2)
    gradient = generator_gradient(state, two_points(None)[1], GAME['loss'])
    np.testing.assert_allclose(gradient['shift'].reshape(-1), [1 + 0.5 / 20], rtol=0.1)
    assert metrics['wasserstein_estimate'].shape == (200,)
    assert metrics['wasserstein_estimate'][0] < metrics['wasserstein_estimate'][-1]
    jax.tree.map(np.testing.assert_array_equal, state.generator, start.generator)


def test_each_update_has_a_new_batch_and_a_second_call_continues_the_first():
    state = new_critic(jax.random.key(0), critic(), optax.sgd(0.0))  # only the batch changes from update to update

    def points(key):
        real, fake = jax.random.normal(key, (2, 8, 1))
        return real.reshape(-1, *SHAPE), fake

    train = compiling.compiled(functools.partial(train_critic, sample=points, num_updates=2, loss=GAME['loss']))
    state, first = train(state, key=jax.random.key(1))
    _, second = train(state, key=jax.random.key(1))
    assert len({*first['critic_loss'].tolist(), *second['critic_loss'].tolist()}) == 4
