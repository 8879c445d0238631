import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.conftest import TinyCritic, in_float64
from tests.metrics.critic.test_estimates import KEY, make_state
from wgan_jax.algorithm.state import apply
from wgan_jax.metrics.critic.layers import layer_names, pull_back, spectral_norm
from wgan_jax.models import make_network

# name: side, enough channels to solve for the gradient at each place, (kernel, stride, padding) of the first layer, layers
CRITICS = {
    'dcgan': (16, 6, (4, 2, 1), ['Dense_0', 'Conv_1', 'Conv_0']),
    'keras_cnn': (8, 2, (5, 2, None), ['Dense_0', 'Conv_3', 'Conv_2', 'Conv_1', 'Conv_0']),
    'mlp': (4, 1, None, ['Dense_3', 'Dense_2', 'Dense_1', 'Dense_0']),
    'resnet': (16, 40, (3, 1, 1), ['Dense_0', 'Conv_6', 'Conv_5', 'Conv_4', 'Conv_3', 'Conv_2', 'Conv_1', 'Conv_0']),
    'upsample_cnn': (8, 10, (3, 1, 1), ['Dense_0', 'Conv_2', 'Conv_1', 'Conv_0']),
}


def critic_of(name, shape, num_features, **options):
    critic = make_network('critic', shape, name, num_features=num_features, **options)
    return in_float64(make_state(critic, make_network('generator', shape, 'mlp', num_features=1))).critic


@pytest.mark.parametrize('shape', [(3, 3, 4, 6), (2, 2, 3, 17), (5, 1)])
def test_spectral_norm_is_the_largest_singular_value(shape):
    kernel = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = np.linalg.svd(kernel.reshape(-1, shape[-1]), compute_uv=False)[0]
    np.testing.assert_allclose(spectral_norm(jnp.asarray(kernel)), expected, rtol=1e-5)


def mlp_by_hand(params, images, *added):
    """Scores [B] of three layers with something added to each output."""
    x = images.reshape(len(images), -1)
    for i, extra in enumerate(added):
        x = np.maximum(x, 0.0) if i else x
        x = x @ np.asarray(params[f'Dense_{i}']['kernel']) + np.asarray(params[f'Dense_{i}']['bias'])[None] + extra
    return x[:, 0]


def test_norms_are_those_of_difference_quotients(double_precision):
    rng, step = np.random.default_rng(0), 1e-6
    critic = critic_of('mlp', (2, 2, 1), 5, num_layers=2)
    images, cotangents = rng.normal(size=(4, 2, 2, 1)), rng.normal(size=4)
    points = [images.reshape(4, 4), np.zeros((4, 5)), np.zeros((4, 5)), np.zeros((4, 1))]
    expected = []
    for point in reversed(points):  # from the output to the images
        gradient = np.empty_like(point)
        for index in np.ndindex(point.shape):
            values, middle = [], point[index]
            for point[index] in (middle - step, middle + step):
                values.append(np.sum(cotangents * mlp_by_hand(critic.params, *points)))
            point[index] = middle
            gradient[index] = (values[1] - values[0]) / (2 * step)
        expected.append(np.linalg.norm(gradient, axis=1))
    found = jax.jit(pull_back)(critic, jnp.asarray(images)[None], jax.random.split(KEY, 1), jnp.asarray(cotangents)[None])
    assert min(np.unique(norms).size for norms in expected) > 1
    np.testing.assert_allclose(found[0], np.stack(expected, axis=1), rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize('name', sorted(CRITICS))
def test_norms_at_the_ends_of_every_critic(double_precision, name):
    """At the last layer, the cotangent; at the first, the solution for the gradient of its kernel; and at the image."""
    side, channels, window, names = CRITICS[name]
    critic = critic_of(name, (side, side, channels), 2)
    image, keys = jnp.asarray(np.random.default_rng(1).uniform(-1, 1, (1, side, side, channels))), jax.random.split(KEY, 1)

    def score(params, image):
        return apply(critic, params, image, axis_name=None, dropout_key=keys[0])[0][0]

    of_params, of_image = jax.jit(jax.grad(score, argnums=(0, 1)))(critic.params, image)
    kernel = np.asarray(of_params[names[-1]]['kernel'])
    if window is None:
        patches, kernel = image.reshape(1, -1), kernel.reshape(-1, kernel.shape[-1])
    else:
        size, stride, padding = window
        inputs = (image + 1) / 2 if name == 'upsample_cnn' else image
        around = 'SAME' if padding is None else [(padding, padding)] * 2
        layout = ('NHWC', 'HWIO', 'NHWC')
        patches = lax.conv_general_dilated_patches(inputs, (size, size), (stride, stride), around, dimension_numbers=layout)
        patches, kernel = patches.reshape(-1, patches.shape[-1]), kernel.transpose(2, 0, 1, 3).reshape(-1, kernel.shape[-1])
    assert np.linalg.matrix_rank(patches) == len(patches)  # so there is one solution
    at_first = np.linalg.lstsq(np.asarray(patches).T, kernel)[0]
    found = np.asarray(jax.jit(lambda image: pull_back(critic, image[None], keys, jnp.full((1, 1), 3.0)))(image))[0, 0]
    assert layer_names(critic, image.shape[1:]) == names
    assert found.shape == (len(names) + 1,)
    assert (found > 0).all()
    expected = [3.0, 3.0 * np.linalg.norm(at_first), 3.0 * np.linalg.norm(of_image)]
    np.testing.assert_allclose(found[[0, -2, -1]], expected, rtol=1e-7)


def test_passes_and_examples_are_independent(double_precision):
    critic = in_float64(make_state(TinyCritic())).critic
    images = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (2, 3, 4, 4, 1)))
    cotangents = jnp.arange(6.0).reshape(2, 3)
    norms = jax.jit(pull_back)
    together = norms(critic, images, jax.random.split(KEY, 2), cotangents)
    np.testing.assert_allclose(together[:, :, 0], cotangents)
    for i, j in np.ndindex(2, 3):
        alone = norms(critic, images[i : i + 1, j : j + 1], jax.random.split(KEY, 1), cotangents[i : i + 1, j : j + 1])
        np.testing.assert_allclose(alone[0, 0], together[i, j], rtol=1e-12)
