"""The Inception network against torch-fidelity's on the same weights; make_inception_fixture.py writes the expected outputs."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.reference import inception_cases as cases
from wgan_jax.errors import UserError
from wgan_jax.metrics.features import inception, inception_weights
from wgan_jax.metrics.features.inception import Inception, resize

# Of the largest value in a layer. The features are within 5e-6 of PyTorch's, whose float32 and float64 differ by up to 3e-5.
TOLERANCE = 3e-5
IMAGES = cases.images()


@pytest.fixture(scope='module')
def expected():
    with np.load(cases.FIXTURE, allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope='module')
def arrays(expected):
    """The state dict, in PyTorch's names and layout."""
    shapes = {name: tuple(map(int, shape)) for name, *shape in map(str.split, expected['names'].tolist())}
    arrays = cases.weights(shapes) | cases.statistics(shapes, expected['statistics'])
    assert cases.checksum(arrays) == expected['checksum'], 'this numpy draws other weights: run make_inception_fixture.py'
    return arrays


@jax.jit
def outputs(variables, resized):
    """The taps; the means of each block's channels and a sample of each convolution's values, by PyTorch's names."""
    taps, state = Inception().apply(variables, resized, capture_intermediates=True, mutable=['intermediates'])
    means, samples = {}, {}

    def walk(tree, path):
        for name, value in tree.items():
            if name != '__call__':
                walk(value, (*path, name))
            elif path not in ((), ('fc',)):
                value = jax.nn.relu(value[0])  # flax.linen.Conv has none; a block's output is not negative
                if len(path) == 1:
                    means[path[0]] = value.mean(axis=(1, 2))
                if len(path) == 2 or path[0].startswith('Conv'):
                    samples['.'.join(path)] = cases.sample(value)

    walk(state['intermediates'], ())
    return taps, means, samples


def close(actual, desired, name, tolerance=TOLERANCE):
    np.testing.assert_allclose(actual, desired, rtol=0, atol=tolerance * np.abs(desired).max(), err_msg=name)


def check(expected, arrays, number):
    resized = resize(jnp.asarray(IMAGES[number]))
    taps, means, samples = outputs(inception_weights.convert(arrays), resized)
    assert len(samples) == 94
    assert len(means) == 16
    for i, name in enumerate(sorted(samples)):
        close(samples[name], expected['samples'][number : number + 1, i], name)
    for name, mean in means.items():
        close(mean, expected[f'mean/{name}'][number : number + 1], name)
    assert sorted(taps) == sorted(cases.TAPS)
    for name in cases.TAPS:
        close(taps[name], expected[f'tap/{name}'][number : number + 1], name)


def test_every_layer_agrees_with_torch_fidelity(expected, arrays):
    check(expected, arrays, 1)


@pytest.mark.slow
@pytest.mark.parametrize('number', [0, 2])
def test_every_layer_agrees_with_torch_fidelity_for_other_images(expected, arrays, number):
    check(expected, arrays, number)


@pytest.mark.parametrize('number', range(3))
def test_resizing_agrees_with_torch_fidelity(expected, number):
    """To a few units in the last place of a pixel in 0..255."""
    resized = np.asarray(resize(jnp.asarray(IMAGES[number])))
    assert resized.dtype == np.float32
    one = np.s_[number : number + 1]
    np.testing.assert_allclose(resized[cases.CROP], expected['resized/crop'][one], rtol=0, atol=1e-6)
    np.testing.assert_allclose(resized.mean(axis=2), expected['resized/rows'][one], rtol=0, atol=2e-6)
    np.testing.assert_allclose(resized.mean(axis=1), expected['resized/columns'][one], rtol=0, atol=2e-6)


def test_resizing_by_hand():
    """Position i * 2 / 299 in a row of two pixels: interpolated between them, constant beyond the last."""
    image = jnp.array([[0.0, 128.0]]).reshape(1, 1, 2, 1)
    resized = np.asarray(resize(image))
    assert resized.shape == (1, 299, 299, 3)
    row = np.minimum(np.arange(299) * 2 / 299, 1.0) - 1.0
    np.testing.assert_allclose(resized, np.broadcast_to(row[None, None, :, None], resized.shape), rtol=0, atol=1e-6)


def test_an_image_of_the_right_size_is_only_scaled():
    image = np.random.default_rng(0).integers(0, 256, (1, 299, 299, 3), np.uint8)
    np.testing.assert_array_equal(resize(jnp.asarray(image)), (image - np.float32(128)) / np.float32(128))


def test_grey_is_repeated_to_three_channels_and_other_numbers_of_channels_are_refused():
    grey = IMAGES[1][..., :1]
    np.testing.assert_array_equal(resize(jnp.asarray(grey)), resize(jnp.asarray(np.repeat(grey, 3, axis=3))))
    with pytest.raises(UserError, match='1 or 3 channels, not 2'):
        resize(jnp.zeros((1, 8, 8, 2)))


class Means(nn.Module):
    """In place of the network: the taps are the means of the channels, and those times a parameter."""

    @nn.compact
    def __call__(self, x):
        means = x.mean(axis=(1, 2))
        return {'2048': means, 'logits_unbiased': self.param('scale', nn.initializers.ones, ()) * means, 'logits': means + 1}


def load(monkeypatch, tmp_path, arrays):
    monkeypatch.setattr(inception_weights, 'read', lambda path: {tmp_path / 'given': arrays}[path])
    return inception.inception(tmp_path / 'given', batch_size=2)


def test_the_feature_network_gives_pool_3_and_logits_without_bias(monkeypatch, tmp_path):
    monkeypatch.setattr(inception, 'Inception', Means)
    monkeypatch.setattr(inception_weights, 'convert', lambda arrays: {'params': {'scale': np.float32(3)}})
    network = load(monkeypatch, tmp_path, {})
    features, logits = network.apply(np.concatenate([IMAGES[1]] * 3))  # the second batch has one image
    means = np.asarray(resize(jnp.asarray(IMAGES[1]))).mean(axis=(1, 2))
    np.testing.assert_allclose(features, means.repeat(3, axis=0), rtol=1e-4)
    np.testing.assert_allclose(logits, 3 * features, rtol=1e-6)
    assert (network.name, network.image_shape) == ('inception', None)
    assert network.weights_sha256 == inception_weights.SHA256


@pytest.mark.slow
def test_the_whole_feature_network_agrees_with_torch_fidelity(expected, arrays, monkeypatch, tmp_path):
    network = load(monkeypatch, tmp_path, arrays)
    features, logits = network.apply(IMAGES[1])
    assert features.shape == (1, network.num_features)
    assert logits.shape == (1, network.num_classes)
    close(features, expected['tap/2048'][1:2], 'features')
    close(logits, expected['tap/logits_unbiased'][1:2], 'logits')
