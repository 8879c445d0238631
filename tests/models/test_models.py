import functools
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.algorithm.state import num_parameters
from wgan_jax.errors import UserError
from wgan_jax.models import NETWORKS, layers, make_network


def initialise(network, inputs):
    return jax.jit(functools.partial(network.init, train=False))(jax.random.key(0), inputs)


def count(player, inputs, shape, name, **options):
    variables = jax.eval_shape(lambda: initialise(make_network(player, shape, name, **options), inputs))
    return num_parameters(variables['params']), num_parameters(variables.get('batch_stats', {}))


@pytest.mark.parametrize(
    ('name', 'latent_dim', 'generator', 'generator_stats', 'critic', 'critic_stats'),
    [
        ('upsample_cnn', 100, 1_636_033, 2 * (128 + 64), 26_545, 2 * (16 + 32 + 64)),
        ('keras_cnn', 128, 902_082, 8_578, 4_305_409, 0),
    ],
)
def test_parameters_of_the_mnist_networks(name, latent_dim, generator, generator_stats, critic, critic_stats):
    assert count('generator', jnp.zeros((1, latent_dim)), (28, 28, 1), name) == (generator, generator_stats)
    assert count('critic', jnp.zeros((1, 28, 28, 1)), (28, 28, 1), name) == (critic, critic_stats)


@pytest.mark.parametrize('side', [32, 64, 128])
def test_parameters_of_dcgan(side):
    """4x4 convolutions, and a scale and a shift per normalised filter."""
    widths = {32: [64, 128, 256], 64: [64, 128, 256, 512], 128: [64, 128, 256, 512, 1024]}[side]
    steps = sum(16 * narrow * wide for narrow, wide in itertools.pairwise(widths))
    critic = 16 * 3 * 64 + steps + 2 * sum(widths[1:]) + 16 * widths[-1]
    generator = 16 * 100 * widths[-1] + steps + 2 * sum(widths) + 16 * 64 * 3
    assert side != 64 or (critic, generator) == (2_765_568, 3_576_704)  # PyTorch's own count of the authors' networks
    shape = (side, side, 3)
    assert count('critic', jnp.zeros((1, *shape)), shape, 'dcgan') == (critic, 2 * sum(widths[1:]))
    assert count('generator', jnp.zeros((1, 100)), shape, 'dcgan') == (generator, 2 * sum(widths))


def test_options_change_the_parameters():
    shape = (32, 32, 1)
    images, latents = jnp.zeros((1, *shape)), jnp.zeros((1, 7))
    options = {'num_features': 4, 'constant_width': True}
    critic = 16 * 4 + 2 * (16 * 4 * 4) + 16 * 4
    biases = 3 * 4 + 1  # without batch norm
    assert count('critic', images, shape, 'dcgan', norm='batch', **options) == (critic + 2 * 8, 2 * 8)
    assert count('critic', images, shape, 'dcgan', norm='none', **options) == (critic + biases, 0)
    assert count('critic', images, shape, 'dcgan', norm='layer', **options) == (critic + biases + 2 * 8, 0)
    extra = {'norm': 'none', 'num_extra_layers': 2}
    assert count('critic', images, shape, 'dcgan', **extra, **options) == (critic + biases + 2 * (9 * 16 + 4), 0)
    generator = 16 * 7 * 4 + 2 * (16 * 4 * 4) + 16 * 4
    assert count('generator', latents, shape, 'dcgan', norm='none', **options) == (generator, 0)
    generator += 24 + 2 * (9 * 16 + 8)
    assert count('generator', latents, shape, 'dcgan', num_extra_layers=2, **options) == (generator, 40)
    mlp = (1024 * 16 + 16) + (16 * 16 + 16) + (16 + 1)
    assert count('critic', images, shape, 'mlp', num_features=16, num_layers=2) == (mlp, 0)


