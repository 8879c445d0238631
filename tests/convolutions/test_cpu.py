import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from wgan_jax import convolutions
from wgan_jax.convolutions import cpu

NUMBERS = ('NHWC', 'HWIO', 'NHWC')


def assert_equal_with_derivatives(ours, theirs, inputs, kernel):
    """Compares values, gradients, and second derivatives as a gradient penalty takes them: to the inputs, then to the kernel."""

    def everything(function):
        def slope(x, w):
            return jnp.sum(jnp.square(jax.grad(lambda x: jnp.sum(jnp.sin(function(x, w))))(x)))

        first = jax.grad(lambda x, w: jnp.sum(jnp.sin(function(x, w))), argnums=(0, 1))
        second = jax.grad(slope, argnums=(0, 1))
        return jax.jit(lambda x, w: (function(x, w), first(x, w), second(x, w)))(inputs, kernel)

    for mine, xlas in zip(jax.tree.leaves(everything(ours)), jax.tree.leaves(everything(theirs)), strict=True):
        np.testing.assert_allclose(mine, xlas, rtol=1e-4, atol=1e-4 * float(jnp.abs(xlas).max()))


def draw(inputs_shape, kernel_shape):
    x_key, w_key = jax.random.split(jax.random.key(0))
    return jax.random.normal(x_key, inputs_shape), jax.random.normal(w_key, kernel_shape)


@pytest.mark.parametrize('padding', ['SAME', [(2, 0), (0, 1)]])
@pytest.mark.parametrize('strides', [(1, 1), (2, 2)])
@pytest.mark.parametrize('kernel_size', [(1, 1), (3, 3), (4, 4), (5, 5)])
def test_equal_to_xlas_convolution_with_first_and_second_derivatives(kernel_size, strides, padding):
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


def test_what_it_does_not_know_is_refused():
    with pytest.raises(NotImplementedError, match='groups'):
        cpu.convolution_on_cpu(jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 1, 2)), (1, 1), 'SAME', feature_group_count=2)
    with pytest.raises(NotImplementedError, match='dilation'):
        cpu.convolution_on_cpu(jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 2)), (1, 1), 'SAME', rhs_dilation=(2, 2))


def test_cpu_gets_its_own_convolutions():
    assert convolutions.convolution() is cpu.convolution_on_cpu
    assert convolutions.transposed_convolution() is cpu.transposed_convolution_on_cpu
