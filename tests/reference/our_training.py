"""The cases of cases.py in this package: its steps with the initial weights, images and noise of the fixtures."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.reference import cases
from wgan_jax.algorithm import noise
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.optimizers import make_optimizer
from wgan_jax.algorithm.state import create_state
from wgan_jax.models import make_network

KEY = jax.random.key(0)  # no noise is drawn from it: all noise is given


@functools.cache
def fixture_of(networks):
    with np.load(cases.FIXTURES / f'{networks}.npz', allow_pickle=False) as arrays:
        return dict(arrays)


def nested(flat):
    tree = {}
    for name, values in flat.items():
        *path, last = name.split('/')
        functools.reduce(lambda node, key: node.setdefault(key, {}), path, tree)[last] = values
    return tree


def flat(tree):
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {'/'.join(key.key for key in path): np.asarray(leaf) for path, leaf in leaves}


def summary_of(tree):
    return cases.summary(flat(tree))


def keep_gradients():
    """An optax transform that does not change the updates; its state is the last gradients."""
    return optax.GradientTransformation(lambda params: jax.tree.map(jnp.zeros_like, params), lambda updates, *_: (updates, updates))


def gradients_of(player):
    return player.opt_state[0]


def norm_of(tree):
    """In numpy, because jax would compile it for each shape."""
    return np.linalg.norm(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]).astype(np.float64))


def without_dropout(apply):
    return lambda *args, train, **options: apply(*args, train=False, **options)


def with_masks(apply, inputs, n_critic):
    """The network with the masks of the fixture, which belong to the key that a pass is given.

    Each pass has its own key, derived by the steps from the key of its update in `given_noise`. jax.random.bernoulli, from which
    flax.linen.Dropout takes a mask, is replaced while the network is applied.
    """
    rounds, updates = len(inputs['pixels']), len(inputs['pixels']) * n_critic
    keys = [jax.random.split(jax.random.fold_in(KEY, update), cases.PASSES) for update in range(updates)]
    keys = jax.random.key_data(jnp.concatenate([*keys, jnp.stack([jax.random.fold_in(KEY, updates + i) for i in range(rounds)])]))
    layers = []
    for values in cases.below(inputs, 'dropout').values():
        of_critic, of_generator = values[:, : cases.PASSES * n_critic], values[:, -1]
        layers.append(jnp.asarray(np.concatenate([of_critic.reshape(-1, *values.shape[2:]), of_generator])))

    def masked(variables, images, *, train, rngs=None, **options):
        if not train:
            return apply(variables, images, train=False, **options)
        which = jnp.argmax(jnp.all(keys == jax.random.key_data(rngs['dropout'])[None], axis=-1))
        numbers = [cases.uniforms(layer[which]) for layer in layers]

        def bernoulli(key, p, shape):
            uniforms = numbers.pop(0)
            return uniforms.reshape(shape) < p

        drawn, jax.random.bernoulli = jax.random.bernoulli, bernoulli
        try:
            outputs = apply(variables, images, train=True, rngs=rngs, **options)
        finally:
            jax.random.bernoulli = drawn
        assert not numbers
        return outputs

    return masked


def make_state(inputs, networks, objective, n_critic, dtype):
    """The players of a case with its initial weights."""
    players = [
        make_network(player, networks.image_shape, **section)
        for player, section in zip(cases.PLAYERS, (networks.generator, networks.critic), strict=True)
    ]
    tx = optax.chain(keep_gradients(), make_optimizer(**objective.optimizer))
    clipped = optax.chain(keep_gradients(), make_optimizer(**objective.optimizer, clip_value=objective.clip_value))
    shapes = jax.eval_shape(lambda: create_state(KEY, *players, tx, clipped, latent_dim=cases.LATENT_DIM))
    # The moments and counts of the optimizers start at zero; everything else is replaced below.
    state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, dtype if leaf.dtype == jnp.float32 else leaf.dtype), shapes)
    given = {
        name: jax.tree.map(lambda values: jnp.asarray(values, dtype), nested(cases.below(inputs, name))) for name in cases.PLAYERS
    }
    if networks.critic['network'] == 'keras_cnn':
        apply = shapes.critic.apply_fn
        given['critic']['apply_fn'] = with_masks(apply, inputs, n_critic) if networks.dropout else without_dropout(apply)
    return state.replace(**{name: getattr(state, name).replace(**given[name]) for name in cases.PLAYERS})


def given_noise(inputs, n_critic, dtype):
    """A replacement of noise.draw that returns the noise of the fixture."""
    latents, alpha = jnp.asarray(inputs['latents'], dtype), jnp.asarray(inputs['alpha'], dtype)
    rounds, batch = len(latents), latents.shape[2]

    def draw(key, player, update, batch_size, latent_dim, axis_name):
        assert (batch_size, latent_dim, axis_name) == (batch, cases.LATENT_DIM, None)
        if player == 'generator':
            return noise.Noise(latents[update, -1], None, jax.random.fold_in(KEY, rounds * n_critic + update))
        dropout_key, (number, update) = jax.random.fold_in(KEY, update), (update // n_critic, update % n_critic)
        return noise.Noise(latents[number, update], alpha[number, update], dropout_key)

    return draw


class Case:
    """The state, the settings and the expected results of a case."""

    def __init__(self, networks, objective, n_critic, dtype):
        arrays, self.objective = fixture_of(networks), cases.OBJECTIVES[objective]
        self.networks, game = cases.NETWORKS[networks], self.objective
        self.inputs, self.expected = cases.below(arrays, 'inputs'), cases.below(arrays, f'{objective}/{n_critic}')
        self.state = make_state(self.inputs, self.networks, game, n_critic, dtype)
        self.real = jnp.asarray(cases.real_images(self.inputs)[:, :n_critic], dtype)
        draw = given_noise(self.inputs, n_critic, dtype)
        self.settings = {'loss': LOSSES[game.loss], 'latent_dim': cases.LATENT_DIM, 'draw': draw}
        self.penalty = {'gp_weight': game.gp_weight, 'gp_one_sided': game.gp_one_sided}

    def numbers(self, state, metrics):
        norms = {f'{name}_norm': norm_of(gradients_of(getattr(state, name))) for name in cases.PLAYERS}
        return [float({'gradient_penalty': 0.0, **metrics, **norms}[name]) for name in cases.NUMBERS]
