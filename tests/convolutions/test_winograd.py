import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.convolutions.test_cpu import ASYMMETRIC, NUMBERS, assert_equal_with_derivatives, draw, quick_or_slow
from wgan_jax.convolutions import cpu, winograd


@pytest.fixture
def only_tiles(monkeypatch):
    """Every convolution that tiles support is computed by tiles."""
    monkeypatch.setattr(winograd, 'is_faster', lambda strides, kernel, outputs: (strides, len(kernel)) in winograd.KERNELS)


TILES = {'4x4': 0, '2x2': 10**6}  # and the cost of the kernel for which they are chosen
QUICK = [('4x4', 4, 'SAME'), ('2x2', 3, 'SAME'), ('2x2', 4, ASYMMETRIC), ('2x2', 5, 'SAME')]


@pytest.mark.parametrize(('tile', 'size', 'padding'), quick_or_slow(QUICK, TILES, (3, 4, 5), ('SAME', ASYMMETRIC)))
def test_tiles_are_the_same_convolution(only_tiles, monkeypatch, tile, size, padding):
    monkeypatch.setattr(winograd, '_KERNEL_COST', TILES[tile])
    strides = next(strides for strides, known in winograd.KERNELS if known == size)

    def both(function):
        return lambda x, w: function(x, w, strides, padding, dimension_numbers=NUMBERS)

    arguments = draw((2, 15, 18, 3), (size, size, 3, 4))  # no whole number of tiles
    assert_equal_with_derivatives(both(cpu.convolution_on_cpu), both(lax.conv_general_dilated), *arguments)


TRANSPOSED = [((4, 5), 4, 1), ((3, 2), 4, 0), ((4, 4), 5, 2)]  # side, size, padding


@pytest.mark.parametrize(
    ('tile', 'case'), quick_or_slow([('2x2', TRANSPOSED[0]), ('4x4', TRANSPOSED[1]), ('2x2', TRANSPOSED[2])], TILES, TRANSPOSED)
)
def test_tiles_are_the_same_transposed_convolution(only_tiles, monkeypatch, tile, case):
    monkeypatch.setattr(winograd, '_KERNEL_COST', TILES[tile])
    side, size, padding = case

    def both(function):
        return lambda x, w: function(x, w, 2, padding)

    arguments = draw((2, *side, 3), (size, size, 3, 4))
    ours, theirs = both(cpu.transposed_convolution_on_cpu), both(cpu.transposed_convolution_of_xla)
    assert_equal_with_derivatives(ours, theirs, *arguments)


@pytest.mark.parametrize(
    ('shapes', 'strides', 'dots'),
    [
        (((64, 16, 16, 32), (4, 4, 32, 64)), (2, 2), 25),  # 5x5 points for 4x4 outputs of 2x2 taps
        (((64, 16, 16, 128), (3, 3, 128, 128)), (1, 1), 36),  # 6x6 for 3x3 taps
        (((64, 8, 8, 32), (4, 4, 32, 64)), (2, 2), 9),  # fewer tiles: 3x3 points for 2x2 outputs
        (((64, 6, 6, 32), (3, 3, 32, 64)), (1, 1), 16),  # and 4x4 for 3x3 taps
        (((64, 16, 16, 3), (4, 4, 3, 64)), (2, 2), 1),  # few channels: patches
        (((8, 16, 16, 32), (4, 4, 32, 64)), (2, 2), 1),  # few tiles
        (((64, 16, 16, 3), (3, 3, 3, 16)), (1, 1), 0),  # XLA's
    ],
)
def test_wide_layers_are_done_by_tiles(shapes, strides, dots):
    inputs, kernel = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes)
    jaxpr = jax.make_jaxpr(lambda x, w: cpu.convolution_on_cpu(x, w, strides, 'SAME'))(inputs, kernel)
    assert str(jaxpr).count('dot_general') == dots


@pytest.mark.parametrize('tile', TILES)
def test_gradients_put_no_zeros_between_elements(only_tiles, monkeypatch, tile):
    """Such arrays, as the transpose of a slice with strides has them, take several slow passes on CPU."""
    monkeypatch.setattr(winograd, '_KERNEL_COST', TILES[tile])
    inputs, kernel = draw((2, 16, 16, 3), (4, 4, 3, 4))

    def loss(x, w):
        return jnp.sum(jnp.sin(cpu.convolution_on_cpu(x, w, (2, 2), 'SAME')))

    program = str(jax.make_jaxpr(jax.grad(loss, argnums=(0, 1)))(inputs, kernel))
    program = re.sub(r'np\.int64\((-?\d+)\)', r'\1', ''.join(program.split()))
    between = re.findall(r'\(-?\d+,-?\d+,(\d+)\)', ''.join(re.findall(r'padding_config=\((.*?\))\)', program)))
    assert set(between) == {'0'}


@pytest.mark.parametrize('tile', TILES)
@pytest.mark.parametrize(('strides', 'size'), list(winograd.KERNELS))
def test_rounding_errors_of_tiles(only_tiles, monkeypatch, tile, strides, size):
    """Against float64, for sums of 288 to 800 products; one rounding in float32 is 6e-8."""
    monkeypatch.setattr(winograd, '_KERNEL_COST', TILES[tile])
    inputs, kernel = draw((16, 8, 8, 32), (size, size, 32, 8))
    exact = np.zeros((16, *(8 // step for step in strides), 8))
    padded = np.pad(np.asarray(inputs, np.float64), [(0, 0), (size, size), (size, size), (0, 0)])
    start = size - (size - strides[0]) // 2
    for i in range(size):
        for j in range(size):
            pixels = padded[:, start + i :: strides[0], start + j :: strides[1]][:, : exact.shape[1], : exact.shape[2]]
            exact += pixels @ np.asarray(kernel[i, j], np.float64)
    ours = jax.jit(lambda x, w: cpu.convolution_on_cpu(x, w, strides, 'SAME'))(inputs, kernel)
    error = np.sqrt(np.mean(np.square(ours - exact)) / np.mean(np.square(exact)))
    assert error < 4e-6
