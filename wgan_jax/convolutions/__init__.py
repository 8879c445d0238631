"""The convolutions of all networks: XLA's own on GPU and TPU, faster ones of the same functions on CPU."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax
from jax import lax

from wgan_jax.convolutions.cpu import convolution_on_cpu, transposed_convolution_of_xla, transposed_convolution_on_cpu

_compiling_for: ContextVar[str | None] = ContextVar('compiling_for', default=None)


@contextmanager
def compiling_for(backend: str) -> Iterator[None]:
    """Has what is traced inside made for 'cpu', 'gpu' or 'tpu', whatever is there."""
    token = _compiling_for.set(backend)
    try:
        yield
    finally:
        _compiling_for.reset(token)


def on_cpu() -> bool:
    """Whether what is traced is made for XLA on CPU."""
    return (_compiling_for.get() or jax.default_backend()) == 'cpu'


def convolution() -> Callable[..., jax.Array]:
    """What to give a flax.linen.Conv as `conv_general_dilated_cls`: the convolution for the backend in use.

    XLA's own on GPU and TPU, convolution_on_cpu on CPU.
    """
    return convolution_on_cpu if on_cpu() else lax.conv_general_dilated


def transposed_convolution() -> Callable[[jax.Array, jax.Array, int, int], jax.Array]:
    """The transposed convolution for the backend in use: XLA's own on GPU and TPU, transposed_convolution_on_cpu on CPU."""
    return transposed_convolution_on_cpu if on_cpu() else transposed_convolution_of_xla
