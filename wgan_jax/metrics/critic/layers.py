"""The layers of a critic: their names, weights, spectral norms and gradients.

A layer is a module with a kernel, such as Dense, Conv or TransposedConv, but not a normalisation.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from wgan_jax.algorithm.state import PlayerState, apply


def layer_names(critic: PlayerState, image_shape: tuple[int, ...]) -> list[str]:
    """Names of the layers, such as 'Block_0/Conv_1' for a layer inside another module, from the output to the input.

    This is the reverse order of the calls: of parallel branches, the one that is called last comes first.
    """
    return [name for name, _ in reversed(_outputs(critic, jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)))]


def layer_weights(critic: PlayerState, image_shape: tuple[int, ...]) -> list[list[jax.Array]]:
    """The kernel and, if there is one, the bias of each layer, as a pass in train mode uses them, in the order of layer_names.

    The kernel of a layer with spectral or orthogonal weights is not the parameter of the same name; see models.bounded.
    """
    found = []

    def note(outputs: jax.Array, layer: nn.Module) -> jax.Array:
        found.append([layer.get_variable('params', part) for part in ('kernel', 'bias') if layer.has_variable('params', part)])
        return outputs

    with _at_each_layer(note):
        apply(critic, critic.params, jnp.zeros((1, *image_shape)), axis_name=None, dropout_key=jax.random.key(0))
    return found[::-1]


def spectral_norm(kernel: jax.Array) -> jax.Array:
    """The largest singular value of a kernel as a matrix [h * w * in, out], a scalar in float32 or better.

    For a convolution this is the convention of Miyato et al. 2018, not the operator norm: since windows overlap, the layer can
    stretch its input up to sqrt(h * w) times as much.
    """
    matrix = kernel.reshape(-1, kernel.shape[-1]).astype(jnp.promote_types(kernel.dtype, jnp.float32))
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    # The smaller Gram matrix is much less work than singular values and as exact for the largest one. The default precision of a
    # TPU would be too low.
    gram = jnp.matmul(matrix.T, matrix, precision=jax.lax.Precision.HIGHEST)
    return jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(gram)[-1], 0.0))


def pull_back(
    critic: PlayerState, images: jax.Array, dropout_keys: jax.Array, cotangents: jax.Array
) -> jax.Array:  # [n, B, H, W, C], [n], [n, B] -> [n, B, layers + 1]
    """L2 norms of the gradient of sum(cotangents * scores), per example: at the output of each layer and at the images.

    The output of a layer is taken before normalisation and activation. With batch norm, the outputs of an example also affect the
    scores of other examples, and its gradient includes that.

    Each batch of images, in [-1, 1], goes through in a separate pass with its own key. The norms are in float32 or better, in the
    order of layer_names, with the images last.
    """
    shapes = [shape for _, shape in _outputs(critic, images[0])]

    def one(batch: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        images, key, cotangent = batch

        def run(images: jax.Array, perturbations: list[jax.Array]) -> jax.Array:
            remaining = iter(perturbations)  # in the order of the calls
            with _at_each_layer(lambda outputs, _: outputs + next(remaining)):
                return apply(critic, critic.params, images, axis_name=None, dropout_key=key)[0]

        scores, pull = jax.vjp(run, images, [jnp.zeros(shape.shape, shape.dtype) for shape in shapes])
        at_images, at_layers = pull(cotangent.astype(scores.dtype))
        gradients = [gradient.reshape(len(images), -1) for gradient in (*at_layers[::-1], at_images)]
        exact = [gradient.astype(jnp.promote_types(gradient.dtype, jnp.float32)) for gradient in gradients]
        return jnp.stack([jnp.linalg.norm(gradient, axis=1) for gradient in exact], axis=-1)

    # A loop, so that one pass is compiled instead of n.
    return jax.lax.map(one, (images, dropout_keys, cotangents))


def _outputs(critic: PlayerState, images: jax.Array | jax.ShapeDtypeStruct) -> list[tuple[str, jax.ShapeDtypeStruct]]:
    """Name and shape of the output of each layer, in the order of the calls."""
    found = []

    def note(outputs: jax.Array, layer: nn.Module) -> jax.Array:
        found.append(('/'.join(layer.path), jax.ShapeDtypeStruct(outputs.shape, outputs.dtype)))
        return outputs

    def run(params: Any, images: jax.Array) -> jax.Array:
        return apply(critic, params, images, axis_name=None, dropout_key=jax.random.key(0))[0]

    with _at_each_layer(note):
        jax.eval_shape(run, critic.params, images)
    return found


@contextmanager
def _at_each_layer(change: Callable[[jax.Array, nn.Module], jax.Array]) -> Iterator[None]:
    """Replaces the output of each layer that is called in this context by change(output, layer)."""

    def intercept(call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext) -> Any:
        outputs, module = call(*args, **kwargs), context.module
        if context.method_name == '__call__' and module.has_variable('params', 'kernel'):
            return change(outputs, module)
        return outputs

    with nn.intercept_methods(intercept):
        yield
