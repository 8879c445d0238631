"""The command line and its messages."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

CONFIG, WGAN = '--config=configs/digits_wgan_gp.py', '--config=configs/digits_wgan.py'


def run(*arguments, **environment):
    command = [sys.executable, 'train.py', *arguments]
    own = {'XLA_FLAGS': '--xla_force_host_platform_device_count=4', 'XDG_CACHE_HOME': os.environ['WGAN_JAX_TEST_PROGRAMS']}
    environment = os.environ | own | environment
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'Error: --config is missing; try --config=digits_wgan_gp. The configs are:\n  celeba_gan, '),
        (['mnist_wgan_pg'], "Error: there is no config 'mnist_wgan_pg'; did you mean mnist_wgan_gp, mnist_wgan or mnist_wgan_sn?"),
        ([CONFIG, '--config.n_critc=1'], "Error: there is no key 'n_critc' in the config; did you mean 'n_critic'?"),
        ([CONFIG, '--config.critic.nom=layer'], "Error: there is no key 'critic.nom' in the config; did you mean 'critic.norm'?"),
        ([CONFIG, '--config.xyz=1'], "Error: there is no key 'xyz' in the config; configs/default.py lists every key."),
        ([CONFIG, '--config.num_steps=1e3'], "Error: --config.num_steps='1e3' must be a whole number."),
        ([CONFIG, '--wrokdir=x'], 'Error: there is no flag --wrokdir; did you mean --workdir?'),
        ([CONFIG, '--batch_size=32'], 'Error: --batch_size is a key of the config: write --config.batch_size=32.'),
        ([CONFIG, 'hello'], "Error: 'hello' is not a flag; keys are set with --config.KEY=VALUE."),
        (['--config', 'configs/nope.py'], "Error: there is no config 'configs/nope.py'; give the path of a file, or a name."),
        ([CONFIG, '--config.data=mnist'], 'Error: config.data is a section; set a key in it.'),
        ([CONFIG, '--config.seed=None'], 'Error: config.seed cannot be None.'),
        ([CONFIG, '--config.critic.nom=None'], "Error: there is no key 'critic.nom' in the config;"),
        ([CONFIG, '--config.loss=hunge'], "Error: config.loss='hunge' is unknown"),
    ],
)
def test_a_mistake_is_answered_in_one_sentence(arguments, message):
    result = run(*arguments)
    assert result.returncode == 1
    assert message in result.stderr
    assert 'Traceback' not in result.stderr


@pytest.mark.parametrize(
    ('variable', 'value', 'message'),
    [
        ('JAX_PLATFORMS', 'nonsense', 'Error: JAX cannot use the devices of JAX_PLATFORMS=nonsense ('),
        ('JAX_PLATFORMS', 'cuda', 'Error: JAX cannot use the devices of JAX_PLATFORMS=cuda ('),
        pytest.param('JAX_DISABLE_JIT', '1', 'Error: JAX_DISABLE_JIT is set, and this program compiles', marks=pytest.mark.slow),
    ],
)
def test_an_environment_without_devices_is_answered_in_one_sentence(variable, value, message):
    result = run(WGAN, '--dry_run', CUDA_VISIBLE_DEVICES='', **{variable: value})
    assert result.returncode == 1
    assert result.stderr.startswith(message)
    assert len(result.stderr.splitlines()) == 1


def test_a_workdir_that_is_not_utf8_is_refused(tmp_path):
    result = run(WGAN, b'--workdir=' + os.fsencode(tmp_path) + b'/\xff')
    assert result.returncode == 1
    assert result.stderr == f'Error: --workdir={tmp_path}/\\udcff is not UTF-8, which checkpoints need: give another name.\n'


@pytest.mark.slow
def test_the_advice_of_the_messages_can_be_typed():
    """None unsets a key, so any config can become another game or another network by flags."""
    flags = ['--config.gp_weight=10', '--config.clip_value=None', '--config.critic.norm=layer', '--config.critic.num_features=4']
    result = run(WGAN, *flags, '--config.generator.num_layers=None', '--dry_run', XLA_FLAGS='--xla_backend_optimization_level=0')
    assert result.returncode == 0, result.stderr
    assert '"clip_value": null' in result.stdout
    assert 'critic: ' in result.stdout


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (('config.n_critic', 'config.n_critc'), "Error: there is no key 'n_critc' in the config; did you mean 'n_critic'?"),
        (('config.n_critic = 1', 'config.n_critic = 1 1'), 'Error: the config file cannot be loaded (SyntaxError'),
        (('config.n_critic = 1', 'config.n_critic = one'), "mine.py, line 22: name 'one' is not defined)."),
        (('config.n_critic = 1', "config.n_critic = 'one'"), "Could not override field 'n_critic'"),
    ],
)
def test_a_mistake_in_a_config_file_is_answered_in_one_sentence(tmp_path, change, message):
    (tmp_path / 'mine.py').write_text((ROOT / 'configs' / 'digits_gan.py').read_text().replace(*change))
    result = run(f'--config={tmp_path / "mine.py"}')
    assert message in result.stderr
    assert 'Traceback' not in result.stderr


@pytest.mark.slow
def test_a_run_without_a_terminal_prints_a_line_per_log_point(tmp_path):
    small = [
        '--config.num_steps=3',
        '--config.eval_num_samples=64',
        '--config.batch_size=8',
        '--config.critic.num_features=4',
        '--config.generator.num_features=4',
    ]
    result = run(WGAN, f'--workdir={tmp_path}', *small)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ''
    assert len(result.stdout.splitlines()) == 6  # compiled, log point, scores, done, how to continue, report
    assert '\nstep 3, scored in ' in result.stdout
    assert '\nstep 3 of 3, epoch 0.08: estimate ' in result.stdout
    assert 'Done at step 3.' in result.stdout


@pytest.mark.slow
def test_a_resumed_run_compiles_nothing_again(tmp_path):
    small = ['--config.batch_size=8', '--config.critic.num_features=4', '--config.generator.num_features=4']
    small.append('--config.eval_every=None')
    environment = {'JAX_COMPILATION_CACHE_DIR': str(tmp_path / 'cache')}
    programs = []
    for steps in (2, 4):
        result = run(CONFIG, f'--workdir={tmp_path / "run"}', f'--config.num_steps={steps}', *small, **environment)
        assert result.returncode == 0, result.stderr
        compiled = {path.name: path.stat().st_size for path in (tmp_path / 'cache').rglob('*-cache')}
        largest = max(compiled.values())
        programs.append({name for name, size in compiled.items() if size > largest / 3})
    assert programs[0] == programs[1]  # of the rounds; the other programs of a resumed run are small
