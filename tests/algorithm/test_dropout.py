"""Dropout, in the KerasCNN critic and in the steps, by its statistics: no two libraries draw the same masks."""

import functools
import itertools

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest
from flax.errors import InvalidRngError

from wgan_jax.algorithm import steps
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.state import create_state
from wgan_jax.models import make_network


def dropped(function):
    """Inputs and outputs of the dropout layers while `function` runs: [(name of the layer, inputs, outputs)], in order."""
    seen = []

    def spy(call, args, kwargs, context):
        outputs = call(*args, **kwargs)
        if isinstance(context.module, nn.Dropout):
            note = functools.partial(lambda name, *values: seen.append((name, *map(np.array, values))), context.module.name)
            jax.debug.callback(note, args[0], outputs, ordered=True)  # there are no values inside a gradient or a compiled function
        return outputs

    with nn.intercept_methods(spy):
        function()
    jax.effects_barrier()
    return seen


def random_variables(network, inputs):
    """Random weights, without compiling the initialisers."""
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), inputs, train=False))
    generator = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: generator.normal(size=leaf.shape).astype(np.float32), shapes)


def test_dropout_drops_and_scales_as_the_source_does():
    """Rates 0.3, 0.3 and 0.2; survivors are scaled to keep the mean; masks of another key are independent."""
    critic = make_network('critic', (8, 8, 1), 'keras_cnn', num_features=8)
    images = jax.random.normal(jax.random.key(0), (256, 8, 8, 1))
    variables = random_variables(critic, images)

    @jax.jit
    def score(key):
        return critic.apply(variables, images, train=True, rngs={'dropout': key})

    passes = dropped(lambda: [score(jax.random.key(seed)) for seed in (0, 1)])
    layers_seen, others = passes[:3], passes[3:]
    assert [name for name, _, _ in layers_seen] == ['Dropout_0', 'Dropout_1', 'Dropout_2']
    for (_, inputs, outputs), (_, _, other), rate in zip(layers_seen, others, (0.3, 0.3, 0.2), strict=True):
        assert np.all(inputs != 0.0)  # so that what is zero was dropped
        kept = outputs != 0.0
        np.testing.assert_allclose(outputs[kept], inputs[kept] / (1.0 - rate), rtol=1e-6)
        deviation = np.sqrt(rate * (1.0 - rate) / kept.size)
        assert abs(np.mean(~kept) - rate) < 5 * deviation
        assert 10 * deviation < 0.1  # 0.2 and 0.3 can be told apart
        # The same for each example and each unit: values are dropped independently, not in whole maps or images.
        for axes in (0, tuple(range(1, kept.ndim))):
            means = np.mean(~kept, axis=axes)
            assert np.abs(means - rate).max() < 5.5 * deviation * np.sqrt(means.size)
        agreement = rate**2 + (1.0 - rate) ** 2
        assert abs(np.mean(kept == (other != 0.0)) - agreement) < 5 * np.sqrt(agreement * (1.0 - agreement) / kept.size)


def test_without_training_dropout_is_the_identity_and_needs_no_key():
    critic = make_network('critic', (8, 8, 1), 'keras_cnn', num_features=4)
    images = jax.random.normal(jax.random.key(0), (2, 8, 8, 1))
    variables = random_variables(critic, images)
    layers_seen = dropped(lambda: jax.jit(functools.partial(critic.apply, train=False))(variables, images))
    assert len(layers_seen) == 3
    for _, inputs, outputs in layers_seen:
        np.testing.assert_array_equal(inputs, outputs)
    with pytest.raises(InvalidRngError, match='dropout'):  # training needs the key
        jax.eval_shape(functools.partial(critic.apply, train=True), variables, images)


class DroppingCritic(nn.Module):
    """A critic of one layer and dropout, which is quickly differentiated twice."""

    @nn.compact
    def __call__(self, images, *, train, axis_name=None):
        x = nn.Dropout(0.3, deterministic=not train)(images.reshape(images.shape[0], -1))
        return nn.Dense(1)(x)[:, 0]


def test_every_pass_of_every_update_has_its_own_mask():
    """The real, fake and interpolated images of a critic step and the fakes of a generator step, in two rounds."""
    generator = make_network('generator', (8, 8, 1), 'mlp', num_features=4)
    state = create_state(jax.random.key(0), generator, DroppingCritic(), optax.sgd(0.1), optax.sgd(0.1), latent_dim=3)
    real, game = jax.random.normal(jax.random.key(1), (32, 8, 8, 1)), {'loss': LOSSES['wasserstein'], 'latent_dim': 3}

    @jax.jit
    def one_round(state):
        after, key = state, jax.random.key(2)
        after, _ = steps.critic_step(after, real, key, gp_weight=10.0, **game)
        return steps.generator_step(after, key, batch_size=32, **game)[0]

    masks = [outputs != 0.0 for _, _, outputs in dropped(lambda: one_round(one_round(state)))]
    assert len(masks) == 2 * (3 + 1)
    agreement = 0.3**2 + 0.7**2
    for one, other in itertools.combinations(masks, 2):
        assert abs(np.mean(one == other) - agreement) < 5 * np.sqrt(agreement * (1.0 - agreement) / one.size)