@pytest.mark.parametrize('side', [32, 64, 128])
def test_parameters_of_resnet(side):
    """Each block has two 3x3 convolutions, the second with bias, a 1x1 shortcut with bias, and two norms."""
    widths = {32: [64, 128, 256, 512], 64: [64, 128, 256, 512, 512], 128: [64, 128, 256, 512, 512, 512]}[side]
    critic = 9 * 3 * 64 + 64
    generator = 128 * 16 * 512 + 16 * 512
    stats = 2 * 64
    for narrow, wide in itertools.pairwise(widths):
        common = 9 * narrow * wide + narrow * wide
        critic += common + 9 * narrow * narrow + 2 * wide + 2 * (narrow + narrow)
        generator += common + 9 * narrow * narrow + 2 * narrow + 2 * (wide + narrow)
        stats += 2 * (wide + narrow)
    critic += 16 * 512 + 1
    generator += 2 * 64 + 9 * 64 * 3 + 3
    assert side != 64 or (critic, generator) == (7_491_841, 8_540_483)
    shape = (side, side, 3)
    assert count('critic', jnp.zeros((1, *shape)), shape, 'resnet') == (critic, 0)
    assert count('generator', jnp.zeros((1, 128)), shape, 'resnet') == (generator, stats)


@pytest.mark.parametrize('name', ['dcgan', 'resnet'])
@pytest.mark.parametrize(('side', 'channels'), [(16, 1), (16, 4), (32, 3), (64, 3), (128, 3), (256, 3)])
def test_sides_from_16_to_256_with_any_channels(side, channels, name):
    shape = (side, side, channels)
    generator = make_network('generator', shape, name, num_features=2)
    critic = make_network('critic', shape, name, num_features=2)
    images = jax.eval_shape(lambda: generator.init_with_output(jax.random.key(0), jnp.zeros((3, 5)), train=False)[0])
    assert images.shape == (3, *shape)
    scores = jax.eval_shape(lambda x: critic.init_with_output(jax.random.key(0), x, train=False)[0], images)
    assert scores.shape == (3,)


@pytest.mark.parametrize('shape', [(8, 8, 1), (48, 48, 3), (512, 512, 3), (32, 64, 3), (2,)])
@pytest.mark.parametrize('name', ['dcgan', 'resnet'])
def test_other_sides_are_refused_by_dcgan_and_resnet(name, shape):
    for player, inputs in (('generator', jnp.zeros((1, 3))), ('critic', jnp.zeros((1, *shape)))):
        with pytest.raises(ValueError, match=f'^{name} takes square images with a side of 16, 32, 64, 128 or 256'):
            make_network(player, shape, name, num_features=2).init(jax.random.key(0), inputs, train=False)


SHAPES = {name: [(8, 8, 1), (12, 20, 3)] for name in NETWORKS} | {'dcgan': [(16, 16, 1)], 'resnet': [(16, 16, 3)]}


@pytest.mark.parametrize(
    ('name', 'shape'),
    [
        pytest.param(name, shape, marks=pytest.mark.slow if name == 'resnet' or shape == (12, 20, 3) else ())
        for name in sorted(NETWORKS)
        for shape in SHAPES[name]
    ],
)
def test_images_have_the_shape_asked_for_and_lie_in_range(name, shape):
    generator = make_network('generator', shape, name, num_features=4)
    critic = make_network('critic', shape, name, num_features=4)

    @jax.jit
    def initialise_and_apply(key, latents_key):
        latents = 100.0 * jax.random.normal(latents_key, (3, 5))
        variables = generator.init(key, latents, train=False)
        images, _ = generator.apply(variables, latents, train=True, mutable=['batch_stats'])
        return images, critic.apply(critic.init(key, images, train=False), images, train=False)

    images, scores = initialise_and_apply(jax.random.key(0), jax.random.key(1))
    assert images.shape == (3, *shape)
    assert float(jnp.abs(images).max()) <= 1.0
    assert scores.shape == (3,)
    assert len(np.unique(np.asarray(scores))) == 3  # each example has its own score


def test_upsampling():
    """Bilinear upsampling reproduces a plane: positions 0, 1/3, 2/3, 1 between two corners."""
    image = jnp.array([[0.0, 3.0], [6.0, 9.0]])[None, :, :, None]
    expected = np.arange(4)[None, :] + 2.0 * np.arange(4)[:, None]
    np.testing.assert_allclose(layers.upsample_bilinear(image)[0, :, :, 0], expected, rtol=1e-6)
    expected = [[0, 0, 3, 3], [0, 0, 3, 3], [6, 6, 9, 9], [6, 6, 9, 9]]
    np.testing.assert_array_equal(layers.upsample_nearest(image)[0, :, :, 0], expected)


