import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from wgan_jax.algorithm import optimizers


def gradients(steps=60, size=200):
    """Gradients over six decades, with exact zeros and very small ones."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(steps, size)) * 10.0 ** rng.uniform(-5, 1, size=(1, size))
    values[:, :10] = 0.0
    values[:, 10:20] = 1e-9
    values[: steps // 2, 20:40] *= 1e3  # large at first, then small: here the two amsgrads differ
    return values.astype(np.float32)


def run(optimizer, grads):
    params = jnp.zeros(grads.shape[1])
    state = optimizer.init(params)
    for g in grads:
        updates, state = optimizer.update(jnp.asarray(g), state, params)
        params = optax.apply_updates(params, updates)
    return np.asarray(params)


# The reference rules follow the documentation of torch.optim, in float64.
def reference_rmsprop(grads, lr):
    params, square = np.zeros(grads.shape[1]), np.zeros(grads.shape[1])
    for g in grads.astype(np.float64):
        square = 0.99 * square + 0.01 * g**2
        params -= lr * g / (np.sqrt(square) + 1e-8)
    return params


def reference_adam(grads, lr, b1, b2, amsgrad=False):
    params = mu = nu = largest = np.zeros(grads.shape[1])
    for t, g in enumerate(grads.astype(np.float64), start=1):
        mu = b1 * mu + (1 - b1) * g
        nu = b2 * nu + (1 - b2) * g**2
        largest = np.maximum(largest, nu)
        denominator = np.sqrt(largest if amsgrad else nu) / np.sqrt(1 - b2**t) + 1e-8
        params = params - lr / (1 - b1**t) * mu / denominator
    return params


RULES = pytest.mark.parametrize(
    ('name', 'b1', 'b2', 'reference'),
    [
        ('rmsprop', 0.0, 0.9, lambda g: reference_rmsprop(g, 1e-3)),
        ('adam', 0.0, 0.9, lambda g: reference_adam(g, 1e-3, 0.0, 0.9)),
        ('adam', 0.5, 0.999, lambda g: reference_adam(g, 1e-3, 0.5, 0.999)),
        ('amsgrad', 0.9, 0.999, lambda g: reference_adam(g, 1e-3, 0.9, 0.999, amsgrad=True)),
    ],
)


@RULES
def test_equal_to_pytorchs_rule(name, b1, b2, reference):
    grads = gradients()
    result = run(optimizers.make_optimizer(name, 1e-3, b1, b2), grads)
    np.testing.assert_allclose(result, reference(grads), rtol=2e-4, atol=1e-7)


@RULES
def test_equal_to_pytorchs_rule_in_float64(double_precision, name, b1, b2, reference):
    """To 12 digits, which also checks the place of epsilon and the bias correction of small steps."""
    grads = gradients(steps=20).astype(np.float64)
    result = run(optimizers.make_optimizer(name, 1e-3, b1, b2), grads)
    np.testing.assert_allclose(result, reference(grads), rtol=1e-12)


@pytest.mark.parametrize('eps', [1e-7, 0.5])
def test_epsilon_against_the_rule_of_keras(double_precision, eps):
    """Keras adds epsilon before the bias is corrected, so after t updates its epsilon is ours divided by sqrt(1 - b2^t).

    Keras: rate * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon); Kingma and Ba 2015, the end of section 2.
    """
    rate, b1, b2 = 2e-4, 0.5, 0.9
    gradients = np.random.default_rng(0).normal(size=(5, 7))
    ours, m, v = optimizers.make_optimizer('adam', rate, b1, b2, eps=eps), np.zeros(7), np.zeros(7)
    state = ours.init(jnp.zeros(7))
    for t, gradient in enumerate(gradients, start=1):
        updates, state = ours.update(jnp.asarray(gradient), state)
        m, v = b1 * m + (1 - b1) * gradient, b2 * v + (1 - b2) * gradient**2
        as_in_keras = eps * np.sqrt(1 - b2**t)
        expected = -rate * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + as_in_keras)
        np.testing.assert_allclose(updates, expected, rtol=1e-12)


def test_optax_amsgrad_is_another_rule():
    """The reason for scale_by_amsgrad; if this fails, optax may be used."""
    grads = gradients()
    ours = run(optimizers.make_optimizer('amsgrad', 1e-3, 0.9, 0.999), grads)
    theirs = run(optax.amsgrad(1e-3, 0.9, 0.999), grads)
    assert np.abs(ours - theirs).max() > 1e-3


@pytest.mark.parametrize('name', sorted(optimizers.OPTIMIZERS))
def test_clip_follows_the_update(name):
    """clip(p + u): neither the update alone nor the parameters before it are clipped. Starts up to three times outside the box."""
    bound, rng = np.float32(0.01), np.random.default_rng(0)
    plain, clipping = (optimizers.make_optimizer(name, 0.005, 0.5, 0.9, clip_value=clip) for clip in (None, 0.01))
    params = jnp.asarray(rng.uniform(-0.03, 0.03, 2000), jnp.float32)
    plain_state, clipping_state = plain.init(params), clipping.init(params)
    for _ in range(3):
        grads = jnp.asarray(rng.normal(size=2000), jnp.float32)
        update, plain_state = plain.update(grads, plain_state, params)
        clipped, clipping_state = clipping.update(grads, clipping_state, params)
        result, p, u = (np.asarray(part) for part in (optax.apply_updates(params, clipped), params, update))
        expected = np.clip(p + u, -bound, bound)
        ulp = np.spacing(np.maximum(bound, np.abs(p)))  # the result is the sum of p and a number of about its size
        assert (np.abs(result - expected) <= ulp).all()
        for wrong in (p + np.clip(u, -bound, bound), np.clip(p, -bound, bound) + u):
            assert np.mean(np.abs(wrong - expected) > 0.001) > 0.1
        params = jnp.asarray(p + u)  # unclipped, so that the next step does not start inside the box


@pytest.mark.parametrize('clip_batch_norm', [True, False])
def test_clip_comes_last_and_may_spare_batch_norm(clip_batch_norm):
    params = {'Dense_0': {'kernel': jnp.full(3, 0.5)}, 'BatchNorm_0': {'scale': jnp.ones(3)}}
    optimizer = optimizers.make_optimizer('rmsprop', 5e-5, 0.0, 0.9, clip_value=0.01, clip_batch_norm=clip_batch_norm)
    updates, _ = optimizer.update(jax.tree.map(jnp.ones_like, params), optimizer.init(params), params)
    result = optax.apply_updates(params, updates)
    assert np.abs(np.asarray(result['Dense_0']['kernel'])).max() <= np.float32(0.01)
    # RMSProp's first step is the learning rate over sqrt(1 - 0.99) = 5e-4 for any gradient.
    expected = 0.01 if clip_batch_norm else 1.0 - 5e-4
    np.testing.assert_allclose(result['BatchNorm_0']['scale'], np.full(3, expected), rtol=1e-5)
