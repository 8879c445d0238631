"""docs/python.md: its blocks run from top to bottom, and its config file with code of its own is trained, sampled and scored."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import wgan_jax
from tests.conftest import ROOT
from tests.tiny_runs import tiny
from wgan_jax.runs.saved_run import SavedRun

BLOCKS = re.findall(r'^```python(?: file=(\S+))?\n(.*?)^```', (ROOT / 'docs/python.md').read_text(), re.DOTALL | re.MULTILINE)
PROGRAM = [code for file, code in BLOCKS if not file]


def test_importing_the_package_does_not_import_jax():
    code = "import sys, wgan_jax; wgan_jax.load_config('toy_gan'); print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == 'False\n'


def test_training_imports_what_takes_long_only_where_it_is_used():
    slow = ['matplotlib', 'scipy.optimize', 'scipy.stats', 'sklearn', 'tensorflow_datasets']
    code = f'import sys, wgan_jax.training.command; print([name for name in {slow} if name in sys.modules])'
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == '[]\n'


def test_callbacks_get_what_the_run_writes(tmp_path):
    logged, sampled = [], []
    config = tiny(num_steps=6)
    wgan_jax.train(
        config,
        str(tmp_path),
        on_log=lambda step, metrics: logged.append({'step': step, **metrics}),
        on_sample=lambda step, picture: sampled.append((step, picture)),
    )
    assert logged == [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
    assert [step for step, _ in sampled] == [0, 6]
    for step, picture in sampled:
        stored = np.asarray(Image.open(tmp_path / 'samples' / f'step_{step:06d}.png'))
        np.testing.assert_array_equal(picture.squeeze(), stored)
    run = wgan_jax.open_run(str(tmp_path), 6)
    assert isinstance(run, SavedRun)
    images = wgan_jax.generate(run, [5, 3])
    np.testing.assert_array_equal(images, wgan_jax.generate(run, [3, 5])[::-1])
    assert images.shape == (2, 8, 8, 1)


@pytest.mark.parametrize('name', ['on_log', 'on_sample'])
def test_an_error_of_a_callback_is_not_about_the_files_of_the_run(tmp_path, name):
    def refuse(step, content):
        raise ConnectionRefusedError('the server') from ValueError('why')

    with pytest.raises(ConnectionRefusedError, match='the server') as caught:
        wgan_jax.train(tiny(num_steps=6), str(tmp_path), **{name: refuse})
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')  # of IPython
def test_the_page_runs_from_top_to_bottom(tmp_path):
    for name in ('train.py', 'wgan_jax', 'configs'):
        (tmp_path / name).symlink_to(ROOT / name)
    assert len(PROGRAM) == 6
    (tmp_path / 'page.py').write_text('\n'.join(PROGRAM))
    environment = {**os.environ, 'PYTHONPATH': str(tmp_path)}
    command = [sys.executable, 'page.py']
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert re.search(r'\{100: \d.*, 200: .*, 300: .*, 400: .*\}', done.stdout)
    assert 'round 500' in done.stdout
    assert '500 (16, 8, 8, 1)' in done.stdout
    by_hand, of_step = re.search(r'critic loss by hand (\S+), of the step (\S+)', done.stdout).groups()
    np.testing.assert_allclose(float(by_hand), float(of_step), rtol=1e-4)
    assert 'round 20: estimate ' in done.stdout
    assert json.loads((tmp_path / 'runs/threes/config.json').read_text())['data']['image_shape'] == '8x8x1'


@pytest.mark.slow
def test_what_the_config_file_registers_is_trained_sampled_scored_and_exported(tmp_path):
    ((name, code),) = [block for block in BLOCKS if block[0]]
    (tmp_path / name).write_text(code)
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'XDG_CACHE_HOME': str(tmp_path / 'cache')}

    def run(*arguments, **changes):
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path, env={**environment, **changes}, capture_output=True, text=True, timeout=600)

    done = run(f'{ROOT}/train.py', '--config=mine.py', '--config.generator.width=64')
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'runs/mine/code.py').read_text() == code
    (tmp_path / name).unlink()
    for command in ('sample', 'evaluate', 'export', 'report'):
        done = run('-m', f'wgan_jax.{command}', 'runs/mine')
        assert done.returncode == 0, f'{command}: {done.stderr}'
    (scores,) = (tmp_path / 'runs/mine/evaluation').glob('*.json')
    assert 0 < json.loads(scores.read_text())['scores']['brightness_200'] < 10
    config = json.loads((tmp_path / 'runs/mine/config.json').read_text())
    assert (config['code'], config['generator']['width'], config['data']['side']) == ('mine.py', 64, 12)
    stranger = run('-m', 'wgan_jax.sample', 'runs/mine', XDG_CACHE_HOME=str(tmp_path / 'other'))
    assert stranger.returncode == 1
    assert 'runs/mine/code.py, which has not run here before' in stranger.stderr
