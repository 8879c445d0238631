import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from wgan_jax.algorithm.weight_clipping import clip_weights


@pytest.mark.parametrize('jit', [False, True])
@pytest.mark.parametrize('clip_value', [0.01, 0.1, 1e-4])
@pytest.mark.parametrize('scale', [0.01, 1.0, 100.0, 1e6, 1e20])
def test_clipped_weights_never_leave_the_box(jit, clip_value, scale):
    """Without tolerance, from far outside the box, and with steps of every size."""
    rng = np.random.default_rng(0)
    params = jnp.asarray(rng.uniform(-scale, scale, 20_000), jnp.float32)
    clip = clip_weights(clip_value)

    def apply(updates, params):
        return optax.apply_updates(params, clip.update(updates, optax.EmptyState(), params)[0])

    apply = jax.jit(apply) if jit else apply
    for size in (5e-5, 0.05, scale):
        params = apply(jnp.asarray(rng.normal(size=20_000) * size, jnp.float32), params)
        assert np.abs(np.asarray(params)).max() <= np.float32(clip_value)


def test_clip_leaves_weights_inside_the_box_alone():
    params, updates = jnp.array([0.001, -0.002]), jnp.array([0.003, 0.004])
    clipped, _ = clip_weights(0.01).update(updates, optax.EmptyState(), params)
    np.testing.assert_allclose(optax.apply_updates(params, clipped), [0.004, 0.002], rtol=1e-6)


def test_clip_needs_the_parameters():
    with pytest.raises(ValueError, match='parameters'):
        clip_weights(0.01).update(jnp.ones(2), optax.EmptyState())
