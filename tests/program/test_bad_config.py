"""Random wrong settings: every config trains, or is refused in one sentence before any image is read.

`pytest -n 0 -s tests/program/test_bad_config.py` lists the settings and the answers.
"""

import contextlib
import functools
import io
import random
import re
import sys
import zlib
from operator import getitem

import jax
import numpy as np
import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from configs import default
from tests.conftest import ROOT, examples
from wgan_jax.devices import parallel
from wgan_jax.errors import UserError
from wgan_jax.runs import flags
from wgan_jax.runs.build import prepare
from wgan_jax.runs.config import flatten, schedule_of
from wgan_jax.runs.memory_limits import num_bytes
from wgan_jax.training import __main__ as program
from wgan_jax.training import trainer
from wgan_jax.training.trainer import check_grid

pytestmark = pytest.mark.filterwarnings('ignore:.*load_module:DeprecationWarning')  # of ml_collections, for each config file
SMALL = {'num_steps': 1, 'batch_size': 8, 'n_critic': 1, 'num_samples': 4, 'eval_every': 'None'}
SMALL |= {'generator.num_features': 4, 'critic.num_features': 4}
CONFIGS = {
    'digits_wgan_gp': {},
    'digits_gan': {},
    'digits_wgan': {},
    'mnist_gan': {},
    'mnist_wgan': {},
    'mnist_wgan_gp': {},
    'celeba_wgan': {'data.image_size': 16},
    'celeba_wgan_gp_resnet': {'data.image_size': 16},
    'celeba_wgan_mlp': {'data.image_size': 16, 'generator.num_layers': 1},
    'folder_wgan_gp': {'data.image_size': 16},
    'toy_wgan_gp': {},
}
DEFAULTS = flatten(default.get_config())
MISSPELT = {key: repr(key) for key in ('n_critc', 'seed.x', 'data.name.x', 'Seed', 'loss ', 'critic..norm', 'seed[0]', '')}
MISSPELT |= {
    'critic.nom': "'critic.nom'",
    'data': 'config.data is a section',
    'critic': 'config.critic is',
    'boost': 'config.boost is',
}
ANYTHING = ['abc', '', '1.5', 'True', 'None', '[1]', '{}', '-1', '0', '1', 'nan', '1e39', 'a\nb', '"', '~nobody/x', 'x' * 300]
INTEGERS = ['-1', '0', '1', '2', '7', '16', '64', '1000', *(str(number) for number in (10**6, 10**9, 2**31, 2**32, 2**63, 10**30))]
FLOATS = ['-1', '-0.0', '0', '0.5', '0.99999999', '1', '1e-320', '1e-30', '1e30', '1e39', 'nan', 'inf', '-inf', '9' * 400]
NAMES = ['adam', 'amsgrad', 'rmsprop', 'mlp', 'dcgan', 'resnet', 'keras_cnn', 'upsample_cnn', 'batch', 'layer', 'none', 'minimax']
NAMES += ['bfloat16', 'float16', 'host', 'device', 'mnist', 'digits', 'celeba', 'folder', 'lsun_bedroom', 'train', 'test', 'all']
CONTRADICTIONS = [
    {'clip_value': '0.01', 'gp_weight': '10'},
    {'gp_weight': '0', 'gp_one_sided': 'True'},
    {'boost.n_critic': '5', 'boost.until': 'None', 'boost.every': 'None'},
    {'boost.n_critic': 'None', 'boost.until': '3'},
    {'batch_size': '8', 'grad_accumulation': '2'},
    {'critic.norm': 'batch', 'gp_weight': '10', 'clip_value': 'None'},
    {'generator.norm': 'batch', 'grad_accumulation': '2', 'batch_size': '16'},
    {'critic.network': 'mlp', 'critic.num_extra_layers': '1'},
    {'generator.network': 'keras_cnn', 'generator.norm': 'layer'},
    {'data.name': 'digits', 'data.image_size': '32'},
    {'data.name': 'mnist', 'generator.network': 'dcgan', 'data.image_size': 'None', 'data.crop': 'None'},
    {'data.image_size': '2', 'critic.network': 'upsample_cnn'},
    {'data.image_size': '1000000', 'batch_size': '1000000'},
    {'num_steps': '2000000', 'n_critic': '2000'},
    {'num_steps': '2000000000', 'boost.n_critic': '100', 'boost.every': '1'},
    {'latent_dim': '1000000', 'generator.num_features': '1000000'},
    {'num_samples': '1000000', 'sample_every': '1'},
    {'clip_value': '1e-30', 'gp_weight': '0'},
    {'dtype': 'bfloat16', 'batch_size': '1000000000'},
]


def _fitting(key):
    """The values of a key's type."""
    *section, name = key.split('.')
    default_type = functools.reduce(getitem, section, default.get_config()).get_type(name)
    return {int: INTEGERS, float: FLOATS, bool: ['True', 'False'], str: NAMES}[default_type]


