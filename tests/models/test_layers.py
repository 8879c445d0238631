import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.models import layers


class Normalized(nn.Module):
    """One norm and nothing else."""

    norm: str

    @nn.compact
    def __call__(self, x, axis_name=None):
        return layers.normalize(self.norm, x, True, axis_name)


def test_layer_norm_has_the_statistics_of_all_pixels_and_channels_of_one_example(double_precision):
    rng = np.random.default_rng(0)
    images, scale, bias = rng.normal(2.0, 3.0, (4, 3, 2, 5)), rng.normal(size=5), rng.normal(size=5)
    outputs = Normalized('layer').apply({'params': {'LayerNorm_0': {'scale': scale, 'bias': bias}}}, images)
    mean, variance = (function(images, axis=(1, 2, 3), keepdims=True) for function in (np.mean, np.var))
    np.testing.assert_allclose(outputs, (images - mean) / np.sqrt(variance + 1e-5) * scale + bias, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('layer', ['Conv', 'ConvAfterNearest', 'ConvAfterBilinear', 'ConvBeforeMeanPool', 'Dense'])
def test_the_gradient_of_a_bias_is_a_sum_in_float32_also_if_the_layer_computes_in_bfloat16(layer):
    """A sum in bfloat16 stops growing at 256 times its terms, and here are thousands."""
    x = jnp.ones((4096, 3) if layer == 'Dense' else (16, 32, 32, 3))
    options = {} if layer == 'Dense' else {'kernel_size': (3, 3), 'padding': 1}
    module = getattr(layers, layer)(features=4, dtype=jnp.bfloat16, **options)
    params = module.init(jax.random.key(0), x)['params']
    values = jax.eval_shape(module.apply, {'params': params}, x)
    assert values.dtype == jnp.bfloat16
    found = jax.grad(lambda params: 1e-3 * jnp.sum(module.apply({'params': params}, x).astype(jnp.float32)))(params)
    np.testing.assert_allclose(found['bias'], 1e-3 * values.size / 4, rtol=2e-3)


@pytest.mark.parametrize('devices', [2, 8])
def test_batch_norm_has_the_statistics_of_the_batch_of_all_devices(double_precision, devices):
    """Outputs, running statistics, and gradients through the statistics; vmap stands in for devices."""
    rng = np.random.default_rng(0)
    images, weights = (jnp.asarray(rng.normal(size=(8, 3, 2, 5))) * scale for scale in (4.0, 1.0))
    network = Normalized('batch')
    variables = {
        'params': {'BatchNorm_0': {'scale': jnp.asarray(rng.normal(size=5)), 'bias': jnp.asarray(rng.normal(size=5))}},
        'batch_stats': {'BatchNorm_0': {'mean': jnp.zeros(5), 'var': jnp.ones(5)}},
    }

    def everything(images, weights, axis_name=None):
        def loss(images):
            outputs, changed = network.apply(variables, images, axis_name, mutable=['batch_stats'])
            return jnp.sum(weights * outputs), (outputs, changed['batch_stats']['BatchNorm_0'])

        gradient, (outputs, statistics) = jax.grad(loss, has_aux=True)(images)
        return gradient, outputs, statistics

    gradient, outputs, statistics = jax.jit(everything)(images, weights)
    values = images.reshape(-1, 5)
    np.testing.assert_allclose(statistics['mean'], 0.1 * values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(statistics['var'], 0.9 + 0.1 * values.var(axis=0), rtol=1e-12)
    parts = [x.reshape(devices, -1, *x.shape[1:]) for x in (images, weights)]
    shared = jax.jit(jax.vmap(lambda *part: everything(*part, axis_name='devices'), axis_name='devices'))(*parts)
    np.testing.assert_allclose(shared[1].reshape(outputs.shape), outputs, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(shared[0].reshape(gradient.shape), gradient, rtol=1e-10, atol=1e-12)
    for name, values in statistics.items():
        np.testing.assert_allclose(shared[2][name], np.broadcast_to(values, (devices, 5)), rtol=1e-12)
