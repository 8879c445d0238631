"""Networks and penalties of the user's own: what the rest of the program takes for granted of the package's, they need not have."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from tests.runs.test_extend import Flat, Painter, config_of, painter  # noqa: F401 (a fixture for every test)
from wgan_jax import extend
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.errors import UserError
from wgan_jax.runs.build import build, prepare


def test_a_network_without_options_has_none_to_name():
    class Plain(nn.Module):
        image_shape: tuple[int, ...]
        dtype: jnp.dtype | None = None

        @nn.compact
        def __call__(self, latents, *, train, axis_name=None):
            return jnp.tanh(nn.Dense(64)(latents)).reshape(-1, *self.image_shape)

    extend.network('plain', Plain, Flat)
    config = config_of(generator='plain')
    config.generator.num_features = 8
    with pytest.raises(
        UserError, match=r'generator\.num_features=8 does not apply .*network=plain, which has no options: set it to'
    ):
        build(config)


def test_a_critic_that_bounds_its_own_slopes_is_built_without_a_warning(capsys):
    class Tight(Flat):
        weights: str = 'plain'  # named like those of the package's critics, but without their norm and num_features
        activation: str = 'relu'

    extend.network('tight', Painter, Tight)
    config = config_of(generator='painter', critic='tight', critic_weights='orthogonal', critic_activation='max_min')
    config.update(gp_weight=0.0)
    prepare(config)
    config.critic.update(weights=None, activation=None)
    prepare(config)
    printed = capsys.readouterr().out
    assert 'Nothing bounds' not in printed
    assert 'ReLU' not in printed
    config.critic.network = 'mlp'
    prepare(config)
    assert 'Nothing bounds the slopes of this critic' in capsys.readouterr().out


def test_a_generator_of_ones_own_makes_points_as_it_likes(capsys):
    class Point(Painter):
        @nn.compact
        def __call__(self, latents, *, train, axis_name=None):
            return nn.Dense(2)(latents).reshape(-1, 1, 1, 2)

    extend.network('point', Point, Flat)
    config = config_of(generator='point', critic='point')
    config.data.update(name='gaussians_8', split=None, holdout=None)
    prepare(config)
    assert 'tanh' not in capsys.readouterr().out


def test_a_penalty_of_ones_own(capsys):
    def slopes_at_real_images(score, real, fake, interpolates):
        return jnp.mean(jnp.square(jax.grad(lambda images: jnp.sum(score(images)))(real)))

    losses = LOSSES['wasserstein'][:2]
    extend.loss('r1', *losses, penalty=slopes_at_real_images)
    config = config_of()
    config.loss = 'r1'
    assert build(config).round_settings['loss'].penalty is slopes_at_real_images
    config.clip_value = 0.01  # its penalty need not bound slopes
    prepare(config)
    assert 'is not used' not in capsys.readouterr().out
    config.gp_weight = 0.0
    prepare(config)
    assert 'Warning: The penalty of config.loss=r1 is not used: set config.gp_weight to its weight.' in capsys.readouterr().out
    config.update(gp_weight=10.0, gp_one_sided=True)
    with pytest.raises(UserError, match=r'^config\.gp_one_sided=True has no effect on the penalty of config\.loss=r1: set it to'):
        build(config)
    config.gp_one_sided = False
    for penalty, what in ((lambda score, *images: score(images[0]), r'the shape \(2,\)'), (lambda *_: [1.0], 'another type')):
        extend.loss('r1', *losses, penalty=penalty)
        with pytest.raises(
            UserError, match=rf'^The penalty of config\.loss=r1 must be one number, and for 2 images it has {what}: '
        ):
            build(config)
    extend.loss('r1', *losses, penalty=lambda score, real: 0.0)
    with pytest.raises(UserError, match=r'^The penalty of config\.loss=r1 fails \(TypeError: .*\): correct it\. It is called with'):
        build(config)
