"""Our steps against the same training in PyTorch, with the same weights, images, latents, alphas and masks of dropout.

The fixtures are written by make_fixtures.py; nothing here needs PyTorch. docs/correctness.md gives the reasons for the bounds.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.reference import cases
from tests.reference.our_training import KEY, Case, fixture_of, flat, gradients_of, summary_of
from wgan_jax import convolutions
from wgan_jax.algorithm import steps
from wgan_jax.convolutions import fused, winograd
from wgan_jax.models import NETWORKS

# Compiles in three quarters of the time. All other tests, also those in float32, use XLA's default.
UNOPTIMISED = {'xla_backend_optimization_level': 0}
QUICK = {
    ('dcgan_no_norm', 'wgan_gp'),
    ('mlp_orthogonal', 'gan_hinge'),
    ('mlp_spectral', 'gan_hinge'),
    ('mlp', 'wgan_amsgrad'),
    ('mlp', 'wgan_lp'),
}  # the others take many minutes to compile
ONE_UPDATE = {  # per round, in place of three: every family of networks
    ('dcgan_extra_layers', 'gan_minimax'),
    ('dcgan_no_norm', 'wgan_gp'),
    ('dcgan_orthogonal', 'wgan_layers'),
    ('dcgan_spectral', 'wgan_layers'),
    ('keras_cnn_dropout', 'wgan_rmsprop'),
    ('mlp', 'wgan_lp'),
    ('resnet', 'wgan_rmsprop'),
    ('upsample_cnn', 'gan_non_saturating'),
}
# In float32: one objective of each network, with a penalty if there is one, and all with the smallest network.
FLOAT32 = set({networks: (networks, objective) for networks, objective in cases.pairs()}.values())
FLOAT32 |= {pair for pair in cases.pairs() if pair[0] == 'mlp'}
BY_TILES = ('dcgan_wide',)  # in a test of their own, which makes sure that they are
CASES = [pair for pair in cases.pairs() if pair[0] not in BY_TILES]
WGANS = ('wgan_rmsprop', 'wgan_gp')


def marked(quick, *case):
    return pytest.param(*case, marks=() if quick else pytest.mark.slow)


def assert_equal_but_for_rounding(values, expected):
    """Equal to 1e-9 of the largest: where a gradient is zero, Adam divides its rounding error of 1e-17 by 1e-8."""
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


def assert_rounds_are_those_of_pytorch(networks, objective, n_critic):
    """In float64: every loss, gradient norm, parameter and running statistic; then both players in inference mode."""
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
            if number == 0 and n_critic == 1:
                assert_equal_but_for_rounding(summary_of(gradients_of(player)), expected[f'{name}/first_gradients'])
    inputs = {'generator': jnp.asarray(case.inputs['latents'][0, 0], jnp.float64), 'critic': case.real[0, 0]}
    for name in cases.PLAYERS:
        player = getattr(state, name)
        variables = {'params': player.params, 'batch_stats': player.batch_stats}
        outputs = jax.jit(functools.partial(player.apply_fn, train=False))(variables, inputs[name])
        assert_equal_but_for_rounding(outputs.reshape(-1)[: cases.SAMPLE], expected[f'{name}/eval'])


@pytest.mark.parametrize(
    ('networks', 'objective', 'n_critic'),
    [
        *(marked(pair in QUICK, *pair, 3) for pair in CASES),
        *(marked(pair == ('mlp', 'wgan_lp'), *pair, 1) for pair in sorted(ONE_UPDATE)),
    ],
)
def test_rounds_are_those_of_pytorch_in_float64(double_precision, networks, objective, n_critic):
    assert_rounds_are_those_of_pytorch(networks, objective, n_critic)


@pytest.fixture
def tiles(monkeypatch):
    """{(outputs, taps)} of the tiles that are used."""
    used, by_tiles = set(), winograd._by_tiles

    def spy(inputs, kernel, side):
        used.add((side, len(kernel)))
        return by_tiles(inputs, kernel, side)

    monkeypatch.setattr(winograd, '_by_tiles', spy)
    return used


@pytest.mark.slow
@pytest.mark.parametrize('n_critic', cases.NETWORKS['dcgan_wide'].n_critics)
@pytest.mark.parametrize('objective', WGANS)
def test_rounds_of_wide_networks_by_tiles_are_those_of_pytorch(double_precision, tiles, objective, n_critic):
    """Wide enough that the convolutions on CPU choose tiles: 2x2 for strided and transposed layers, 4x4 for the 3x3 ones."""
    assert_rounds_are_those_of_pytorch('dcgan_wide', objective, n_critic)
    assert tiles == {(2, 2), (4, 3)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('networks', 'shapes'),
    [
        ('keras_cnn', {(2, 3)}),
        ('upsample_cnn_layer_norm', {(2, 3)}),
    ],
)
@pytest.mark.parametrize('objective', WGANS)
def test_rounds_with_tiles_wherever_they_can_be_used_are_those_of_pytorch(
    double_precision, monkeypatch, tiles, networks, shapes, objective
):
    monkeypatch.setattr(winograd, 'is_faster', lambda strides, kernel, outputs: (strides, len(kernel)) in winograd.KERNELS)
    assert_rounds_are_those_of_pytorch(networks, objective, 1)
    assert tiles == shapes


@pytest.fixture
def strides(monkeypatch):
    """{(window strides, dilation of the inputs)} of XLA's convolutions; those of CPU must not be used."""
    used, xlas = set(), lax.conv_general_dilated

    def spy(inputs, kernel, window_strides, padding, lhs_dilation=None, **options):
        used.add((tuple(window_strides), tuple(lhs_dilation or (1, 1))))
        return xlas(inputs, kernel, window_strides, padding, lhs_dilation=lhs_dilation, **options)

    def unexpected(*args, **options):
        raise AssertionError('a convolution for CPU')

    monkeypatch.setattr(lax, 'conv_general_dilated', spy)
    for module, name in (
        (convolutions, 'convolution_on_cpu'),
        (convolutions, 'transposed_convolution_on_cpu'),
        (fused, 'upsampled_convolution_on_cpu'),
    ):
        monkeypatch.setattr(module, name, unexpected)
    return used


