"""Every file in configs/."""

import ast
import dataclasses
import importlib
import inspect

import jax
import pytest

from tests.conftest import ROOT
from wgan_jax.algorithm.optimizers import make_optimizer
from wgan_jax.algorithm.state import num_parameters
from wgan_jax.data import SOURCES
from wgan_jax.models import NETWORKS
from wgan_jax.runs.build import build
from wgan_jax.runs.config import check, flatten

NAMES = sorted(path.stem for path in (ROOT / 'configs').glob('*.py'))


def load(name):
    return importlib.import_module(f'configs.{name}')


def test_all_configs_exist():
    games = {f'{data}_{game}' for data in ('celeba', 'digits', 'mnist', 'toy') for game in ('gan', 'wgan', 'wgan_gp')}
    variants = {f'celeba_{game}_{network}' for game in ('gan', 'wgan') for network in ('mlp', 'nobn')}
    bounded = {'celeba_sngan', 'digits_wgan_sn', 'mnist_wgan_sn', 'toy_wgan_tight'}
    others = {'celeba_wgan_authors', 'celeba_wgan_gp_resnet', 'celeba_wgan_lp', 'folder_wgan_gp', 'lsun_bedroom_wgan'}
    letters = {f'tutorial_{name}' for name in ('mnist_gan', 'mnist_wgan', 'mnist_wgan_gp', 'celeba_wgan', 'celeba_wgan_10_percent')}
    assert set(NAMES) == {'default'} | games | variants | bounded | others | letters


@pytest.mark.parametrize('name', NAMES)
def test_it_loads_and_is_locked_and_valid(name):
    config = load(name).get_config()
    check(config, num_devices=1)
    with pytest.raises(AttributeError, match='n_critic'):
        config.n_critc = 1
    with pytest.raises(AttributeError, match='norm'):
        config.critic.nom = 'batch'
    state = jax.eval_shape(build(config).create_state)
    assert num_parameters(state.generator.params) > 0


@pytest.mark.parametrize('name', NAMES)
def test_no_value_is_an_absolute_path(name):
    for key, value in flatten(load(name).get_config()).items():
        assert not (isinstance(value, str) and value.startswith(('/', '~'))), key


def test_every_key_is_read_somewhere():
    """In code, as config.KEY or as an argument of the function that receives the whole section."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / 'wgan_jax').rglob('*.py')]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    read = {ast.unparse(node).removeprefix('self._') for node in nodes if isinstance(node, ast.Attribute)}
    handed_on = {ast.unparse(node.value) for node in nodes if isinstance(node, ast.keyword) and node.arg is None}
    optimizer = set(inspect.signature(make_optimizer).parameters)
    network = {'network'} | {field.name for pair in NETWORKS.values() for cls in pair for field in dataclasses.fields(cls)}
    data = {'name', 'fraction', 'placement'} | {
        option for build in SOURCES.values() for option in inspect.signature(build).parameters
    }
    sections = {'generator': network, 'critic': network, 'generator_optimizer': optimizer, 'critic_optimizer': optimizer}
    sections['data'] = data
    handed_on |= {ast.unparse(argument) for node in nodes if isinstance(node, ast.Call) for argument in node.args}
    for key in flatten(load('default').get_config()):
        section, _, leaf = key.rpartition('.')
        if section in sections:
            assert f'config.{section}' in handed_on, key
            assert leaf in sections[section], key
        else:
            assert f'config.{key}' in read, key


def test_hyperparameters_of_the_sources():
    gan, wgan, gp = (load(f'mnist_{name}').get_config() for name in ('gan', 'wgan', 'wgan_gp'))
    for config, rate, n_critic in ((gan, 1e-3, 1), (wgan, 5e-5, 5)):
        assert (config.batch_size, config.n_critic, config.latent_dim) == (64, n_critic, 100)
        for optimizer in (config.generator_optimizer, config.critic_optimizer):
            assert (optimizer.name, optimizer.learning_rate, optimizer.b1, optimizer.b2) == ('amsgrad', rate, 0.9, 0.999)
    assert (gan.loss, gan.clip_value, gan.gp_weight) == ('non_saturating', None, 0.0)
    assert (wgan.loss, wgan.clip_value, wgan.gp_weight) == ('wasserstein', 0.01, 0.0)
    assert (gp.loss, gp.clip_value, gp.gp_weight, gp.gp_one_sided) == ('wasserstein', None, 10.0, False)
    assert (gp.batch_size, gp.n_critic, gp.latent_dim, gp.num_steps) == (512, 3, 128, 2360)
    for optimizer in (gp.generator_optimizer, gp.critic_optimizer):
        assert (optimizer.name, optimizer.learning_rate, optimizer.b1, optimizer.b2) == ('adam', 2e-4, 0.5, 0.9)


def test_hyperparameters_of_the_papers_on_celeba():
    gan, wgan, gp, lp = (load(f'celeba_{name}').get_config() for name in ('gan', 'wgan', 'wgan_gp', 'wgan_lp'))
    for config, n_critic in ((gan, 1), (wgan, 5), (gp, 5), (lp, 5)):
        assert (config.batch_size, config.n_critic, config.latent_dim) == (64, n_critic, 100)
        assert (config.generator.network, config.critic.network) == ('dcgan', 'dcgan')
        assert (config.data.name, config.data.image_size, config.data.crop) == ('celeba', 64, 140)
        assert config.boost.n_critic is None
    assert (gan.loss, gan.clip_value, gan.gp_weight) == ('non_saturating', None, 0.0)
    assert (wgan.loss, wgan.clip_value, wgan.clip_batch_norm, wgan.gp_weight) == ('wasserstein', 0.01, True, 0.0)
    assert (gp.loss, gp.clip_value, gp.gp_weight, gp.gp_one_sided) == ('wasserstein', None, 10.0, False)
    assert (lp.gp_weight, lp.gp_one_sided) == (10.0, True)
    for config, expected in ((gan, ('adam', 2e-4, 0.5, 0.999)), (gp, ('adam', 1e-4, 0.0, 0.9))):
        for optimizer in (config.generator_optimizer, config.critic_optimizer):
            assert (optimizer.name, optimizer.learning_rate, optimizer.b1, optimizer.b2) == expected
    for optimizer in (wgan.generator_optimizer, wgan.critic_optimizer):
        assert (optimizer.name, optimizer.learning_rate) == ('rmsprop', 5e-5)


def differences(name, base):
    before, after = flatten(load(base).get_config()), flatten(load(name).get_config())
    return {key: value for key, value in after.items() if before[key] != value}


def test_variants_differ_in_what_their_papers_change():
    assert differences('celeba_wgan_lp', 'celeba_wgan_gp') == {'gp_one_sided': True}
    boost = {'boost.n_critic': 100, 'boost.until': 25, 'boost.every': 500}
    assert differences('celeba_wgan_authors', 'celeba_wgan') == boost
    assert differences('lsun_bedroom_wgan', 'celeba_wgan') == {'data.name': 'lsun_bedroom', 'data.crop': None}
    for game in ('celeba_gan', 'celeba_wgan'):
        assert differences(f'{game}_nobn', game) == {'generator.norm': 'none', 'generator.constant_width': True}
        mlp = {'generator.network': 'mlp', 'generator.num_layers': 4, 'generator.num_features': 512, 'generator.norm': 'none'}
        assert differences(f'{game}_mlp', game) == mlp
    resnet = {'latent_dim': 128, 'generator.network': 'resnet', 'critic.network': 'resnet', 'critic.norm': 'layer'}
    assert differences('celeba_wgan_gp_resnet', 'celeba_wgan_gp') == resnet