def test_pools_take_the_largest_and_the_mean_of_four():
    image = jnp.array([[1.0, 5.0, -1.0, -2.0], [2.0, 4.0, -3.0, -6.0]])[None, :, :, None]
    np.testing.assert_array_equal(layers.max_pool(image)[0, 0, :, 0], [5, -1])
    np.testing.assert_array_equal(layers.max_pool(image[:, :, :3])[0, :, :, 0], [[5]])  # as PyTorch does
    np.testing.assert_array_equal(layers.mean_pool(image)[0, 0, :, 0], [3, -3])
    slopes = jax.grad(lambda x: jnp.sum(layers.max_pool(x)))(image)[0, :, :, 0]
    np.testing.assert_array_equal(slopes, [[0, 1, 1, 0], [0, 0, 0, 0]])
    assert jnp.isnan(layers.max_pool(image.at[0, 1, 1, 0].set(jnp.nan))).tolist() == [[[[True], [False]]]]


def test_a_critic_with_layer_norm_scores_each_example_alone():
    critic = make_network('critic', (8, 8, 1), 'upsample_cnn', num_features=2, norm='layer')
    images = jax.random.normal(jax.random.key(0), (3, 8, 8, 1))
    variables = initialise(critic, images)
    assert 'batch_stats' not in variables
    apply = jax.jit(functools.partial(critic.apply, train=True))
    np.testing.assert_allclose(apply(variables, images)[:1], apply(variables, images[:1]), rtol=1e-4)


@pytest.mark.parametrize('name', [pytest.param(name, marks=pytest.mark.slow if name != 'mlp' else ()) for name in NETWORKS])
def test_bfloat16_is_for_the_computation_and_the_rest_stays_float32(name):
    images, latents = (jax.random.normal(jax.random.key(i), shape) for i, shape in enumerate([(4, 16, 16, 1), (4, 8)]))
    for player, inputs in (('generator', latents), ('critic', images)):
        coarse, fine = (make_network(player, (16, 16, 1), name, dtype=dtype) for dtype in (jnp.bfloat16, None))
        variables = initialise(coarse, inputs)
        assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype('float32')}
        outputs, expected = (
            jax.jit(functools.partial(network.apply, train=False))(variables, inputs) for network in (coarse, fine)
        )
        assert outputs.dtype == expected.dtype == jnp.float32
        assert 0 < jnp.abs(outputs - expected).max() < 0.05 * jnp.abs(expected).max()
        apply = functools.partial(coarse.apply, train=True, mutable=['batch_stats'], rngs={'dropout': jax.random.key(2)})
        (_, changed), jaxpr = jax.eval_shape(apply, variables, inputs), str(jax.make_jaxpr(apply)(variables, inputs))
        assert {leaf.dtype for leaf in jax.tree.leaves(changed)} <= {jnp.dtype('float32')}
        lines = [line for line in jaxpr.splitlines() if re.search(r'= (dot_general|conv_general_dilated)\[', line)]
        assert len(lines) > 1
        assert sum(':bf16[' not in line for line in lines) == (player == 'critic')  # the last layer, which makes the scores


@pytest.mark.slow
@pytest.mark.parametrize('player', ['critic', 'generator'])
@pytest.mark.parametrize('name', NETWORKS)
def test_bfloat16_changes_no_gradient_by_more_than_its_rounding(name, player):
    options = {'norm': 'none'} if player == 'critic' and name in ('dcgan', 'upsample_cnn') else {}
    inputs = jax.random.normal(jax.random.key(1), (128, 16, 16, 3) if player == 'critic' else (128, 32))

    def gradients(dtype):
        network = make_network(player, (16, 16, 3), name, num_features=16, dtype=dtype, **options)
        variables = initialise(network, inputs)

        def loss(params):
            return jnp.mean(network.apply({**variables, 'params': params}, inputs, train=False))

        return jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(loss))(variables['params']))

    for (path, fine), (_, coarse) in zip(gradients(None), gradients(jnp.bfloat16), strict=True):
        assert jnp.linalg.norm(coarse - fine) < 0.15 * jnp.linalg.norm(fine), path


def test_unknown_networks_and_options_and_impossible_sizes_are_refused():
    with pytest.raises(UserError, match=r"config\.critic\.network='vgg' is unknown; known networks: dcgan, keras_cnn, mlp"):
        make_network('critic', (8, 8, 1), 'vgg')
    with pytest.raises(UserError, match=r"norm='batch' does not apply to config\.critic\.network=keras_cnn, which has only num_f"):
        make_network('critic', (8, 8, 1), 'keras_cnn', norm='batch', num_features=None)
    with pytest.raises(ValueError, match='multiples of 4, not 10x10'):
        initialise(make_network('generator', (10, 10, 1), 'upsample_cnn'), jnp.zeros((1, 3)))
