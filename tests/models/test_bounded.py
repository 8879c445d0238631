"""Layers that bound the slopes of a critic; whole rounds of training with them are compared with PyTorch in tests/reference."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from wgan_jax.algorithm import steps
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.state import apply, create_state
from wgan_jax.errors import UserError
from wgan_jax.metrics.critic.layers import layer_weights
from wgan_jax.models import make_network
from wgan_jax.models.bounded import Bounded, group_sort, orthogonal

KEY = jax.random.key(0)
MLP = {'network': 'mlp', 'num_features': 12, 'num_layers': 2}
DCGAN = {'network': 'dcgan', 'num_features': 4, 'num_extra_layers': 1, 'norm': 'none'}
UPSAMPLE_CNN = {'network': 'upsample_cnn', 'num_features': 4, 'norm': 'none'}


@functools.cache
def trained_critic(network, **options):
    """(critic, shape of its images) after 60 updates."""
    section = {'mlp': MLP, 'dcgan': DCGAN, 'upsample_cnn': UPSAMPLE_CNN}[network]
    shape = {'mlp': (3, 2, 2), 'dcgan': (16, 16, 2), 'upsample_cnn': (8, 8, 2)}[network]
    critic = make_network('critic', shape, **section, **options)
    generator = make_network('generator', shape, 'mlp', num_features=4, num_layers=1)
    state = create_state(KEY, generator, critic, optax.sgd(0.0), optax.adam(2e-4 if network == 'dcgan' else 2e-3), latent_dim=2)
    real = jax.random.uniform(KEY, (60, 8, *shape), minval=-1.0)

    @jax.jit
    def run(state):
        settings = {'loss': LOSSES['wasserstein'], 'latent_dim': 2}
        return jax.lax.scan(lambda state, batch: steps.critic_step(state, batch, KEY, **settings), state, real)

    trained, metrics = run(state)
    assert np.mean(metrics['critic_loss'][-10:]) < np.mean(metrics['critic_loss'][:10])
    return trained.critic, shape


def singular_values(kernel):
    return np.linalg.svd(np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1]), compute_uv=False)


@pytest.mark.parametrize('network', ['mlp', 'upsample_cnn', pytest.param('dcgan', marks=pytest.mark.slow)])
def test_spectral_layers_keep_the_largest_singular_value_at_one(network):
    critic, shape = trained_critic(network, weights='spectral', power_iterations=3)
    layers = layer_weights(critic, shape)
    assert len(layers) == {'mlp': 3, 'dcgan': 4, 'upsample_cnn': 4}[network]
    for kernel, _ in layers:
        np.testing.assert_allclose(singular_values(kernel)[0], 1.0, atol=1e-3)


@pytest.mark.parametrize(
    ('network', 'scales'),
    [
        ('mlp', [1.0, 1.0, 1.0]),
        # A pixel lies in 4 patches of 4x4 with stride 2, and in 9 of 3x3.
        pytest.param('dcgan', [1.0, 1 / 2, 1 / 3, 1 / 2], marks=pytest.mark.slow),
        ('upsample_cnn', [1.0, 1 / 3, 1 / 3, 1 / 3]),
    ],
)
def test_orthogonal_layers_have_equal_singular_values(network, scales):
    critic, shape = trained_critic(network, weights='orthogonal', activation='max_min')
    for (kernel, _), scale in zip(layer_weights(critic, shape), scales, strict=True):
        np.testing.assert_allclose(singular_values(kernel), scale, rtol=1e-5)


@pytest.mark.parametrize(
    ('network', 'options'),
    [
        ('mlp', {'weights': 'spectral', 'power_iterations': 3}),
        ('mlp', {'weights': 'orthogonal', 'activation': 'max_min'}),
        ('mlp', {'weights': 'orthogonal', 'activation': 'full_sort'}),
        pytest.param('dcgan', {'weights': 'orthogonal', 'activation': 'max_min'}, marks=pytest.mark.slow),
        ('upsample_cnn', {'weights': 'orthogonal', 'activation': 'max_min'}),
    ],
)
def test_slopes_are_nowhere_above_one(network, options):
    critic, shape = trained_critic(network, **options)
    images = jax.random.uniform(jax.random.key(1), (200, *shape), minval=-1.0)
    gradients = jax.grad(lambda images: jnp.sum(apply(critic, critic.params, images, axis_name=None)[0]))(images)
    slopes = np.linalg.norm(np.asarray(gradients).reshape(200, -1), axis=1)
    assert slopes.max() < 1 + 1e-3
    if network == 'mlp' and 'spectral' not in options.values():  # layers and activations that keep the norm of a gradient
        np.testing.assert_allclose(slopes, 1.0, rtol=1e-5)


@pytest.mark.parametrize(('side', 'stride', 'channels', 'filters'), [(4, 2, 2, 3), (4, 2, 1, 20), (3, 1, 2, 4), (5, 3, 1, 2)])
def test_an_orthogonal_convolution_stretches_no_image(side, stride, channels, filters):
    layer = Bounded(nn.Conv(filters, (side, side), strides=stride, padding='SAME', use_bias=False), 'orthogonal')
    image = jnp.zeros((1, 7, 7, channels))
    variables = layer.init(KEY, image, train=False)
    matrix = jax.jacobian(lambda image: layer.apply(variables, image, train=False).reshape(-1))(image).reshape(-1, image.size)
    largest = np.linalg.svd(np.asarray(matrix), compute_uv=False)[0]
    assert 0.5 < largest <= 1 + 1e-5


@pytest.mark.parametrize('shape', [(7, 3), (3, 7), (5, 5), (6, 1), (1, 6)])
@pytest.mark.parametrize('scale', [0.0, 1e-3, 1.0, 100.0])
def test_orthogonal_gives_orthonormal_rows_or_columns(double_precision, shape, scale):
    matrix = scale * jax.random.normal(KEY, shape)
    made = np.asarray(orthogonal(matrix))
    made = made if shape[0] >= shape[1] else made.T
    np.testing.assert_allclose(made.T @ made, np.eye(made.shape[1]), atol=1e-9)


def test_orthogonal_is_the_cayley_transform(double_precision):
    """Of a square matrix: (I + A)^-1 (I - A); its gradient is that of difference quotients."""
    matrix = np.random.default_rng(0).normal(size=(4, 4))
    skew = matrix - matrix.T
    expected = np.linalg.solve(np.eye(4) + skew, np.eye(4) - skew)
    np.testing.assert_allclose(orthogonal(jnp.asarray(matrix)), expected, atol=1e-12)
    tall = np.random.default_rng(1).normal(size=(5, 3))
    gradient = jax.grad(lambda x: jnp.sum(jnp.sin(3 * orthogonal(x))))(jnp.asarray(tall))
    for index in np.ndindex(tall.shape):
        step = np.zeros_like(tall)
        step[index] = 1e-6
        above, below = (np.sum(np.sin(3 * np.asarray(orthogonal(jnp.asarray(tall + sign * step))))) for sign in (1, -1))
        np.testing.assert_allclose(gradient[index], (above - below) / 2e-6, atol=1e-7)


def test_an_untrained_spectral_layer_is_bounded_and_follows_its_kernel():
    layer, inputs = Bounded(nn.Dense(5, use_bias=False), 'spectral'), jnp.eye(4)
    variables = layer.init(KEY, inputs, train=False)
    kernel = np.asarray(variables['params']['layer']['kernel'])
    largest = np.linalg.svd(kernel, compute_uv=False)[0]
    np.testing.assert_allclose(layer.apply(variables, inputs, train=False), kernel / largest, rtol=1e-5)
    doubled = {**variables, 'params': jax.tree.map(lambda w: 2 * w, variables['params'])}
    np.testing.assert_allclose(layer.apply(doubled, inputs, train=False), kernel / largest, rtol=1e-5)
    # In train mode the vectors move towards those of another kernel; otherwise nothing changes.
    other = {**variables, 'params': jax.tree.map(lambda w: w[::-1] ** 2, variables['params'])}
    for _ in range(30):
        outputs, changed = layer.apply(other, inputs, train=True, mutable=['batch_stats'])
        other |= changed
    np.testing.assert_allclose(np.linalg.svd(outputs, compute_uv=False)[0], 1.0, rtol=1e-4)
    _, changed = layer.apply(variables, inputs, train=False, mutable=['batch_stats'])
    jax.tree.map(np.testing.assert_array_equal, changed['batch_stats'], variables['batch_stats'])


def test_plain_weights_are_those_of_the_layer():
    inputs = jax.random.normal(KEY, (3, 4))
    variables = Bounded(nn.Dense(5), 'plain').init(KEY, inputs, train=True)
    assert list(variables) == ['params']
    outputs = Bounded(nn.Dense(5), 'plain').apply(variables, inputs, train=True)
    np.testing.assert_array_equal(outputs, nn.Dense(5).apply({'params': variables['params']['layer']}, inputs))


def test_group_sort_by_hand():
    x = jnp.array([[3.0, 1.0, -2.0, 5.0], [0.0, 0.0, 9.0, -9.0]])
    np.testing.assert_array_equal(group_sort(x, 2), [[1.0, 3.0, -2.0, 5.0], [0.0, 0.0, -9.0, 9.0]])
    np.testing.assert_array_equal(group_sort(x), [[-2.0, 1.0, 3.0, 5.0], [-9.0, 0.0, 0.0, 9.0]])
    np.testing.assert_array_equal(group_sort(x, 4), group_sort(x))
    with pytest.raises(ValueError, match='4 features cannot be sorted in groups of 3'):
        group_sort(x, 3)


@pytest.mark.parametrize('size', [1, 2, 3, 8, 31, 100])
def test_group_sort_is_a_sort_and_so_is_its_gradient(size):
    x, cotangent = np.random.default_rng(size).normal(size=(2, 3, 2, size)).astype(np.float32)
    sorted_x, pull = jax.vjp(lambda x: group_sort(x, size), jnp.asarray(x))
    np.testing.assert_array_equal(sorted_x, np.sort(x, axis=-1))
    gradient = np.empty_like(x)
    np.put_along_axis(gradient, np.argsort(x, axis=-1), cotangent, axis=-1)
    np.testing.assert_array_equal(pull(jnp.asarray(cotangent))[0], gradient)


@pytest.mark.parametrize('size', [2, 3, None])
def test_group_sort_keeps_the_norm_of_gradients(size):
    x, cotangent = np.random.default_rng(0).normal(size=(2, 5, 6)).astype(np.float32)
    _, pull = jax.vjp(lambda x: group_sort(x, size), jnp.asarray(x))
    (gradient,) = pull(jnp.asarray(cotangent))
    np.testing.assert_allclose(np.linalg.norm(gradient, axis=1), np.linalg.norm(cotangent, axis=1), rtol=1e-6)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            {**DCGAN, 'norm': 'batch', 'weights': 'spectral'},
            'config.critic.weights=spectral bounds slopes only without normalisatio',
        ),
        ({**MLP, 'norm': 'layer', 'weights': 'orthogonal'}, 'set config.critic.norm=none.'),
        ({**MLP, 'num_features': 3, 'activation': 'max_min'}, 'config.critic.num_features=3 must be even.'),
        (
            {'network': 'resnet', 'weights': 'spectral'},
            "config.critic.weights='spectral' does not apply to config.critic.network=resne",
        ),
    ],
)
def test_combinations_that_make_no_sense_are_refused(options, message):
    with pytest.raises(UserError) as caught:
        make_network('critic', (16, 16, 1), **options)
    assert message in str(caught.value)
