"""benchmarks/full_size.py on a tiny config: it stops a run, gathers what it has, and continues it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from wgan_jax.runs.record import read_metrics

sys.path.insert(0, str(ROOT / 'benchmarks'))

import full_size

TINY = {'batch_size': 8, 'log_every': 1, 'sample_every': 2, 'num_samples': 4, 'eval_num_samples': 100, 'ema_decay': 0.9}
TINY |= {'generator.num_features': 8, 'critic.num_features': 8, 'checkpoint_every': 100_000, 'eval_every': 'None'}


def run(tmp_path, name, num_steps, *options):
    keys = [f'--config.{key}={value}' for key, value in (TINY | {'num_steps': num_steps}).items()]
    command = [sys.executable, 'benchmarks/full_size.py', f'--configs={name}', f'--workdir={tmp_path}', f'--out={tmp_path / "out"}']
    return subprocess.run([*command, *options, *keys], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_run_is_stopped_gathered_and_continued(tmp_path):
    done = run(tmp_path, 'digits_gan', 10**7, '--minutes=0.5')
    assert done.returncode == 0, done.stderr
    steps = read_metrics(tmp_path / 'digits_gan')[-1]['step']
    assert 0 < steps < 10**7
    assert f'digits_gan: step {steps:,} after ' in done.stdout
    done = run(tmp_path, 'digits_gan', steps + 3)
    assert done.returncode == 0, done.stderr
    out = tmp_path / 'out' / 'digits_gan'
    scores = {f'step_{steps + more:06d}_digits_cnn_100{raw}.json' for more in (0, 3) for raw in ('', '_raw')}
    made = {'grid.png', 'training.png', 'generator.stablehlo', 'metrics.jsonl', 'config.json', 'starts.jsonl'} | scores
    assert made <= {path.name for path in out.iterdir()}
    assert [record['step'] for record in read_metrics(out)][-1] == steps + 3
    assert json.loads((out / f'step_{steps + 3:06d}_digits_cnn_100.json').read_text())['step'] == steps + 3


def test_a_config_that_fails_is_named_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    trained = []
    monkeypatch.setattr(
        sys, 'argv', ['full_size.py', '--configs=mnist_gan,toy_gan,celeba_gan', '--celeba=faces', '--config.seed=3']
    )
    monkeypatch.setattr(full_size, 'train', lambda name, _, minutes, flags: trained.append((name, flags)) or name != 'mnist_gan')
    monkeypatch.setattr(full_size, 'gathered', lambda workdir, _: workdir.name != 'toy_gan')
    monkeypatch.setattr(full_size, 'read_metrics', lambda _: [{'step': 7, 'seconds': 65.4}])
    with pytest.raises(SystemExit, match=r'^Failed: mnist_gan, toy_gan; the reasons are above\.$'):
        full_size.main()
    assert [name for name, _ in trained] == ['mnist_gan', 'toy_gan', 'celeba_gan']
    faces = f'--config.data.manual_dir={Path("faces").resolve()}'
    assert [flags for _, flags in trained] == [['--config.seed=3'], ['--config.seed=3'], [faces, '--config.seed=3']]
    assert 'celeba_gan: step 7 after 65 s of training; see ' in capsys.readouterr().out
