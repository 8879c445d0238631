"""Names that are registered from outside of the package: what is refused, and what training makes of the rest."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.tiny_runs import tiny
from wgan_jax import extend
from wgan_jax.algorithm.optimizers import make_optimizer
from wgan_jax.data.source import Source
from wgan_jax.errors import UserError
from wgan_jax.metrics.score_table import Score
from wgan_jax.runs.build import build, prepare
from wgan_jax.training.trainer import prepare_images


class Flat(nn.Module):
    image_shape: tuple[int, ...]
    dtype: jnp.dtype | None = None
    ending: str = 'scores'

    @nn.compact
    def __call__(self, inputs, *, train, axis_name=None):
        scores = nn.Dense(1)(inputs.reshape(len(inputs), -1))
        return scores if self.ending == 'column' else scores[:, 0]


class Painter(nn.Module):
    image_shape: tuple[int, ...]
    dtype: jnp.dtype | None = None
    shape: tuple[int, ...] = (8, 8, 1)

    @nn.compact
    def __call__(self, latents, *, train, axis_name=None):
        return jnp.tanh(nn.Dense(64)(latents)).reshape(-1, *self.shape)


class WithoutShape(nn.Module):
    dtype: jnp.dtype | None = None

    def __call__(self, inputs, *, train):
        return inputs


def forget():
    """Other tests of this process have the registries of the package."""
    for kind, name in list(extend.OWN):
        del extend.OWN[kind, name], extend._REGISTRIES[kind][name]


def config_of(generator='painter', critic='painter', **options):
    config = tiny()
    for player, name in ((config.generator, generator), (config.critic, critic)):
        player.update(network=name, num_features=None, num_layers=None, norm=None, bounded=None)
    with config.unlocked():
        for key, value in options.items():
            player, _, option = key.partition('_')
            config[player][option] = value
    return config


@pytest.fixture(autouse=True)
def painter():
    extend.network('painter', Painter, Flat)
    yield
    forget()


def test_a_network_has_options_of_its_own():
    state = build(config_of()).create_state()
    assert {name: leaf.shape for name, leaf in state.critic.params['Dense_0'].items()} == {'kernel': (64, 1), 'bias': (1,)}
    with pytest.raises(
        UserError, match=r"critic\.colour='red' does not apply to config\.critic\.network=painter, which has only ending"
    ):
        build(config_of(critic_colour='red'))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'critic_ending': 'column'}, r'gives 2 images scores of shape \(2, 1\), in which losses would mix up examples'),
        ({'generator_shape': (1, 8, 8)}, r'makes images of shape \(1, 8, 8\), and the data has \(8, 8, 1\)'),
    ],
)
def test_images_and_scores_of_other_shapes_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        build(config_of(**options))


def test_what_only_this_process_knows_is_said(capsys):
    config = config_of()
    config.critic = tiny().critic
    prepare(config)
    assert 'Warning: config.generator.network=painter is registered by code that the run does not keep' in capsys.readouterr().out


def test_an_optimizer_has_options_of_its_own():
    extend.optimizer('sgd', lambda rate, b1, b2, eps, momentum=0.0: optax.sgd(rate, momentum=momentum))
    updates = []
    for momentum in (0.0, 0.5):
        transform = make_optimizer('sgd', 0.1, 0.0, 0.9, momentum=momentum)
        state = transform.init(jnp.zeros(1))
        for _ in range(2):
            update, state = transform.update(jnp.ones(1), state)
        updates.append(float(update[0]))
    np.testing.assert_allclose(updates, [-0.1, -0.15], rtol=1e-6)


@pytest.mark.parametrize(('name', 'what'), [('adam', 'which has no options'), ('sgd', 'whose options are momentum')])
def test_an_unknown_option_of_an_optimizer_is_refused(name, what):
    extend.optimizer('sgd', lambda rate, b1, b2, eps, momentum=0.0: optax.sgd(rate, momentum=momentum))
    config = tiny()
    config.critic_optimizer.name = name
    with config.unlocked():
        config.critic_optimizer.weight_decay = 0.1
    with pytest.raises(UserError, match=rf'critic_optimizer\.weight_decay=0\.1 does not apply to .*\.name={name}, {what}'):
        build(config)


def test_a_data_set_whose_values_are_not_as_described_is_refused(tmp_path):
    def source(values=None):
        arrays = {None: np.zeros((9, 8, 8, 1), np.uint8), 'float': np.zeros((9, 8, 8, 1)), 'axes': np.zeros((9, 1, 8, 8), np.uint8)}
        return Source((8, 8, 1), 9, lambda: arrays[values])

    extend.data_set('squares', source)
    for values, message in [
        ('float', r'has loaded float64 of shape \(9, 8, 8, 1\), and its Source describes uint8'),
        ('axes', r'has loaded uint8 of shape \(9, 1, 8, 8\)'),
    ]:
        config = tiny()
        config.data.update(name='squares', split=None)
        with config.unlocked():
            config.data['values'] = values
        with pytest.raises(UserError, match=message):
            prepare_images(build(config), str(tmp_path))
    extend.data_set('points', lambda: Source((1, 1, 2), 9, lambda: np.full((9, 1, 1, 2), np.nan, np.float32), np.float32))
    config = tiny()
    config.data.update(name='points', split=None)
    config.generator.bounded = False
    with pytest.raises(UserError, match=r'data\.name=points has loaded a value that is not finite'):
        prepare_images(build(config), str(tmp_path))
    extend.data_set('floats', lambda: Source((8, 8, 1), 9, lambda: np.zeros((9, 8, 8, 1), np.float32), np.float32))
    config.data.name = 'floats'
    with pytest.raises(UserError, match=r'has loaded float32 of shape \(9, 8, 8, 1\): images are uint8 from 0 to 255, and points'):
        prepare_images(build(config), str(tmp_path))


@pytest.mark.parametrize(
    ('action', 'message'),
    [
        (lambda: extend.network('dcgan', Painter, Flat), "wgan_jax has a network 'dcgan' already"),
        (lambda: extend.loss('hinge', lambda r, f: r.mean() - f.mean(), jnp.mean), "wgan_jax has a loss 'hinge' already"),
        (
            lambda: extend.network('new', WithoutShape, Flat),
            "generator WithoutShape of the network 'new' lacks the field image_shape and the argument axis_name of __call__",
        ),
        (
            lambda: extend.loss('new', lambda r, f: f - r, jnp.mean),
            r"critic's loss of 'new' must be one number, .* the shape \(4,\)",
        ),
        (lambda: extend.loss('new', lambda r, f: jnp.mean(f), lambda f: [f]), "generator's loss of 'new' .* has another type"),
        (lambda: extend.optimizer('new', lambda *numbers: 3), "optimizer 'new' must be an optax transformation, and it is int"),
        (lambda: extend.data_set('new', lambda size: None), "argument size of the data set 'new' has no default"),
        (lambda: extend.score('new', Score(lambda sample, train: {})), "score 'new' names no number as lower, higher or shown"),
    ],
)
def test_mistakes(action, message):
    with pytest.raises(UserError, match=message):
        action()


def test_a_generator_with_dropout_is_refused_and_a_critic_with_it_is_not():
    class Dropping(Painter):
        @nn.compact
        def __call__(self, latents, *, train, axis_name=None):
            return super().__call__(nn.Dropout(0.5, deterministic=not train)(latents), train=train)

    extend.network('dropping', Dropping, Flat)
    with pytest.raises(UserError, match=r'config\.generator\.network=dropping draws random numbers, as dropout does'):
        build(config_of(generator='dropping'))


class Normed(Flat):
    """Scores after batch norm, which has a name of its own or none, and parameters or none."""

    name_of_norm: str | None = None
    has_parameters: bool = True

    @nn.compact
    def __call__(self, inputs, *, train, axis_name=None):
        scores = nn.Dense(4)(inputs.reshape(len(inputs), -1))
        options = {'use_running_average': not train, 'axis_name': axis_name, 'name': self.name_of_norm}
        scores = nn.BatchNorm(**options, use_scale=self.has_parameters, use_bias=self.has_parameters)(scores)
        return jnp.mean(scores, axis=1)


def test_batch_norm_that_cannot_be_spared_from_clipping_is_refused():
    extend.network('normed', Painter, Normed)
    for options in ({}, {'critic_has_parameters': False}):
        config = config_of(critic='normed', **options)
        config.update(gp_weight=0.0, clip_value=0.01, clip_batch_norm=False)
        assert build(config).clip_value == 0.01
    config = config_of(critic='normed', critic_name_of_norm='norm')
    config.update(gp_weight=0.0, clip_value=0.01, clip_batch_norm=False)
    with pytest.raises(UserError, match=r'^config\.clip_batch_norm=False knows batch norm by the name BatchNorm, .* `name`'):
        build(config)
