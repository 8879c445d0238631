"""The command line of the programs that train: where the config may stand, and the help."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.program.test_bad_config import parse
from tests.runs.test_extend import forget
from wgan_jax.runs import flags

pytestmark = pytest.mark.filterwarnings('ignore:.*load_module:DeprecationWarning')  # of ml_collections, for each config file
KEY = '--config.num_steps=7'


@pytest.mark.parametrize(
    'arguments',
    [
        ['--config=digits_gan', KEY],
        ['--config', 'digits_gan', KEY],
        ['-config=digits_gan', KEY],
        ['--config=toy_gan', '--config=digits_gan', KEY],
        ['digits_gan', KEY],
        [KEY, 'digits_gan'],
        [KEY, '--config=digits_gan'],
        ['--config.num_steps', '7', 'digits_gan'],
        ['--dry_run', 'digits_gan', KEY],
        ['--workdir', 'runs/x', 'digits_gan', KEY],
        ['configs/digits_gan.py', KEY],
    ],
)
def test_the_config_may_stand_anywhere(arguments, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = parse(['train.py', *arguments])
    assert (config.num_steps, config.loss, config.data.name) == (7, 'non_saturating', 'digits')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--config'], 'Error: Missing value for flag --config.'),
        (['num_steps=7'], 'Error: --config is missing; try --config=digits_wgan_gp. The configs are:\n  celeba_gan, '),
        (['--config=~nobody-here/x'], 'Error: ~nobody-here/x starts with the home directory of an unknown user: check the path.'),
        (['digits_gan', 'toy_gan'], "Error: 'toy_gan' is not a flag; keys are set with --config.KEY=VALUE."),
        (['digits_gan', 'num_steps=7'], "Error: 'num_steps=7' is not a flag; keys are set with --config.KEY=VALUE."),
    ],
)
def test_mistakes(arguments, message):
    with pytest.raises(SystemExit) as caught:
        parse(['train.py', *arguments])
    assert str(caught.value).startswith(message)


OWN = """
import flax.linen as nn
from configs import default
from wgan_jax import extend


class Mine(nn.Module):
    image_shape: tuple[int, ...]
    dtype: object = None
    depth: int = 1

    def __call__(self, inputs, *, train, axis_name=None):
        return inputs


extend.network('mine', Mine, Mine)


def get_config():
    config = default.get_config()
    config.critic.network = 'mine'
    with config.unlocked():
        config.critic.depth = 2
    return config
"""


@pytest.mark.parametrize(
    ('line', 'error'),
    [
        ('np.flot32', "AttributeError at {}, line 5: module 'numpy' has no attribute 'flot32'"),
        ("os.environ['NO_SUCH_VARIABLE']", "KeyError at {}, line 5: 'NO_SUCH_VARIABLE'"),
    ],
)
def test_a_mistake_in_the_code_of_a_config_file_is_shown_where_it_is(tmp_path, line, error):
    path = tmp_path / 'mine.py'
    path.write_text(f'import os\nimport numpy as np\n\ndef get_config():\n    return {line}\n')
    with pytest.raises(SystemExit) as caught:
        parse(['train.py', f'--config={path}'])
    assert str(caught.value).startswith(f'Error: the config file cannot be loaded ({error.format(path)}')


def test_a_config_file_that_registers_a_network_is_the_code_of_the_run(tmp_path):
    (tmp_path / 'mine.py').write_text(OWN)
    path = f'--config={tmp_path}/mine.py'
    try:
        config = parse(['train.py', path, '--config.critic.depth=3'])
        assert (config.code, config.critic.depth) == (f'{tmp_path}/mine.py', 3)
        assert parse(['train.py', path, '--config.code=other.py']).code == 'other.py'
        (tmp_path / 'given.py').write_text(OWN.replace('get_config():', 'get_config(text):').replace('= 2', '= int(text)'))
        config = parse(['train.py', f'--config={tmp_path}/given.py:5'])
        assert (config.code, config.critic.depth) == (f'{tmp_path}/given.py', 5)
        for mistake, message in {
            '--config.critic.dpeth=3': "there is no key 'dpeth' in the config; did you mean 'depth'?",
            '--config.critic.depth=deep': "--config.critic.depth='deep' must be a whole number.",
            '--config.critic.depth=None': 'config.critic.depth cannot be None.',
        }.items():
            with pytest.raises(SystemExit) as caught:
                parse(['train.py', path, mistake])
            assert str(caught.value) == f'Error: {message}'
    finally:
        forget()
    with pytest.raises(SystemExit, match=r"there is no key 'critic\.depth' in the config"):
        parse(['train.py', '--config=digits_gan', '--config.critic.depth=3'])
    assert parse(['train.py', '--config=digits_gan']).code is None


def test_the_value_of_a_flag_is_not_taken_for_the_config():
    assert [flags._takes_value(word) for word in ('--config.seed', '--workdir', '--dry_run', '--seeds=3', 'toy_gan')] == [
        True, True, False, False, False
    ]  # fmt: skip


@pytest.mark.parametrize('option', ['--help', '-h'])
def test_the_help_is_short_and_has_examples_flags_and_configs(option):
    for program, most in (('train.py', 40), ('wgan_jax/sweep/__main__.py', 45)):
        command = [sys.executable, program, 'toy_gan', option]
        environment = os.environ | {'PYTHONPATH': str(ROOT)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        assert done.stderr == ''
        lines = done.stdout.splitlines()
        assert len(lines) <= most
        assert any('--config=digits_wgan_gp' in line for line in lines[:5])
        assert '  --config.KEY=VALUE          Sets a key of the config; configs/default.py explains every key.' in lines
        assert '  digits_gan, digits_wgan, digits_wgan_gp, digits_wgan_sn' in lines
        assert '  --seeds=N ' in done.stdout
        assert lines[-1] == '--helpfull lists the flags of the libraries too.'


def test_the_full_help_is_that_of_absl():
    done = subprocess.run([sys.executable, 'train.py', '--helpfull'], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert '--[no]logtostderr' in done.stdout
