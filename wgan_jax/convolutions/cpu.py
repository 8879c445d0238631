"""The convolution and the transposed convolution for XLA on CPU, fast in derivatives of any order."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from wgan_jax.convolutions import winograd

Padding = tuple[tuple[int, int], tuple[int, int]]  # (before, after) for height and width


def convolution_on_cpu(
    inputs: jax.Array,
    kernel: jax.Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    **options: Any,
) -> jax.Array:
    """A 2-D convolution equal to lax.conv_general_dilated up to rounding.

    XLA on CPU takes up to 35 times longer than necessary for a strided convolution with many channels or its gradient, and up to
    100 times longer for the gradient of any convolution inside a loop. This function and all its derivatives consist of matrix
    products and of unstrided convolutions in the form of XLA's fast kernel. Wide layers are computed by tiles; see winograd.py.

    Args:
      inputs: [B, H, W, C].
      kernel: [h, w, C, filters].
      window_strides: (vertical, horizontal).
      padding: 'SAME', 'VALID', or (before, after) for height and width.
      **options: other arguments of lax.conv_general_dilated, with values that mean the same as the defaults.

    Returns:
      [B, rows, columns, filters].

    Raises:
      NotImplementedError: the options ask for dilation or groups, which are not supported.
    """
    refuse_dilation_and_groups(options)
    padding = explicit_padding(inputs.shape[1:3], kernel, padding, window_strides)
    strides, size = tuple(window_strides), kernel.shape[:2]
    outputs = [
        (side + sum(pads) - length) // step + 1
        for side, pads, length, step in zip(inputs.shape[1:3], padding, size, strides, strict=True)
    ]
    if winograd.is_faster(strides, kernel, inputs.shape[0] * math.prod(outputs)):
        return winograd.convolution(inputs, kernel, strides, padding, outputs)
    if strides == (1, 1) and size != (1, 1):
        return _unstrided(inputs, kernel, padding)
    return _by_patches(inputs, kernel, strides, padding)


def refuse_dilation_and_groups(options: dict[str, Any]) -> None:
    """Raises NotImplementedError if the options of lax.conv_general_dilated ask for dilation or groups."""
    dilations = [dilation for name in ('lhs_dilation', 'rhs_dilation') for dilation in options.get(name) or ()]
    if any(dilation != 1 for dilation in dilations) or options.get('feature_group_count', 1) != 1:
        raise NotImplementedError(f'The convolutions on CPU do not support dilation or groups: {options}')


def explicit_padding(
    sides: Sequence[int], kernel: jax.Array, padding: str | Sequence[tuple[int, int]], strides: Sequence[int] = (1, 1)
) -> Padding:
    """Returns any form of padding as (before, after) for height and width."""
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(sides, kernel.shape[:2], strides, padding)
    return tuple(tuple(pair) for pair in padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _unstrided(inputs: jax.Array, kernel: jax.Array, padding: Padding) -> jax.Array:
    return lax.conv_general_dilated(inputs, kernel, (1, 1), padding, dimension_numbers=('NHWC', 'HWIO', 'NHWC'))


def _unstrided_forward(inputs: jax.Array, kernel: jax.Array, padding: Padding) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _unstrided(inputs, kernel, padding), (inputs, kernel)


def _unstrided_backward(padding: Padding, saved: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Both gradients are unstrided convolutions, so derivatives of any order keep the fast form."""
    inputs, kernel = saved
    # The kernel is turned by 180 degrees, with its channels exchanged.
    turned = lax.rev(kernel, (0, 1)).swapaxes(2, 3)
    around = tuple((size - 1 - before, size - 1 - after) for size, (before, after) in zip(kernel.shape[:2], padding, strict=True))
    inputs_gradient = _unstrided(cotangent, turned, around)
    # The cotangent is the kernel; the channels are the batch, and the batch is the channels.
    kernel_gradient = _unstrided(inputs.transpose(3, 1, 2, 0), cotangent.transpose(1, 2, 0, 3), padding)
    return inputs_gradient, kernel_gradient.transpose(1, 2, 0, 3)


_unstrided.defvjp(_unstrided_forward, _unstrided_backward)


