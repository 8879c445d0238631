import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.convolutions.test_cpu import ASYMMETRIC, NUMBERS, assert_equal_with_derivatives, draw, quick_or_slow
from wgan_jax import convolutions
from wgan_jax.convolutions import fused
from wgan_jax.models import layers

QUICK = [((3, 3), 'SAME'), ((1, 1), ASYMMETRIC), ((4, 2), 'VALID')]


@pytest.mark.parametrize(('kernel_size', 'padding'), quick_or_slow(QUICK, [(3, 3), (1, 1), (4, 2)], ['SAME', 'VALID', ASYMMETRIC]))
def test_convolution_of_upsampled_inputs(kernel_size, padding):
    def matrix(size):  # to three more pixels, each from all
        return np.random.default_rng(size).normal(size=(size + 3, size)).astype(np.float32)

    def theirs(x, w):
        x = jnp.einsum('oh,pw,bhwc->bopc', matrix(x.shape[1]), matrix(x.shape[2]), x, precision='highest')
        return lax.conv_general_dilated(x, w, (1, 1), padding, dimension_numbers=NUMBERS)

    def ours(x, w):
        return fused.upsampled_convolution_on_cpu(matrix, x, w, (1, 1), padding, dimension_numbers=NUMBERS)

    assert_equal_with_derivatives(ours, theirs, *draw((2, 4, 5, 3), (*kernel_size, 3, 4)))


@pytest.mark.parametrize('padding', [pytest.param('SAME', marks=pytest.mark.slow), [(2, 0), (0, 2)]])
def test_convolution_before_a_mean_pool(padding):
    def theirs(x, w):
        return layers.mean_pool(lax.conv_general_dilated(x, w, (1, 1), padding, dimension_numbers=NUMBERS))

    def ours(x, w):
        return fused.convolution_before_mean_pool()(x, w, (1, 1), padding, dimension_numbers=NUMBERS)

    assert_equal_with_derivatives(ours, theirs, *draw((2, 8, 6, 3), (3, 3, 3, 4)))


@pytest.mark.parametrize('backend', ['cpu', 'gpu'])
@pytest.mark.parametrize(
    ('layer', 'before', 'after'),
    [
        (layers.ConvAfterNearest, layers.upsample_nearest, lambda x: x),
        (layers.ConvAfterBilinear, layers.upsample_bilinear, lambda x: x),
        (layers.ConvBeforeMeanPool, lambda x: x, layers.mean_pool),
    ],
)
def test_layers_of_two_operations_have_the_parameters_of_a_convolution(backend, layer, before, after):
    inputs, _ = draw((2, 4, 6, 3), (1,))
    both = [cls(5, (3, 3), bias_init=jax.nn.initializers.normal()) for cls in (layer, layers.Conv)]
    variables = both[1].init(jax.random.key(1), inputs)
    expected = after(both[1].apply(variables, before(inputs)))
    with convolutions.compiling_for(backend):
        outputs = both[0].apply(variables, inputs)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


def test_strides_are_refused():
    with pytest.raises(NotImplementedError, match='strides'):
        fused.upsampled_convolution_on_cpu(np.eye, jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 2)), (2, 2), 'SAME')
    with pytest.raises(NotImplementedError, match='strides'):
        fused.convolution_before_mean_pool()(jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 2)), (2, 2), 'SAME')