def _value(key):
    """A key with a value; half of the values have the right type."""
    return st.tuples(st.just(key), st.sampled_from(_fitting(key)) | st.sampled_from(ANYTHING + NAMES))


RIGHT_KEY = st.sampled_from(sorted(DEFAULTS)).flatmap(_value)
WRONG_KEY = st.tuples(st.sampled_from(sorted(MISSPELT)), st.sampled_from(ANYTHING))
OVERRIDES = st.one_of(
    st.lists(RIGHT_KEY, min_size=1, max_size=3).map(dict),
    RIGHT_KEY.map(lambda pair: dict([pair])),
    st.lists(RIGHT_KEY | WRONG_KEY, min_size=1, max_size=3).map(dict),
    st.sampled_from(CONTRADICTIONS),
)


@pytest.fixture(autouse=True)
def _four_gibibytes(monkeypatch):
    """The memory must not depend on the machine."""
    monkeypatch.setattr(parallel, 'known_bytes_per_device', lambda: 2**32)


def parse(argv):
    """The config of a command line, from the program's own parser."""
    values = program.absl_flags.FLAGS
    for name in [name for name in values if name.startswith('config.')]:
        delattr(values, name)
    values.unparse_flags()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', argv)  # where ml_collections looks for the keys that are set
        flags.parse(argv, program._CONFIG, default.get_config)
    return program._CONFIG.value


def answer(name, *overrides):
    """(the error, None) or (None, the config) that train.py gives for a config file and 'key=value' overrides."""
    argv = ['train.py', f'--config={ROOT}/configs/{name}.py', *(f'--config.{override}' for override in overrides)]
    try:
        config = parse(argv)
        check_grid(prepare(config))
    except SystemExit as error:
        message = str(error)
    except UserError as error:
        message = f'Error: {error}'  # as train.py prints it
    else:
        return None, config
    assert re.fullmatch(r'Error: .*[.?]', message), message  # one line
    return message, None


def is_cheap(config):
    """Whether a round compiles and runs in seconds; other configs are not trained."""
    state = num_bytes(jax.eval_shape(prepare(config).create_state))
    layers = [player[key] or 0 for player in (config.generator, config.critic) for key in ('num_layers', 'num_extra_layers')]
    images = max(schedule_of(config).kinds(0, 1)) * config.batch_size
    size = config.data.image_size or 28
    of_pictures = max(config.num_samples, 64 * config.standing_batches)
    return state < 2**24 and max(layers) <= 4 and images <= 512 and of_pictures <= 64 and size <= 32


def train_a_round(config, workdir):
    """Trains one round on random images. Nothing may be refused now, except numbers that are infinite after the round."""
    config.num_steps = 1
    experiment = prepare(config)
    source = experiment.data.source
    images = np.random.Generator(np.random.Philox(0)).integers(0, 256, (32, *source.image_shape), np.uint8).astype(source.dtype)
    source = source._replace(load=lambda: images)
    try:
        stopped_by = trainer.train(experiment._replace(data=experiment.data._replace(source=source)), str(workdir))
    except UserError as error:
        if not str(error).startswith('Training diverged between '):
            raise
    else:
        assert stopped_by is None


def command_line(name, overrides):
    """The overrides of a small run of a config, as train.py takes them."""
    return [f'{key}={value}' for key, value in {**SMALL, **CONFIGS[name], **overrides}.items()]


@pytest.mark.parametrize('name', CONFIGS)
def test_every_config_is_accepted_or_refused_in_one_sentence(name):
    refused = []

    @seed(zlib.crc32(name.encode()))
    @examples(40)
    @given(OVERRIDES)
    def attempt(overrides):
        with contextlib.redirect_stdout(io.StringIO()):
            message, _ = answer(name, *command_line(name, overrides))
        if message is not None:
            refused.append(message)
            if len(overrides) == 1:
                (key,) = overrides
                assert (f'config.{key}' if key in DEFAULTS else MISSPELT[key]) in message, (overrides, message)
        print(name, overrides, '->', message or 'accepted')

    attempt()
    assert 20 < len(refused) < 40


def train_accepted(name, count, tmp_path):
    """Tries random values of the right types until `count` cheap configs were accepted and trained."""
    choice = random.Random(name)
    trained = 0
    while trained < count:
        overrides = {key: choice.choice(_fitting(key)) for key in choice.sample(sorted(DEFAULTS), choice.randint(1, 3))}
        with contextlib.redirect_stdout(io.StringIO()):
            message, config = answer(name, *command_line(name, overrides))
        print(name, overrides, '->', message or 'accepted')
        if message is None and is_cheap(config):
            with contextlib.redirect_stdout(io.StringIO()):
                train_a_round(config, tmp_path / str(trained))
            trained += 1


@pytest.mark.slow
def test_an_accepted_config_trains(tmp_path):
    train_accepted('digits_gan', 1, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['digits_wgan_gp', 'mnist_wgan', 'celeba_wgan'])
def test_accepted_configs_of_other_games_train(name, tmp_path):
    train_accepted(name, 1, tmp_path)
