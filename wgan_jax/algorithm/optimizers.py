"""Optimizers with PyTorch's update rules, as optax transforms."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from wgan_jax.algorithm.weight_clipping import clip_weights


def rmsprop(learning_rate: float, eps: float = 1e-8) -> optax.GradientTransformation:
    """RMSProp with PyTorch's decay of 0.99, and epsilon outside the root as there.

    optax adds epsilon inside the root by default. The denominator is then at least 1e-4, which is often larger than the gradients
    of a clipped critic.
    """
    return optax.rmsprop(learning_rate, decay=0.99, eps=eps, eps_in_sqrt=False, initial_scale=0.0)


class AmsgradState(NamedTuple):
    """The state of scale_by_amsgrad; `nu_max` is the maximum of the raw second moments."""

    count: jax.Array
    mu: optax.Updates
    nu: optax.Updates
    nu_max: optax.Updates


def scale_by_amsgrad(b1: float, b2: float, eps: float = 1e-8) -> optax.GradientTransformation:
    """AMSGrad as in PyTorch: the maximum of the raw second moments, then the bias correction.

    `optax.amsgrad` takes the maximum of bias-corrected moments, which are large in the first steps, and keeps those for ever.
    """

    def init(params: optax.Params) -> AmsgradState:
        # Three separate sets of zeros, since a state that holds one buffer twice cannot be donated.
        return AmsgradState(jnp.zeros((), jnp.int32), *(optax.tree.zeros_like(params) for _ in range(3)))

    def update(
        updates: optax.Updates, state: AmsgradState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, AmsgradState]:
        del params
        count = state.count + 1
        mu = optax.tree.update_moment(updates, state.mu, b1, 1)
        nu = optax.tree.update_moment(updates, state.nu, b2, 2)
        nu_max = jax.tree.map(jnp.maximum, state.nu_max, nu)
        mu_hat = optax.tree.bias_correction(mu, b1, count)
        nu_hat = optax.tree.bias_correction(nu_max, b2, count)
        updates = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + eps), mu_hat, nu_hat)
        return updates, AmsgradState(count, mu, nu, nu_max)

    return optax.GradientTransformation(init, update)


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    'adam': lambda rate, b1, b2, eps: optax.adam(rate, b1, b2, eps=eps),
    'amsgrad': lambda rate, b1, b2, eps: optax.chain(scale_by_amsgrad(b1, b2, eps), optax.scale_by_learning_rate(rate)),
    'rmsprop': lambda rate, b1, b2, eps: rmsprop(rate, eps),
}


def make_optimizer(
    name: str,
    learning_rate: float,
    b1: float,
    b2: float,
    clip_value: float | None = None,
    clip_batch_norm: bool = True,
    eps: float = 1e-8,
    **options: Any,
) -> optax.GradientTransformation:
    """Builds the optimizer of one player.

    Args:
      name: a name in OPTIMIZERS.
      learning_rate: step size.
      b1: decay of the first moment; rmsprop ignores it.
      b2: decay of the second moment; rmsprop ignores it and uses 0.99, as the WGAN authors' code does.
      clip_value: clip the parameters to [-clip_value, clip_value] after each update; None for no clipping.
      clip_batch_norm: also clip the scales and shifts of batch norm, as the WGAN authors' code does.
      eps: added to the root of the second moment, after the correction of its bias; Keras adds it before.
      **options: what the function in OPTIMIZERS takes besides.
    """
    optimizer = OPTIMIZERS[name](learning_rate, b1, b2, eps, **options)
    if clip_value is None:
        return optimizer
    clip = clip_weights(clip_value)
    if not clip_batch_norm:
        clip = optax.masked(clip, _not_batch_norm)
    return optax.chain(optimizer, clip)


def _not_batch_norm(params: optax.Params) -> optax.Params:
    return jax.tree_util.tree_map_with_path(lambda path, _: 'BatchNorm' not in jax.tree_util.keystr(path), params)
