"""Weight clipping as an optax transform (Arjovsky et al. 2017)."""

import jax
import jax.numpy as jnp
import optax


def clip_weights(clip_value: float) -> optax.GradientTransformation:
    """Changes each update so that the updated weight lies in [-clip_value, clip_value]; must be the last transform of a chain.

    `update` needs `params`. After `optax.apply_updates` every weight w has |w| <= float32(clip_value), without tolerance:
    Algorithm 1, line 7 of Arjovsky et al. 2017.
    """

    def update_leaf(update: jax.Array, param: jax.Array) -> jax.Array:
        bound = jnp.asarray(clip_value, param.dtype)
        target = jnp.clip(param + update, -bound, bound)
        step = target - param
        # param + (target - param) is rounded, and can end some ulp outside. The next smaller step ends inside, unless the weight is
        # so large that even this misses the interval: then go to zero, which is exact.
        inward = jnp.nextafter(step, -jnp.sign(target) * jnp.inf)
        step = jnp.where(jnp.abs(param + step) > bound, inward, step)
        return jnp.where(jnp.abs(param + step) > bound, -param, step)

    def update(
        updates: optax.Updates, state: optax.EmptyState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.EmptyState]:
        if params is None:
            raise ValueError('clip_weights needs the parameters: call update(updates, state, params)')
        return jax.tree.map(update_leaf, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
