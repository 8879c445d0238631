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
    """Features and logits; the means of each block's channels and a sample of each convolution's values, by PyTorch's names."""
    results, state = Inception().apply(variables, resized, capture_intermediates=True, mutable=['intermediates'])
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
    return results, means, samples


def close(actual, desired, name):
    np.testing.assert_allclose(actual, desired, rtol=0, atol=TOLERANCE * np.abs(desired).max(), err_msg=name)


@pytest.mark.parametrize('number', [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(2, marks=pytest.mark.slow)])
def test_every_layer_agrees_with_torch_fidelity(expected, arrays, number):
    resized = resize(jnp.asarray(IMAGES[number]))
    results, means, samples = outputs(inception_weights.convert(arrays), resized)
    assert len(samples) == 94
    assert len(means) == 16
    for i, name in enumerate(sorted(samples)):
        close(samples[name], expected['samples'][number : number + 1, i], name)
    for name, mean in means.items():
        close(mean, expected[f'mean/{name}'][number : number + 1], name)
    for result, name in zip(results, ('2048', 'logits_unbiased'), strict=True):
        close(result, expected[f'tap/{name}'][number : number + 1], name)


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


def test_other_numbers_of_channels_are_refused():
    with pytest.raises(UserError, match='1 or 3 channels, not 2'):
        resize(jnp.zeros((1, 8, 8, 2)))


class Means(nn.Module):
    """A stand-in for the network: its features are the means of the channels."""

    @nn.compact
    def __call__(self, x):
        means = x.mean(axis=(1, 2))
        return means, self.param('scale', nn.initializers.ones, ()) * means


def test_the_feature_network_applies_the_weights_to_resized_images(monkeypatch, tmp_path):
    monkeypatch.setattr(inception, 'Inception', Means)
    monkeypatch.setattr(inception, '_BATCH', 2)
    monkeypatch.setattr(inception_weights, 'convert', lambda arrays: {'params': {'scale': np.float32(3)}})
    monkeypatch.setattr(inception_weights, 'read', lambda path: {tmp_path / 'given': {}}[path])
    network = inception.inception(tmp_path / 'given')
    features, logits = network.apply(np.concatenate([IMAGES[1]] * 3))  # the second batch has one image
    means = np.asarray(resize(jnp.asarray(IMAGES[1]))).mean(axis=(1, 2))
    np.testing.assert_allclose(features, means.repeat(3, axis=0), rtol=1e-4)
    np.testing.assert_allclose(logits, 3 * features, rtol=1e-6)
    assert (network.name, network.image_shape, network.num_features, network.num_classes) == ('inception', None, 2048, 1008)
    assert network.weights_sha256 == inception_weights.SHA256
    with pytest.raises(ValueError, match='must be uint8 images'):
        network.apply(IMAGES[1][:0])


KERNEL = np.arange(12, dtype=np.float32).reshape(2, 1, 2, 3)
OF_NORM = {'weight': [2.0, 3.0], 'bias': [0.5, -1.0], 'running_mean': [1.0, -2.0], 'running_var': [0.249, 3.999]}
ARRAYS = {
    'A.b.conv.weight': KERNEL,
    **{f'A.b.bn.{name}': np.float32(values) for name, values in OF_NORM.items()},
    'A.b.bn.num_batches_tracked': np.int64(3),
    'fc.weight': np.float32([[1, 2, 3], [4, 5, 6]]),
    'fc.bias': np.float32([7, 8]),
}


def test_batch_norm_is_merged_into_the_convolution():
    """By hand: y = scale (w x - mean) / sqrt(var + 1e-3) + shift, one channel in, two out, and the axes of the kernel."""
    params = inception_weights.convert(ARRAYS)['params']
    scale = np.array([2 / 0.5, 3 / 2])
    np.testing.assert_allclose(params['A']['b']['kernel'][1, 2, 0], KERNEL[:, 0, 1, 2] * scale, rtol=1e-6)
    np.testing.assert_allclose(params['A']['b']['bias'], [0.5 - 4.0, -1.0 + 3.0], rtol=1e-6)
    np.testing.assert_array_equal(params['fc']['kernel'], [[1, 4], [2, 5], [3, 6]])


def test_weights_of_another_network_are_refused():
    with pytest.raises(ValueError, match=r'lack A\.b\.bn\.running_var'):
        inception_weights.convert({name: values for name, values in ARRAYS.items() if name != 'A.b.bn.running_var'})
    with pytest.raises(ValueError, match=r'unknown layers: AuxLogits\.fc\.weight'):
        inception_weights.convert(ARRAYS | {'AuxLogits.fc.weight': np.zeros((2, 2), np.float32)})
