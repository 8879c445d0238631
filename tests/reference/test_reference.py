"""Our steps against the same training in PyTorch, with the same weights, images, latents and alphas.

The fixtures are written by make_fixtures.py; nothing here needs PyTorch. docs/correctness.md derives the bounds.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.reference import cases
from wgan_jax.algorithm import noise, steps
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.optimizers import make_optimizer
from wgan_jax.algorithm.state import create_state
from wgan_jax.models import NETWORKS, make_network

KEY = jax.random.key(0)  # no noise is drawn from it: all noise is given, and there is no dropout
# Compiles in three quarters of the time. All other tests, also those in float32, use XLA's default.
UNOPTIMISED = {'xla_backend_optimization_level': 0}
# Every family of networks and every objective at least once; the others take many minutes to compile.
QUICK = {
    ('dcgan_extra_layers', 'gan_minimax'),
    ('dcgan_no_norm', 'wgan_gp'),
    ('keras_cnn', 'wgan_rmsprop'),
    ('mlp', 'wgan_amsgrad'),
    ('mlp', 'wgan_lp'),
    ('resnet', 'wgan_rmsprop'),
    ('upsample_cnn', 'gan_non_saturating'),
}


def marked(quick, *case):
    return pytest.param(*case, marks=() if quick else pytest.mark.slow)


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


def summary_of(tree):
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return cases.summary({'/'.join(key.key for key in path): np.asarray(leaf) for path, leaf in leaves})


def keep_gradients():
    """An optax transform that does not change the updates; its state is the last gradients."""
    return optax.GradientTransformation(lambda params: jax.tree.map(jnp.zeros_like, params), lambda updates, *_: (updates, updates))


def gradients_of(player):
    return player.opt_state[0]


def norm_of(tree):
    """In numpy, because jax would compile it for each shape."""
    return np.linalg.norm(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]).astype(np.float64))


def make_state(inputs, networks, objective, dtype):
    """The players of a case with its initial weights."""
    shape, *sections = networks
    players = [make_network(player, shape, **section) for player, section in zip(cases.PLAYERS, sections, strict=True)]
    tx = optax.chain(keep_gradients(), make_optimizer(**objective.optimizer))
    clipped = optax.chain(keep_gradients(), make_optimizer(**objective.optimizer, clip_value=objective.clip_value))
    shapes = jax.eval_shape(lambda: create_state(KEY, *players, tx, clipped, latent_dim=cases.LATENT_DIM))
    # The moments and counts of the optimizers start at zero; everything else is replaced below.
    state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, dtype if leaf.dtype == jnp.float32 else leaf.dtype), shapes)
    given = {
        name: jax.tree.map(lambda values: jnp.asarray(values, dtype), nested(cases.below(inputs, name))) for name in cases.PLAYERS
    }
    if networks.critic['network'] == 'keras_cnn':
        without_dropout = shapes.critic.apply_fn
        given['critic']['apply_fn'] = lambda *args, train, **options: without_dropout(*args, train=False, **options)
    return state.replace(**{name: getattr(state, name).replace(**given[name]) for name in cases.PLAYERS})


def given_noise(inputs, n_critic, dtype):
    """A replacement of noise.draw that returns the noise of the fixture."""
    latents, alpha = jnp.asarray(inputs['latents'], dtype), jnp.asarray(inputs['alpha'], dtype)

    def draw(key, player, update, batch_size, latent_dim, axis_name):
        assert (batch_size, latent_dim, axis_name) == (cases.BATCH_SIZE, cases.LATENT_DIM, None)
        if player == 'generator':
            return noise.Noise(latents[update, -1], None, key)
        number, update = update // n_critic, update % n_critic
        return noise.Noise(latents[number, update], alpha[number, update], key)

    return draw


class Case:
    """The state, the settings and the expected results of a case."""

    def __init__(self, networks, objective, n_critic, dtype):
        arrays, game = fixture_of(networks), cases.OBJECTIVES[objective]
        self.inputs, self.expected = cases.below(arrays, 'inputs'), cases.below(arrays, f'{objective}/{n_critic}')
        self.state = make_state(self.inputs, cases.NETWORKS[networks], game, dtype)
        self.real = jnp.asarray(self.inputs['real'][:, :n_critic], dtype)
        draw = given_noise(self.inputs, n_critic, dtype)
        self.settings = {'loss': LOSSES[game.loss], 'latent_dim': cases.LATENT_DIM, 'draw': draw}
        self.penalty = {'gp_weight': game.gp_weight, 'gp_one_sided': game.gp_one_sided}

    def numbers(self, state, metrics):
        norms = {f'{name}_norm': norm_of(gradients_of(getattr(state, name))) for name in cases.PLAYERS}
        return [float({'gradient_penalty': 0.0, **metrics, **norms}[name]) for name in cases.NUMBERS]


def assert_equal_but_for_rounding(values, expected):
    """Equal to 1e-9 of the largest: where a gradient is zero, Adam divides its rounding error of 1e-17 by 1e-8."""
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize(
    ('networks', 'objective', 'n_critic'),
    [
        *(marked(pair in QUICK, *pair, 3) for pair in cases.pairs()),
        *(marked(pair == ('mlp', 'wgan_lp'), *pair, 1) for pair in sorted(QUICK)),
    ],
)
def test_rounds_are_those_of_pytorch_in_float64(double_precision, networks, objective, n_critic):
    """Five rounds: every loss, gradient norm, parameter and running statistic; then both players in inference mode."""
    case = Case(networks, objective, n_critic, jnp.float64)
    state, expected = case.state, case.expected
    run = jax.jit(functools.partial(steps.train_round, **case.settings, **case.penalty), compiler_options=UNOPTIMISED)
    for number, real in enumerate(case.real):
        state, metrics = run(state, real, KEY)
        np.testing.assert_allclose(case.numbers(state, metrics), expected['numbers'][number], rtol=1e-9, atol=1e-13)
        for name in cases.PLAYERS:
            player = getattr(state, name)
            assert_equal_but_for_rounding(summary_of(player.params), expected[f'{name}/params'][number])
            if player.batch_stats:
                assert_equal_but_for_rounding(summary_of(player.batch_stats), expected[f'{name}/batch_stats'][number])
    inputs = {'generator': jnp.asarray(case.inputs['latents'][0, 0], jnp.float64), 'critic': case.real[0, 0]}
    for name in cases.PLAYERS:
        player = getattr(state, name)
        variables = {'params': player.params, 'batch_stats': player.batch_stats}
        outputs = jax.jit(functools.partial(player.apply_fn, train=False))(variables, inputs[name])
        assert_equal_but_for_rounding(outputs.reshape(-1)[: cases.SAMPLE], expected[f'{name}/eval'])


def largest_step(optimizer, updates):
    """The largest change of a parameter in `updates` updates of Adam or RMSProp, by the Cauchy-Schwarz inequality."""
    total, rate = 0.0, optimizer['learning_rate']
    for t in range(1, updates + 1):
        ages = np.arange(t)
        b1, b2 = (0.0, 0.99) if optimizer['name'] == 'rmsprop' else (optimizer['b1'], optimizer['b2'])
        first, second = (1 - b1) * b1**ages, (1 - b2) * b2**ages
        if optimizer['name'] != 'rmsprop':  # RMSProp has no bias correction
            first, second = first / (1 - b1**t), second / (1 - b2**t)
        total += rate * np.sqrt(np.sum(first**2 / second))
    return total


@pytest.mark.parametrize(
    ('networks', 'objective'),
    [marked(pair in (('mlp', 'wgan_gp'), ('dcgan_no_norm', 'wgan_gp')), *pair) for pair in cases.pairs()],
)
def test_steps_are_those_of_pytorch_in_float32(networks, objective):
    """The first losses and gradients to 1e-5, and parameters after five rounds."""
    case = Case(networks, objective, 1, jnp.float32)
    state, expected, optimizer = case.state, case.expected, cases.OBJECTIVES[objective].optimizer
    critic_step = jax.jit(functools.partial(steps.critic_step, **case.settings, **case.penalty))
    generator_step = jax.jit(functools.partial(steps.generator_step, batch_size=cases.BATCH_SIZE, **case.settings))
    for number, (real,) in enumerate(case.real):
        state, of_critic = critic_step(state, real, KEY)
        state, of_generator = generator_step(state, KEY)
        if number == 0:
            numbers = case.numbers(state, {**of_critic, **of_generator})
            for quantity, value, given in zip(cases.NUMBERS, numbers, expected['numbers'][0], strict=True):
                # A loss is a difference of scores of about 1, so its rounding error is theirs, however small it is.
                np.testing.assert_allclose(value, given, rtol=1e-5, atol=0 if quantity.endswith('norm') else 1e-6, err_msg=quantity)
            for name in cases.PLAYERS:
                gradients, given = summary_of(gradients_of(getattr(state, name)))[3:], expected[f'{name}/first_gradients'][3:]
                assert np.linalg.norm(gradients - given) <= 1e-5 * np.linalg.norm(given)
    for name in cases.PLAYERS:
        params, given = summary_of(getattr(state, name).params)[3:], expected[f'{name}/params'][-1][3:]
        error, reach = np.abs(params - given), largest_step(optimizer, cases.ROUNDS)
        assert error.max() <= 2 * reach
        assert np.median(error) <= 1e-4 * reach + cases.ROUNDS * 2.0**-24 * np.abs(given).max()


def test_the_reach_of_an_optimizer_by_hand():
    assert largest_step({'name': 'adam', 'learning_rate': 0.1, 'b1': 0.0, 'b2': 0.9}, 1) == pytest.approx(0.1)
    assert largest_step({'name': 'rmsprop', 'learning_rate': 0.1}, 3) == pytest.approx(3.0)
    # One large gradient after a small one: m = g (1 - b1) / (1 - b1^2), v = g^2 (1 - b2) / (1 - b2^2).
    options = {'name': 'adam', 'learning_rate': 1.0, 'b1': 0.0, 'b2': 0.9}
    assert largest_step(options, 2) == pytest.approx(1.0 + np.sqrt((1 - 0.81) / (1 - 0.9)))


def test_every_family_of_networks_and_every_objective_is_among_the_quick_ones():
    assert {cases.NETWORKS[networks].critic['network'] for networks, _ in QUICK} == NETWORKS.keys()
    assert {objective for _, objective in QUICK} == set(cases.OBJECTIVES)
    assert set(cases.pairs()) > QUICK
