"""Configs by path and by name, in a checkout and elsewhere."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import ROOT
from wgan_jax.errors import UserError
from wgan_jax.runs import config_files

INSIDE = ROOT / 'configs' / 'mnist_wgan_gp.py'


@pytest.mark.parametrize('value', ['mnist_wgan_gp', 'mnist_wgan_gp.py', 'configs/mnist_wgan_gp', 'configs/mnist_wgan_gp.py'])
def test_a_config_is_found_by_its_name(value, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert Path(config_files.find(value)).resolve() == INSIDE
    monkeypatch.chdir(tmp_path)
    assert config_files.find(value) == str(INSIDE)
    assert config_files.find(f'{value}:text') == f'{INSIDE}:text'


def test_a_file_of_the_users_own_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'configs').mkdir()
    for name in ('mnist_wgan_gp.py', 'configs/mine.py'):
        (tmp_path / name).touch()
    (tmp_path / 'digits_gan').mkdir()  # a directory is no config
    found = [config_files.find(value) for value in ('mnist_wgan_gp', 'mine', '~/configs/mine', 'digits_gan')]
    assert found == ['mnist_wgan_gp.py', 'configs/mine.py', str(tmp_path / 'configs/mine.py'), str(ROOT / 'configs/digits_gan.py')]


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        ('mnist_wgan_pg', "there is no config 'mnist_wgan_pg'; did you mean mnist_wgan_gp, mnist_wgan or mnist_wgan_sn?"),
        ('MNIST-WGAN-GP', "there is no config 'MNIST-WGAN-GP'; did you mean mnist_wgan_gp, mnist_wgan or mnist_wgan_sn?"),
        ('lsun', "there is no config 'lsun'; give the path of a file, or a name."),
        ('configs', "there is no config 'configs'; give the path of a file, or a name."),
        ('configs/../train', "there is no config 'configs/../train'; give the path of a file, or a name."),
        ('', "there is no config ''; give the path of a file, or a name."),
        ('x' * 300, f'there is no config {"x" * 300!r}; give the path of a file, or a name.'),
    ],
)
def test_other_names_are_answered_with_the_nearest_and_all(value, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        config_files.find(value)
    first, *names = str(caught.value).splitlines()
    assert first == f'{message} The names are:'
    assert names == config_files.listed().splitlines()


def test_the_list_has_a_line_for_each_family():
    assert config_files.listed().splitlines()[3:7] == [
        '  digits_gan, digits_wgan, digits_wgan_gp, digits_wgan_sn',
        '  folder_wgan_gp',
        '  lsun_bedroom_wgan',
        '  mnist_gan, mnist_wgan, mnist_wgan_gp, mnist_wgan_sn',
    ]
    assert sorted(config_files.listed().replace(',', ' ').split()) == sorted(path.stem for path in (ROOT / 'configs').glob('*.py'))


def test_search_spaces_have_names_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lucic = str(ROOT / 'configs' / 'sweeps' / 'lucic.py')
    assert [config_files.find(value, 'search space', 'sweeps') for value in ('lucic', 'configs/sweeps/lucic.py')] == [lucic, lucic]
    with pytest.raises(UserError) as caught:
        config_files.find('lucik', 'search space', 'sweeps')
    assert str(caught.value) == "there is no search space 'lucik'; did you mean lucic? The names are:\n  lucic"


def test_a_path_in_a_message_is_short_beside_configs(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert config_files.shown('default.py') == 'configs/default.py'
    monkeypatch.chdir(tmp_path)
    assert config_files.shown('default.py') == f'{ROOT}/configs/default.py'


def test_the_name_configs_means_ours_and_then_the_users(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition('.')[0] == 'configs']:
        monkeypatch.delitem(sys.modules, name)
    other = tmp_path / 'elsewhere' / 'configs'
    for directory in (other, tmp_path / 'configs'):
        directory.mkdir(parents=True)
        (directory / '__init__.py').touch()
        (directory / 'default.py').write_text('raise ValueError')
    (tmp_path / 'configs' / 'mine.py').write_text('from configs import default\n')
    monkeypatch.syspath_prepend(str(other.parent))
    monkeypatch.chdir(tmp_path)
    assert importlib.import_module('configs').__path__ == [str(other)]  # of another project
    config_files.make_importable()
    ours = sys.modules['configs']
    assert importlib.import_module('configs.digits_wgan_gp').default.get_config().n_critic == 5
    assert importlib.import_module('configs.mine').default.__file__ == str(ROOT / 'configs' / 'default.py')
    config_files.make_importable()
    assert sys.modules['configs'] is ours
    monkeypatch.setitem(sys.modules, 'configs', ModuleType('configs'))  # configs.py of another project
    config_files.make_importable()
    assert sys.modules['configs'].__path__ == [str(ROOT / 'configs'), str(tmp_path / 'configs')]
    for name in [name for name in sys.modules if name.startswith('configs.')]:
        monkeypatch.delitem(sys.modules, name)
