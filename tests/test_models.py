import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.errors import UserError
from wgan_jax.experiment import num_parameters
from wgan_jax.models import NETWORKS, layers, make_network


def initialise(network, inputs):
    return jax.jit(functools.partial(network.init, train=False))(jax.random.key(0), inputs)


@pytest.mark.parametrize(
    ('name', 'latent_dim', 'generator', 'generator_stats', 'critic', 'critic_stats'),
    [
        ('upsample_cnn', 100, 1_636_033, 2 * (128 + 64), 26_545, 2 * (16 + 32 + 64)),
        ('keras_cnn', 128, 902_082, 8_578, 4_305_409, 0),
    ],
)
def test_parameters_of_the_mnist_networks(name, latent_dim, generator, generator_stats, critic, critic_stats):
    def count(player, inputs):
        variables = jax.eval_shape(lambda: initialise(make_network(player, (28, 28, 1), name), inputs))
        return num_parameters(variables['params']), num_parameters(variables.get('batch_stats', {}))

    assert count('generator', jnp.zeros((1, latent_dim))) == (generator, generator_stats)
    assert count('critic', jnp.zeros((1, 28, 28, 1))) == (critic, critic_stats)


def test_parameters_of_an_mlp():
    variables = initialise(make_network('critic', (8, 8, 1), 'mlp', num_features=16, num_layers=2), jnp.zeros((1, 8, 8, 1)))
    assert num_parameters(variables['params']) == (64 * 16 + 16) + (16 * 16 + 16) + (16 + 1)


@pytest.mark.parametrize('shape', [(8, 8, 1), (12, 20, 3)])
@pytest.mark.parametrize('name', sorted(NETWORKS))
def test_images_have_the_shape_asked_for_and_lie_in_range(name, shape):
    generator = make_network('generator', shape, name, num_features=4)
    critic = make_network('critic', shape, name, num_features=4)
    latents = 100.0 * jax.random.normal(jax.random.key(1), (3, 5))
    variables = initialise(generator, latents)
    images, _ = jax.jit(functools.partial(generator.apply, train=True, mutable=['batch_stats']))(variables, latents)
    assert images.shape == (3, *shape)
    assert float(jnp.abs(images).max()) <= 1.0
    scores = jax.jit(functools.partial(critic.apply, train=False))(initialise(critic, images), images)
    assert scores.shape == (3,)
    assert len(np.unique(np.asarray(scores))) == 3  # each example has its own score


def test_dropout_acts_only_in_training():
    critic = make_network('critic', (8, 8, 1), 'keras_cnn', num_features=4)
    images = jax.random.normal(jax.random.key(0), (2, 8, 8, 1))
    variables = initialise(critic, images)

    apply = jax.jit(critic.apply, static_argnames='train')

    def scores(seed, train):
        return np.asarray(apply(variables, images, train=train, rngs={'dropout': jax.random.key(seed)}))

    np.testing.assert_array_equal(scores(0, train=False), scores(1, train=False))
    np.testing.assert_array_equal(scores(0, train=True), scores(0, train=True))
    assert np.abs(scores(0, train=True) - scores(1, train=True)).min() > 0


def test_bilinear_upsampling_keeps_corners_and_lines():
    """A plane is reproduced exactly: positions 0, 1/3, 2/3, 1 between two corners."""
    image = jnp.array([[0.0, 3.0], [6.0, 9.0]])[None, :, :, None]
    expected = np.arange(4)[None, :] + 2.0 * np.arange(4)[:, None]
    np.testing.assert_allclose(layers.upsample_bilinear(image)[0, :, :, 0], expected, rtol=1e-6)


def test_nearest_upsampling_repeats_pixels():
    image = jnp.array([[1.0, 2.0], [3.0, 4.0]])[None, :, :, None]
    expected = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    np.testing.assert_array_equal(layers.upsample_nearest(image)[0, :, :, 0], expected)


def test_layer_norm_is_per_example_over_all_pixels_and_channels():
    critic = make_network('critic', (8, 8, 1), 'upsample_cnn', num_features=2, norm='layer')
    images = jax.random.normal(jax.random.key(0), (3, 8, 8, 1))
    variables = initialise(critic, images)
    assert 'batch_stats' not in variables
    alone = critic.apply(variables, images[:1], train=True)
    np.testing.assert_allclose(critic.apply(variables, images, train=True)[:1], alone, rtol=1e-5)


def test_torch_uniform_fills_its_interval():
    values = layers.torch_uniform(25)(jax.random.key(0), (100, 100))
    np.testing.assert_allclose([values.min(), values.max()], [-0.2, 0.2], rtol=1e-2)
    np.testing.assert_allclose(values.std(), 0.2 / np.sqrt(3), rtol=2e-2)


def test_unknown_networks_and_options_are_named():
    with pytest.raises(UserError, match=r"config\.critic\.network='vgg' is unknown; known networks: keras_cnn, mlp, upsample_cnn"):
        make_network('critic', (8, 8, 1), 'vgg')
    with pytest.raises(UserError, match=r"config\.critic\.norm='batch' does not apply: the keras_cnn critic has only num_features"):
        make_network('critic', (8, 8, 1), 'keras_cnn', norm='batch', num_features=None)


def test_a_size_the_network_cannot_make_is_refused():
    with pytest.raises(ValueError, match='multiples of 4, not 10x10'):
        initialise(make_network('generator', (10, 10, 1), 'upsample_cnn'), jnp.zeros((1, 3)))
