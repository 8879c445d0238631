import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.test_models import initialise
from wgan_jax.models import make_network


def test_dcgan_normalises_before_or_after_the_activation():
    """The statistics of the first batch norm: those of activated values are positive where LeakyReLU has slope 1."""
    images = jax.random.normal(jax.random.key(1), (8, 16, 16, 1))
    means = {}
    for after in (False, True):
        network = make_network('critic', (16, 16, 1), 'dcgan', num_features=4, norm_after_activation=after)
        variables = initialise(network, images)
        _, updated = network.apply(variables, images, train=True, mutable=['batch_stats'])
        means[after] = np.asarray(updated['batch_stats']['BatchNorm_0']['mean'])
        kernel = variables['params']['Conv_1']['kernel']
        before = nn.leaky_relu(plain_convolution(images, variables['params']['Conv_0']['kernel'], 2), 0.2)
        expected = plain_convolution(before, kernel, 2)
        expected = nn.leaky_relu(expected, 0.2) if after else expected
        np.testing.assert_allclose(means[after], 0.1 * np.mean(expected, axis=(0, 1, 2)), rtol=1e-3, atol=1e-6)
    assert (means[True] > means[False]).all()


@pytest.mark.parametrize('after', [False, True])
def test_the_generator_normalises_before_or_after_the_activation(after):
    latents = jax.random.normal(jax.random.key(1), (8, 3))
    network = make_network('generator', (16, 16, 1), 'dcgan', num_features=4, norm_after_activation=after)
    variables = initialise(network, latents)
    _, updated = network.apply(variables, latents, train=True, mutable=['batch_stats'])
    # Of one pixel, a transposed convolution makes its kernel times the pixel.
    expected = np.einsum('bi,hwio->bhwo', latents, variables['params']['TransposedConv_0']['kernel'])
    expected = np.maximum(expected, 0.0) if after else expected
    mean = updated['batch_stats']['BatchNorm_0']['mean']
    np.testing.assert_allclose(mean, 0.1 * expected.mean(axis=(0, 1, 2)), rtol=1e-3, atol=1e-6)


def plain_convolution(x, kernel, stride):
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), [(1, 1)] * 2, dimension_numbers=('NHWC', 'HWIO', 'NHWC'))


def test_extra_layers_of_dcgan_may_be_transposed_convolutions():
    """A transposed convolution with stride 1 is the ordinary one with the kernel turned by 180 degrees."""
    options = {'num_features': 4, 'num_extra_layers': 1, 'norm': 'none'}
    latents = jax.random.normal(jax.random.key(1), (2, 3))
    plain, transposed = (
        make_network('generator', (16, 16, 1), 'dcgan', transposed_extra_layers=t, **options) for t in (False, True)
    )
    params = initialise(plain, latents)['params']
    turned = {name: params[name] for name in ('TransposedConv_0', 'TransposedConv_1')}
    turned |= {
        'TransposedConv_2': {'kernel': params['Conv_0']['kernel'][::-1, ::-1]},
        'TransposedConv_3': params['TransposedConv_2'],
    }
    expected = plain.apply({'params': params}, latents, train=True)
    np.testing.assert_allclose(transposed.apply({'params': turned}, latents, train=True), expected, atol=1e-6)


@pytest.mark.parametrize('norm', ['none', 'layer'])
@pytest.mark.parametrize('name', ['dcgan', 'upsample_cnn'])
def test_a_critic_without_batch_norm_is_not_blind_to_contrast(name, norm):
    """Without biases, f(a x) = a f(x), or with layer norm f(a x) = f(x): no weights could tell x from both x / 2 and 3 x / 2."""
    critic = make_network('critic', (16, 16, 1), name, num_features=4, norm=norm)
    image = jax.random.uniform(jax.random.key(0), (1, 16, 16, 1))
    zero = 0.0 if name == 'dcgan' else -1.0  # what the first layer sees as 0: grey, or black
    images = zero + jnp.array([0.5, 1.0, 1.5])[:, None, None, None] * image
    random = np.random.default_rng(0)

    def changed(path, leaf):  # large enough for the epsilon of layer norm not to matter
        return leaf + random.normal(size=leaf.shape).astype('f4') if path[-1].key == 'bias' else 20 * leaf

    params = jax.tree_util.tree_map_with_path(changed, initialise(critic, images)['params'])
    darker, same, lighter = critic.apply({'params': params}, images, train=False)
    assert abs(same - (darker + lighter) / 2) > 1e-3 * abs(same)
    assert abs(same - darker) > 1e-2 * abs(same)


@pytest.mark.parametrize(('name', 'sees'), [('dcgan', False), ('upsample_cnn', False), ('resnet', True)])
def test_a_critic_with_batch_norm_does_not_see_the_contrast_of_a_whole_batch(name, sees):
    """Unless there are biases before the norm, as in the ResNet; said in DCGANCritic and in docs/troubleshooting.md."""
    critic = make_network('critic', (16, 16, 1), name, num_features=4, norm='batch')
    zero = 0.0 if name == 'dcgan' else -1.0  # what the first layer sees as 0: grey, or black
    differences = jax.random.uniform(jax.random.key(0), (8, 16, 16, 1))
    # Biases that are not 0, and kernels so large that the epsilon of the norm does not matter.
    variables = jax.tree.map(lambda leaf: leaf + 0.5 if leaf.ndim == 1 else 10 * leaf, initialise(critic, differences))
    of_contrast = [
        critic.apply(variables, zero + contrast * differences, train=True, mutable=['batch_stats'])[0] for contrast in (1.0, 3.0)
    ]
    changed = jnp.abs(of_contrast[1] - of_contrast[0]).max() / of_contrast[0].std()
    assert changed > 0.1 if sees else changed < 0.02
