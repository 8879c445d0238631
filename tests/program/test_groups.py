"""Groups of runs from the command line."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.program.test_several_processes import KEYS, ONE, Processes, free_address, run, settings_of
from tests.tiny_runs import assert_same_run

CONFIG = '--config=configs/digits_wgan_gp.py'
SWEEP = '-m', 'wgan_jax.sweep', CONFIG


def ends_with(*command):
    """The status and the last line of standard error of a command."""
    environment = os.environ | {'XDG_CACHE_HOME': os.environ['WGAN_JAX_TEST_PROGRAMS']}
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    return done.returncode, done.stderr.strip().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ('command', 'message'),
    [
        (['train.py', CONFIG, '--seeds=0'], 'Error: --seeds=0 must be at least 1, and all seeds less than 2^32.'),
        ([*SWEEP], 'Error: A sweep needs --set KEY=VALUE,VALUE,... or --random=N --space=FILE; for seeds alone'),
        ([*SWEEP, '--set', 'gp_weigt=1'], "Error: there is no key 'gp_weigt' in the config; did you mean 'gp_weight'?"),
        ([*SWEEP, '--random=3'], 'Error: A random search needs --random=N, at least 1, and --space=FILE'),
        (
            [*SWEEP, '--set', 'gp_weight=1', '--confirm=2', '--config.eval_every=None'],
            'Error: --confirm=2 needs scores: set --config.eval_every.',
        ),
        (
            ['-m', 'wgan_jax.sweep', '--config=toy_wgan_gp', '--set', 'gp_weight=1', '--by=wasserstein_true'],
            'Error: --by=wasserstein_true needs scores, which exist for images only: omit it, and compare',
        ),
    ],
)
def test_a_mistake_is_answered_in_one_sentence(command, message):
    status, line = ends_with(*command)
    assert status == 1
    assert line.startswith(message)


@pytest.mark.slow
def test_a_sweep_ranks_its_settings_and_confirms_the_best_one(tmp_path):
    keys = KEYS | {'num_steps': 2, 'eval_every': 2, 'eval_num_samples': 64}
    command = [sys.executable, *SWEEP, '--set', 'gp_weight=1,10', '--set', 'n_critic=1,2', '--confirm=2']
    command += [f'--config.{name}={value}' for name, value in keys.items() if name != 'n_critic'] + [f'--workdir={tmp_path}']
    dry = subprocess.run([*command, '--dry_run'], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert 'program 1: 2 runs, which differ in gp_weight' in dry
    assert 'program 2: 2 runs, which differ in gp_weight' in dry
    assert dry.count('\n  products: float32\n') == 2
    assert 'in all: 4 runs, ' in dry
    assert list(tmp_path.iterdir()) == []
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert '4 runs in 2 programs, one after the other.' in output
    ranked = output.split('the best setting first:\n')[1].splitlines()[:4]
    best = ranked[0].strip().partition(': ')[0]
    assert {line.strip().partition(':')[0] for line in ranked} == {
        f'gp_weight={weight},n_critic={n_critic}' for weight in (1, 10) for n_critic in (1, 2)
    }
    assert f'fd_digits_cnn_64 of {best}: ' in output.splitlines()[-1]
    assert 'over 2 seeds; in the search ' in output.splitlines()[-1]
    assert sorted(path.name for path in (tmp_path / 'confirmed').glob('*,seed_*')) == [f'{best},seed_1', f'{best},seed_2']


@pytest.mark.slow
def test_the_members_of_a_group_are_spread_over_the_devices_of_two_processes(tmp_path):
    """Three members on the devices that the command makes; each has the same bits as in one process."""
    keys = KEYS | {'num_steps': 6, 'checkpoint_every': 4}
    outputs = run(tmp_path / 'two', keys, flags=['--seeds=3'], environment=ONE)
    devices = 2 * min(3, len(os.sched_getaffinity(0)))
    assert f'training to step 6 on {devices} x cpu in 2 processes.' in outputs[0]
    assert 'means of 3 members' in outputs[0]
    assert 'Done: 3 runs are at step 6.' in outputs[0]
    assert 'step' not in outputs[1]
    run(tmp_path / 'one', keys, number=1, flags=['--seeds=3'])
    names = [f'seed_{seed}' for seed in range(3)]
    for name in names:
        assert_same_run(tmp_path / 'two' / name, tmp_path / 'one' / name, settings_of(keys))
        assert (tmp_path / 'two' / name / 'report.html').is_file()
    assert sorted(path.name for path in (tmp_path / 'two').iterdir()) == ['report.html', *names]


@pytest.mark.slow
def test_a_sweep_of_two_processes_ranks_once_and_both_confirm_its_choice(tmp_path):
    keys = KEYS | {'num_steps': 2, 'eval_every': 2, 'eval_num_samples': 64}
    command = [sys.executable, *SWEEP, '--set', 'gp_weight=1,10', '--confirm=2', f'--workdir={tmp_path}']
    command += [f'--config.{name}={value}' for name, value in keys.items()]
    command += [f'--coordinator={free_address()}', '--num_processes=2']
    with Processes([[*command, f'--process_id={index}'] for index in (0, 1)], ONE) as processes:
        codes, outputs, errors = processes.wait()
    assert codes == [0, 0], errors
    best = outputs[0].split('the best setting first:\n')[1].partition(': ')[0].strip()
    assert f'fd_digits_cnn_64 of {best}: ' in outputs[0].splitlines()[-1]
    assert all(line.startswith('[Gloo]') for line in outputs[1].splitlines())
    assert sorted(path.name for path in (tmp_path / 'confirmed').glob('*,seed_*')) == [f'{best},seed_1', f'{best},seed_2']
