"""python -m wgan_jax, and the commands of an installed package."""

import os
import subprocess
import sys
import tomllib

import pytest

from tests.conftest import ROOT

SCRIPTS = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['scripts']
WINGS = ('sweep', 'sample', 'evaluate', 'report', 'export')


def run(directory, *command):
    environment = os.environ | {'PYTHONPATH': str(ROOT)}
    return subprocess.run([sys.executable, *command], cwd=directory, env=environment, capture_output=True, text=True, check=True)


def test_the_list_has_every_command_and_an_example(tmp_path):
    done = run(tmp_path, '-m', 'wgan_jax')
    first, _, *lines = done.stdout.splitlines()
    assert first == 'Wasserstein GANs in JAX. The commands; --help after one says more:'
    commands = [line.split('  ')[2].strip() for line in lines[:6]]
    assert commands == ['python train.py', *(f'python -m wgan_jax.{wing}' for wing in WINGS)]
    assert lines[-2:] == ['    python train.py --config=digits_wgan_gp', '    python -m wgan_jax.sample runs/digits_wgan_gp --walk']
    assert done.stderr == ''


def test_every_command_is_installed_under_a_name():
    wings = {'wgan-train': 'training', **{f'wgan-{wing}': wing for wing in WINGS}}
    assert {name: f'wgan_jax.{wing}.__main__:run' for name, wing in wings.items()} == SCRIPTS


@pytest.mark.parametrize('name', SCRIPTS)
def test_an_installed_command_has_help(name, tmp_path):
    module, function = SCRIPTS[name].split(':')
    code = f'import sys; sys.argv[0] = "/bin/{name}"; from {module} import {function}; {function}()'
    done = run(tmp_path, '-c', code, '--help')
    assert f'\n    {name} ' in done.stdout
    assert 'python -m' not in done.stdout
    assert 'train.py -' not in done.stdout
    assert done.stderr == ''
