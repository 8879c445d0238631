import jax
import jax.numpy as jnp
import pytest
from jax import export

from wgan_jax.export.description import describe_generator


@pytest.mark.parametrize(
    ('shape', 'expected'),
    [
        ((1, 1, 2), {'name': 'points', 'layout': '[batch, 1, 1, (x, y)]'}),
        ((1, 1, 32), {'name': 'points', 'layout': '[batch, 1, 1, coordinates]'}),
        ((8, 8, 1), {'name': 'images', 'layout': 'NHWC', 'range': [-1, 1]}),
    ],
)
def test_what_comes_out_is_named_by_its_shape(shape, expected):
    latents = jax.ShapeDtypeStruct((4, 3), jnp.float32)
    exported = export.export(jax.jit(lambda latents: jnp.zeros((len(latents), *shape))))(latents)
    output = describe_generator(exported, b'', 'generator.stablehlo', {})['output']
    assert output == {'shape': [4, *shape], 'dtype': 'float32', **expected}
