import importlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from tests.algorithm.test_steps import make_state
from wgan_jax.algorithm.state import num_parameters
from wgan_jax.runs.build import build
from wgan_jax.training.layer_table import Layer, layers_of, table


def players_of(name):
    """(state of a player, shape of its inputs) of a config, for both players."""
    experiment = build(importlib.import_module(f'configs.{name}').get_config())
    state = jax.eval_shape(experiment.create_state)
    return (state.generator, (experiment.latent_dim,)), (state.critic, experiment.data.source.image_shape)


@pytest.mark.parametrize(
    ('name', 'generator', 'critic'),
    [
        ('mnist_wgan', 1_636_033, 26_545),
        ('mnist_wgan_gp', 902_082, 4_305_409),
        ('celeba_wgan', 3_576_704, 2_765_568),
        ('celeba_wgan_gp_resnet', 8_540_483, 7_491_841),
        ('celeba_wgan_mlp', 7_143_424, 2_765_568),
        ('digits_wgan_gp', 29_504, 24_961),
        ('toy_wgan_gp', 33_666, 33_537),
    ],
)
def test_the_layers_add_up_to_the_network(name, generator, critic):
    for (player, input_shape), total in zip(players_of(name), (generator, critic), strict=True):
        layers = layers_of(player, input_shape)
        assert sum(layer.parameters for layer in layers) == total == num_parameters(player.params)
        assert sum(layer.statistics for layer in layers) == num_parameters(player.batch_stats)
        text = table('generator', 'latents', input_shape, layers)
        assert max(map(len, text.splitlines())) <= 100
        assert f'{total:,}' in text.splitlines()[-1].split()


def test_the_rows_of_a_network():
    generator, critic = (layers_of(*player) for player in players_of('mnist_wgan'))
    assert generator[:3] == [
        Layer('Dense_0', '', (12544,), 1_266_944, 0),
        Layer('Conv_0', '3x3 after upsample_bilinear', (14, 14, 128), 294_912, 0),
        Layer('BatchNorm_0', '', (14, 14, 128), 256, 256),
    ]
    assert [layer.output for layer in critic if layer.name.startswith('Conv')] == [(28, 28, 16), (14, 14, 32), (7, 7, 64)]
    generator, critic = (layers_of(*player) for player in players_of('celeba_wgan'))
    assert generator[2] == Layer('TransposedConv_1', '4x4, stride 2', (8, 8, 256), 2_097_152, 0)
    assert critic[-1] == Layer('Dense_0', '', (1,), 8192, 0)
    _, critic = (layers_of(*player) for player in players_of('celeba_wgan_gp_resnet'))
    assert critic[5] == Layer('Conv_3', '3x3, then mean_pool', (32, 32, 128), 73_856, 0)


def test_what_bounds_a_layer_is_a_row_before_it():
    _, (critic, image_shape) = players_of('digits_wgan_sn')
    layers = layers_of(critic, image_shape)
    assert layers[:2] == [Layer('Bounded_0', 'spectral weights', (128,), 0, 64 + 128), Layer('Dense_0', '', (128,), 8_320, 0)]
    assert [layer.statistics for layer in layers] == [192, 0, 256, 0, 129, 0]
    plain = layers_of(*players_of('digits_wgan_gp')[1])
    assert [layer[:4] for layer in plain] == [layer[:4] for layer in layers if layer.name.startswith('Dense')]


def test_the_rows_of_a_network_with_biases_and_dropout():
    """A 5x5 convolution has 25 * inputs * filters + filters parameters: 25 * 64 * 128 + 128 = 204,928."""
    _, (critic, image_shape) = players_of('mnist_wgan_gp')
    assert [(layer.name, layer.output, layer.parameters) for layer in layers_of(critic, image_shape)] == [
        ('Conv_0', (16, 16, 64), 1_664),
        ('Conv_1', (8, 8, 128), 204_928),
        ('Dropout_0', (8, 8, 128), 0),
        ('Conv_2', (4, 4, 256), 819_456),
        ('Dropout_1', (4, 4, 256), 0),
        ('Conv_3', (2, 2, 512), 3_277_312),
        ('Dropout_2', (2048,), 0),
        ('Dense_0', (1,), 2_049),
    ]


class Inner(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(x) * self.param('scale', nn.initializers.ones, (1, 3))


class Nested(nn.Module):
    @nn.compact
    def __call__(self, images, *, train, axis_name=None):
        inner = Inner()
        x = inner(inner(images.reshape(images.shape[0], -1)[:, :3]))
        return jnp.sum(x, axis=1) + self.param('shift', nn.initializers.zeros, (1,))


def test_layers_inside_of_layers_are_counted_once(players):
    state = make_state(lambda batch_norm: (players()[0], Nested()))
    layers = layers_of(state.critic, (4, 4, 1))
    assert layers == [
        Layer('Nested', '', (), 1, 0),
        Layer('Inner_0', '', (3,), 3, 0),
        Layer('Inner_0.Dense_0', '', (3,), 12, 0),
    ]


class Pair(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(x), x


class Skipping(nn.Module):
    @nn.compact
    def __call__(self, images, *, train, axis_name=None):
        x, skipped = Pair()(images.reshape(images.shape[0], -1))
        return jnp.sum(x, axis=1) + jnp.sum(skipped, axis=1)


def test_of_several_outputs_the_first_one_is_shown(players):
    state = make_state(lambda batch_norm: (players()[0], Skipping()))
    layers = layers_of(state.critic, (4, 4, 1))
    assert [(layer.name, layer.output) for layer in layers] == [('Pair_0', (3,)), ('Pair_0.Dense_0', (3,))]
