import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from wgan_jax import ops

NUMBERS = ('NHWC', 'HWIO', 'NHWC')


@pytest.mark.parametrize('padding', ['SAME', [(2, 0), (0, 1)]])
@pytest.mark.parametrize('strides', [(1, 1), (2, 2)])
@pytest.mark.parametrize('kernel_size', [(1, 1), (3, 3), (4, 4), (5, 5)])
def test_equal_to_xlas_convolution_with_first_and_second_derivatives(kernel_size, strides, padding):
    x_key, w_key = jax.random.split(jax.random.key(0))
    inputs = jax.random.normal(x_key, (2, 7, 8, 3))
    kernel = jax.random.normal(w_key, (*kernel_size, 3, 4))

    def both(function):
        def convolve(x, w):
            return function(x, w, strides, padding, dimension_numbers=NUMBERS)

        def slope(x, w):  # as in a gradient penalty: a gradient to the inputs, then one to the kernel
            return jnp.sum(jnp.square(jax.grad(lambda x: jnp.sum(jnp.sin(convolve(x, w))))(x)))

        first = jax.grad(lambda x, w: jnp.sum(jnp.sin(convolve(x, w))), argnums=(0, 1))
        second = jax.grad(slope, argnums=(0, 1))
        return jax.jit(lambda x, w: (convolve(x, w), first(x, w), second(x, w)))(inputs, kernel)

    ours, theirs = both(ops.convolution_on_cpu), both(lax.conv_general_dilated)
    for mine, xlas in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(mine, xlas, rtol=1e-4, atol=1e-4 * float(jnp.abs(xlas).max()))


def test_what_it_does_not_know_is_refused():
    with pytest.raises(NotImplementedError, match='groups'):
        ops.convolution_on_cpu(jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 1, 2)), (1, 1), 'SAME', feature_group_count=2)
    with pytest.raises(NotImplementedError, match='dilation'):
        ops.convolution_on_cpu(jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 2)), (1, 1), 'SAME', rhs_dilation=(2, 2))


def test_cpu_gets_its_own_convolution():
    assert ops.convolution() is ops.convolution_on_cpu
