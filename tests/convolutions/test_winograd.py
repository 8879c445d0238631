import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.convolutions.test_cpu import NUMBERS, assert_equal_with_derivatives, draw
from wgan_jax.convolutions import cpu, winograd


@pytest.fixture
def only_tiles(monkeypatch):
    """Has every convolution done by tiles that can be."""
    monkeypatch.setattr(winograd, 'pay', lambda strides, kernel, outputs: (strides, len(kernel)) in winograd.KERNELS)


@pytest.fixture(params=[0, 10**6], ids=['4x4', '2x2'])
def share(monkeypatch, request):
    """Tiles of 4x4 outputs, as where the kernel costs nothing, and of 2x2, as where it costs more than all else."""
    monkeypatch.setattr(winograd, '_SHARE', request.param)


@pytest.mark.parametrize('padding', ['SAME', [(2, 0), (0, 1)]])
@pytest.mark.parametrize(('strides', 'size'), list(winograd.KERNELS))
def test_tiles_are_the_same_convolution(only_tiles, share, strides, size, padding):
    def both(function):
        return lambda x, w: function(x, w, strides, padding, dimension_numbers=NUMBERS)

    arguments = draw((2, 15, 18, 3), (size, size, 3, 4))  # no whole number of tiles
    assert_equal_with_derivatives(both(cpu.convolution_on_cpu), both(lax.conv_general_dilated), *arguments)


@pytest.mark.parametrize(('side', 'size', 'padding'), [((4, 5), 4, 1), ((3, 2), 4, 0), ((4, 4), 5, 2)])
def test_tiles_are_the_same_transposed_convolution(only_tiles, share, side, size, padding):
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


@pytest.mark.parametrize(('strides', 'size'), list(winograd.KERNELS))
def test_tiles_round_as_float32_does(only_tiles, share, strides, size):
    """Against numbers of 64 bits; sums of 288 to 800 products, of float32 with 6e-8."""
    inputs, kernel = draw((16, 8, 8, 32), (size, size, 32, 8))
    exact = np.zeros((16, *(8 // step for step in strides), 8))
    padded = np.pad(np.asarray(inputs, np.float64), [(0, 0), (size, size), (size, size), (0, 0)])
    start = size - (size - strides[0]) // 2
    for i in range(size):
        for j in range(size):
            pixels = padded[:, start + i :: strides[0], start + j :: strides[1]][:, : exact.shape[1], : exact.shape[2]]
            exact += pixels @ np.asarray(kernel[i, j], np.float64)
    ours = cpu.convolution_on_cpu(inputs, kernel, strides, 'SAME')
    error = np.sqrt(np.mean(np.square(ours - exact)) / np.mean(np.square(exact)))
    assert error < 4e-6
