"""The wheel: what it holds, and that its commands find the configs outside a checkout."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.conftest import ROOT

pytest.importorskip('setuptools', minversion='77')


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """Built in a copy of the checkout, without a network."""
    copy, out = tmp_path_factory.mktemp('checkout'), tmp_path_factory.mktemp('wheel')
    for name in ('wgan_jax', 'configs'):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('setup.py', 'pyproject.toml', 'requirements.txt', 'README.md', 'LICENSE', 'train.py'):
        shutil.copy(ROOT / name, copy)
    build = f'from setuptools import build_meta; build_meta.build_wheel({str(out)!r})'
    subprocess.run([sys.executable, '-c', build], cwd=copy, capture_output=True, check=True)
    (path,) = out.iterdir()
    return zipfile.ZipFile(path)


def test_it_holds_every_file_of_the_package_and_of_configs(wheel):
    files = {path.relative_to(ROOT) for path in (ROOT / 'wgan_jax').rglob('*') if path.suffix in ('.py', '.npz', '.html')}
    expected = {str(path) for path in files}
    expected |= {f'wgan_jax/{path.relative_to(ROOT)}' for path in (ROOT / 'configs').rglob('*.py')}
    held = {name for name in wheel.namelist() if '.dist-info/' not in name}
    assert held == expected
    assert {name.partition('/')[0] for name in held} == {'wgan_jax'}  # nothing else at the top of site-packages


@pytest.mark.slow
def test_its_commands_work_in_an_empty_directory(wheel, tmp_path):
    site, here = tmp_path / 'site', tmp_path / 'here'
    wheel.extractall(site)
    here.mkdir()
    (site / 'configs').mkdir()
    (site / 'configs' / 'default.py').write_text('raise ValueError("of another project")')

    def run(*command):
        environment = os.environ | {'PYTHONPATH': str(site)}
        return subprocess.run(
            [sys.executable, '-m', *command], cwd=here, env=environment, capture_output=True, text=True, check=False
        )

    assert '\n    wgan-evaluate  scores a checkpoint of a run\n' in run('wgan_jax').stdout
    (here / 'mine.py').write_text('from configs import digits_gan\nget_config = digits_gan.get_config\n')
    for config, loss in (('digits_wgan_gp', 'wasserstein'), ('mine.py', 'non_saturating')):
        done = run('wgan_jax.training', config, '--config.num_steps=7', '--dry_run')
        assert done.stderr == ''
        assert f'  "loss": "{loss}",\n' in done.stdout
        assert '  "num_steps": 7,\n' in done.stdout
    wrong = run('wgan_jax.sweep', '--config=digits_wgan_gp', '--config.n_critc=1')
    assert (wrong.returncode, wrong.stderr) == (1, "Error: there is no key 'n_critc' in the config; did you mean 'n_critic'?\n")