DIRECT, STRIDED, TRANSPOSED = ((1, 1), (1, 1)), ((2, 2), (1, 1)), ((1, 1), (2, 2))


@pytest.mark.parametrize(
    ('networks', 'objective', 'kinds'),
    [
        ('dcgan_no_norm', 'wgan_gp', {DIRECT, STRIDED, TRANSPOSED}),
        marked(False, 'dcgan_no_norm', 'wgan_rmsprop', {DIRECT, STRIDED, TRANSPOSED}),
        *(marked(False, 'keras_cnn_dropout', objective, {DIRECT, STRIDED}) for objective in WGANS),
        *(marked(False, 'resnet', objective, {DIRECT, STRIDED}) for objective in WGANS),
        *(marked(False, 'upsample_cnn_layer_norm', objective, {DIRECT}) for objective in WGANS),
        marked(False, 'upsample_cnn', 'wgan_rmsprop', {DIRECT}),
    ],
)
def test_rounds_with_the_convolutions_for_gpu_and_tpu_are_those_of_pytorch(double_precision, strides, networks, objective, kinds):
    with convolutions.compiling_for('gpu'):
        assert_rounds_are_those_of_pytorch(networks, objective, 1)
    assert strides == kinds


def length(leaves):
    """Of all values together, as one vector."""
    return np.linalg.norm(np.concatenate([np.ravel(leaf) for leaf in leaves]))


@pytest.mark.parametrize(
    ('networks', 'objective'),
    [marked(pair in (('mlp', 'wgan_gp'), ('dcgan_no_norm', 'wgan_lp')), *pair) for pair in sorted(FLOAT32)],
)
def test_steps_are_those_of_pytorch_in_float32(networks, objective):
    """The first losses and every value of the first gradients; then the way of the parameters in all rounds."""
    case = Case(networks, objective, 1, jnp.float32)
    state, expected = case.state, case.expected
    critic_step = jax.jit(functools.partial(steps.critic_step, **case.settings, **case.penalty))
    generator_step = jax.jit(functools.partial(steps.generator_step, batch_size=case.networks.batch_size, **case.settings))
    for number, (real,) in enumerate(case.real):
        state, of_critic = critic_step(state, real, KEY)
        state, of_generator = generator_step(state, KEY)
        if number == 0:
            numbers = case.numbers(state, {**of_critic, **of_generator})
            for quantity, value, given in zip(cases.NUMBERS, numbers, expected['numbers'][0], strict=True):
                # A loss is a difference of scores of about 1, so its rounding error is theirs, however small it is.
                np.testing.assert_allclose(value, given, rtol=5e-5, atol=0 if quantity.endswith('norm') else 1e-5, err_msg=quantity)
            for name in cases.PLAYERS:
                gradients, given = flat(gradients_of(getattr(state, name))), cases.below(expected, f'{name}/gradients')
                assert gradients.keys() == given.keys()
                whole = length(given.values())
                for leaf, values in gradients.items():
                    error = length([values - given[leaf]])
                    assert error <= 1e-4 * length([given[leaf]]) + 1e-6 * whole, (name, leaf)
    for name in cases.PLAYERS:
        start = cases.summary(cases.below(case.inputs, f'{name}/params'))[3:]
        params, given = summary_of(getattr(state, name).params)[3:], expected[f'{name}/params'][-1][3:]
        slopes = np.abs(expected[f'{name}/first_gradients'][3:])
        moved = slopes > 1e-6 * slopes.max()  # elsewhere Adam and RMSProp turn rounding errors into steps
        assert length([(params - given)[moved]]) <= 1e-2 * length([(given - start)[moved]]), name


def test_every_family_of_networks_is_compared_with_every_kind_of_objective():
    """A GAN, clipping and a penalty."""
    kinds = {name: name.partition('_')[0] + str(bool(one.gp_weight)) for name, one in cases.OBJECTIVES.items()}
    compared = {(cases.NETWORKS[networks].critic['network'], kinds[objective]) for networks, objective in cases.pairs()}
    assert compared == set(itertools.product(NETWORKS, kinds.values()))
    assert {cases.NETWORKS[networks].critic['network'] for networks, _ in ONE_UPDATE} == NETWORKS.keys()
    assert set(cases.pairs()) > QUICK | ONE_UPDATE


@pytest.mark.parametrize('networks', cases.NETWORKS)
def test_a_fixture_has_the_numbers_of_its_cases(networks):
    objectives = [objective for name, objective in cases.pairs() if name == networks]
    of_cases = {f'{objective}/{n_critic}' for objective in objectives for n_critic in cases.NETWORKS[networks].n_critics}
    parts = {'/'.join(name.split('/')[:2]) for name in fixture_of(networks) if not name.startswith('inputs/')}
    assert parts == of_cases
