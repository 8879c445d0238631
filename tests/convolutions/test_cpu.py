import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from wgan_jax import convolutions
from wgan_jax.convolutions import cpu

NUMBERS = ('NHWC', 'HWIO', 'NHWC')
ASYMMETRIC = ((2, 0), (0, 1))  # padding


def assert_equal_with_derivatives(ours, theirs, inputs, kernel):
    """Compares values, gradients, and second derivatives as a gradient penalty takes them: to the inputs, then to the kernel."""

    def everything(function):
        def loss(x, w):
            outputs = function(x, w)
            return jnp.sum(jnp.sin(outputs)), outputs

        def penalty(x, w):
            first, outputs = jax.grad(loss, argnums=(0, 1), has_aux=True)(x, w)
            return jnp.sum(jnp.square(first[0])), (outputs, first)

        return jax.jit(jax.grad(penalty, argnums=(0, 1), has_aux=True))(inputs, kernel)

    for mine, xlas in zip(jax.tree.leaves(everything(ours)), jax.tree.leaves(everything(theirs)), strict=True):
        np.testing.assert_allclose(mine, xlas, rtol=1e-4, atol=1e-4 * float(jnp.abs(xlas).max()))


def draw(inputs_shape, kernel_shape):
    x_key, w_key = jax.random.split(jax.random.key(0))
    return jax.random.normal(x_key, inputs_shape), jax.random.normal(w_key, kernel_shape)


def quick_or_slow(quick, *values):
    """All combinations of values, of which those that are not in `quick` are slow tests."""
    return [pytest.param(*case, marks=() if case in quick else pytest.mark.slow) for case in itertools.product(*values)]


QUICK = [(3, 1, 'SAME'), (4, 1, ASYMMETRIC), (1, 2, ASYMMETRIC), (4, 2, 'SAME'), (5, 2, ASYMMETRIC)]


@pytest.mark.parametrize(('size', 'stride', 'padding'), quick_or_slow(QUICK, (1, 3, 4, 5), (1, 2), ('SAME', ASYMMETRIC)))
def test_equal_to_xlas_convolution_with_first_and_second_derivatives(size, stride, padding):
    strides, kernel_size = (stride, stride), (size, size)

    def both(function):
        return lambda x, w: function(x, w, strides, padding, dimension_numbers=NUMBERS)

    arguments = draw((2, 7, 8, 3), (*kernel_size, 3, 4))
    assert_equal_with_derivatives(both(cpu.convolution_on_cpu), both(lax.conv_general_dilated), *arguments)


@pytest.mark.parametrize(
    ('side', 'kernel_size', 'stride', 'padding'),
    [
        ((4, 5), (4, 4), 2, 1),  # DCGAN: twice the size
        ((1, 1), (4, 4), 1, 0),  # DCGAN's first layer: 1x1 to 4x4
        ((1, 1), (4, 4), 2, 1),
        ((3, 2), (4, 4), 2, 0),
        ((4, 5), (5, 3), 2, 2),  # a size that is not a whole number of strides
        ((4, 3), (3, 4), 1, 1),
        ((3, 3), (1, 1), 2, 0),  # pixels that nothing reaches
    ],
)
def test_equal_to_xlas_transposed_convolution_with_first_and_second_derivatives(side, kernel_size, stride, padding):
    def both(function):
        return lambda x, w: function(x, w, stride, padding)

    arguments = draw((2, *side, 3), (*kernel_size, 3, 4))
    ours, theirs = both(cpu.transposed_convolution_on_cpu), both(cpu.transposed_convolution_of_xla)
    assert_equal_with_derivatives(ours, theirs, *arguments)


@pytest.mark.parametrize('function', [cpu.transposed_convolution_on_cpu, cpu.transposed_convolution_of_xla])
def test_each_pixel_of_a_transposed_convolution_paints_the_kernel(function):
    """PyTorch's definition, pixel by pixel."""
    inputs, kernel = draw((1, 3, 2, 2), (4, 4, 2, 3))
    canvas = np.zeros((8, 6, 3))
    for i in range(3):
        for j in range(2):
            canvas[2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += np.einsum('uvcf,c->uvf', kernel, inputs[0, i, j])
    np.testing.assert_allclose(function(inputs, kernel, 2, 1)[0], canvas[1:-1, 1:-1], rtol=1e-5, atol=1e-5)


def test_groups_and_dilation_are_refused():
    with pytest.raises(NotImplementedError, match='groups'):
        cpu.convolution_on_cpu(jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 1, 2)), (1, 1), 'SAME', feature_group_count=2)
    with pytest.raises(NotImplementedError, match='dilation'):
        cpu.convolution_on_cpu(jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 2)), (1, 1), 'SAME', rhs_dilation=(2, 2))


def test_cpu_gets_its_own_convolutions():
    assert convolutions.convolution() is cpu.convolution_on_cpu
    assert convolutions.transposed_convolution() is cpu.transposed_convolution_on_cpu