def _by_patches(inputs: jax.Array, kernel: jax.Array, strides: Sequence[int], padding: Sequence[tuple[int, int]]) -> jax.Array:
    height, width, channels, filters = kernel.shape
    inputs = jnp.pad(inputs, [(0, 0), *padding, (0, 0)])
    batch = inputs.shape[0]
    rows = (inputs.shape[1] - height) // strides[0] + 1
    columns = (inputs.shape[2] - width) // strides[1] + 1
    taps = [
        lax.slice(
            inputs,
            (0, top, left, 0),
            (batch, top + (rows - 1) * strides[0] + 1, left + (columns - 1) * strides[1] + 1, channels),
            (1, *strides, 1),
        )
        for top in range(height)
        for left in range(width)
    ]
    patches = jnp.concatenate(taps, axis=-1).reshape(-1, height * width * channels)
    return (patches @ kernel.reshape(-1, filters)).reshape(batch, rows, columns, filters)


def transposed_convolution_of_xla(inputs: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    """The same function as transposed_convolution_on_cpu, as one lax.conv_general_dilated."""
    around = [(size - 1 - padding, size - 1 - padding) for size in kernel.shape[:2]]
    return lax.conv_general_dilated(
        inputs,
        lax.rev(kernel, (0, 1)),
        (1, 1),
        around,
        lhs_dilation=(stride, stride),
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )


def transposed_convolution_on_cpu(inputs: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    """A 2-D transposed convolution as in PyTorch.

    The product of input row i and kernel row u is added to output row `stride * i + u - padding`, and the same for columns. This
    is PyTorch's ConvTranspose2d, whose weight [C, filters, h, w] is this kernel with its axes moved. It is also
    lax.conv_general_dilated with lhs_dilation=(stride, stride), window strides 1, `size - 1 - padding` zeros on each side and the
    kernel turned by 180 degrees, which XLA computes slowly on CPU; see convolution_on_cpu. Here, it is the transpose of a
    convolution by tiles where tiles are faster, and otherwise one matrix product of all pixels with the whole kernel and a sum
    of shifted results.

    Args:
      inputs: [B, H, W, C].
      kernel: [h, w, C, filters].
      stride: distance in the output between neighbouring input pixels, in height and width.
      padding: pixels to cut off at each side of the output.

    Returns:
      [B, rows, columns, filters] with rows = stride * (H - 1) + h - 2 * padding.
    """
    batch, height, width, channels = inputs.shape
    sizes, filters = kernel.shape[:2], kernel.shape[3]
    rows, columns = (stride * (side - 1) + size - 2 * padding for side, size in zip((height, width), sizes, strict=True))
    swapped = kernel.swapaxes(2, 3)
    if winograd.is_faster((stride, stride), swapped, batch * height * width):

        def convolve(images: jax.Array) -> jax.Array:
            return convolution_on_cpu(images, swapped, (stride, stride), [(padding, padding)] * 2)

        # Only the pullback stays in the compiled program: the convolution is linear.
        _, pullback = jax.vjp(convolve, jnp.zeros((batch, rows, columns, filters), inputs.dtype))
        return pullback(inputs)[0]
    reach = tuple(-(-size // stride) for size in sizes)  # the kernel's size in strides, rounded up
    whole = jnp.pad(kernel, [*((0, stride * count - size) for count, size in zip(reach, sizes, strict=True)), (0, 0), (0, 0)])
    products = inputs.reshape(-1, channels) @ whole.transpose(2, 0, 1, 3).reshape(channels, -1)
    products = products.reshape(batch, height, width, reach[0], stride, reach[1], stride, filters)
    if (height, width) == (1, 1):  # nothing overlaps
        outputs = products.reshape(batch, stride * reach[0], stride * reach[1], filters)
    else:
        shifted = [
            jnp.pad(
                products[:, :, :, top, :, left],
                [(0, 0), (top, reach[0] - 1 - top), (left, reach[1] - 1 - left), (0, 0), (0, 0), (0, 0)],
            )
            for top in range(reach[0])
            for left in range(reach[1])
        ]  # each [B, H + reach - 1, W + reach - 1, stride, stride, filters]
        outputs = sum(shifted).transpose(0, 1, 3, 2, 4, 5)
        outputs = outputs.reshape(batch, stride * outputs.shape[1], -1, filters)
    return outputs[:, padding : padding + rows, padding : padding + columns]
