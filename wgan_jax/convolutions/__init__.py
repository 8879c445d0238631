"""Convolutions of all networks: XLA's own on GPU and TPU, faster ones with the same values up to rounding on CPU.

XLA's CPU compiler brings a convolution into the form that its fast kernel takes only outside of loops (JAX issue 12868). Training
runs inside a loop, and there the gradients of convolutions take up to 100 times longer than necessary; strided convolutions with
many channels are slow everywhere. The functions of this package compute the same convolutions, and their derivatives of any
order, with matrix products and unstrided convolutions only.

    this module    chooses by backend; the layers in wgan_jax/models/layers.py call it
    cpu.py         the convolution and the transposed convolution for CPU
    winograd.py    wide convolutions with fewer multiplications, by tiles of outputs
    fused.py       a convolution together with the upsampling before it or the mean pooling after it

benchmarks/convolutions.py measures them against XLA's.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax
from jax import lax

from wgan_jax.convolutions.cpu import convolution_on_cpu, transposed_convolution_of_xla, transposed_convolution_on_cpu

_compiling_for: ContextVar[str | None] = ContextVar('compiling_for', default=None)


@contextmanager
def compiling_for(backend: str) -> Iterator[None]:
    """Functions traced inside are made for 'cpu', 'gpu' or 'tpu' instead of the default backend."""
    token = _compiling_for.set(backend)
    try:
        yield
    finally:
        _compiling_for.reset(token)


def on_cpu() -> bool:
    """Whether a function traced now is made for CPU."""
    return (_compiling_for.get() or jax.default_backend()) == 'cpu'


def convolution() -> Callable[..., jax.Array]:
    """The convolution for the backend in use, for models.layers.Conv."""
    return convolution_on_cpu if on_cpu() else lax.conv_general_dilated


def transposed_convolution() -> Callable[[jax.Array, jax.Array, int, int], jax.Array]:
    """The transposed convolution for the backend in use; see cpu.transposed_convolution_on_cpu."""
    return transposed_convolution_on_cpu if on_cpu() else transposed_convolution_of_xla
