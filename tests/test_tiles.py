import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.test_ops import NUMBERS, assert_equal_with_derivatives, draw
from wgan_jax import ops, tiles


@pytest.fixture
def only_tiles(monkeypatch):
    """Has every convolution done by tiles that can be."""
    monkeypatch.setattr(tiles, 'pay', lambda strides, kernel_shape, outputs: (strides, kernel_shape[0]) in tiles.KERNELS)


@pytest.mark.parametrize('padding', ['SAME', 'VALID', [(2, 0), (0, 1)]])
@pytest.mark.parametrize(('strides', 'size'), list(tiles.KERNELS))
@pytest.mark.parametrize('side', [(7, 8), (8, 6)])
def test_tiles_are_the_same_convolution(only_tiles, side, strides, size, padding):
    def both(function):
        return lambda x, w: function(x, w, strides, padding, dimension_numbers=NUMBERS)

    arguments = draw((2, *side, 3), (size, size, 3, 4))
    assert_equal_with_derivatives(both(ops.convolution_on_cpu), both(lax.conv_general_dilated), *arguments)


@pytest.mark.parametrize(('side', 'size', 'padding'), [((4, 5), 4, 1), ((3, 2), 4, 0), ((4, 4), 5, 2)])
def test_tiles_are_the_same_transposed_convolution(only_tiles, side, size, padding):
    def both(function):
        return lambda x, w: function(x, w, 2, padding)

    arguments = draw((2, *side, 3), (size, size, 3, 4))
    ours, theirs = both(ops.transposed_convolution_on_cpu), both(ops.transposed_convolution_of_xla)
    assert_equal_with_derivatives(ours, theirs, *arguments)


@pytest.mark.parametrize(
    ('shapes', 'strides', 'dots'),
    [
        (((64, 16, 16, 32), (4, 4, 32, 64)), (2, 2), 9),  # by tiles: 9 products for 2x2
        (((64, 16, 16, 128), (3, 3, 128, 128)), (1, 1), 16),  # and 16 for 3x3
        (((64, 16, 16, 3), (4, 4, 3, 64)), (2, 2), 1),  # few channels: patches
        (((8, 16, 16, 32), (4, 4, 32, 64)), (2, 2), 1),  # few tiles
        (((64, 16, 16, 64), (3, 3, 64, 64)), (1, 1), 0),  # XLA's
    ],
)
def test_wide_layers_are_done_by_tiles(shapes, strides, dots):
    inputs, kernel = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes)
    jaxpr = jax.make_jaxpr(lambda x, w: ops.convolution_on_cpu(x, w, strides, 'SAME'))(inputs, kernel)
    assert str(jaxpr).count('dot_general') == dots


def test_tiles_round_as_float32_does():
    """Against XLA's own, whose sums are of the same length."""
    inputs, kernel = draw((64, 16, 16, 32), (4, 4, 32, 64))
    arguments = (2, 2), [(1, 1), (1, 1)]
    exact = np.asarray(lax.conv_general_dilated(inputs, kernel, *arguments, dimension_numbers=NUMBERS))
    error = np.abs(np.asarray(ops.convolution_on_cpu(inputs, kernel, *arguments)) - exact).max() / np.abs(exact).max()
    assert error < 3e-6  # 512 products each, of float32 with 6e-8
