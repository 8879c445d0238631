"""The command line: what a person types, and what comes back."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONFIG = '--config=configs/digits_wgan_gp.py'


def run(*arguments):
    return subprocess.run([sys.executable, 'train.py', *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'Error: --config is missing; try --config=configs/digits_wgan_gp.py.'),
        ([CONFIG, '--config.n_critc=1'], "Error: there is no key 'n_critc' in the config; did you mean 'n_critic'?"),
        ([CONFIG, '--config.critic.nom=layer'], "Error: there is no key 'nom' in the config; did you mean 'norm'?"),
        ([CONFIG, '--config.xyz=1'], "Error: there is no key 'xyz' in the config; configs/default.py lists every key."),
        ([CONFIG, '--config.num_steps=1e3'], 'Error: flag --config.num_steps=1e3: invalid literal for int()'),
        ([CONFIG, '--wrokdir=x'], "Error: Unknown command line flag 'wrokdir'. Did you mean: workdir ?"),
        ([CONFIG, 'hello'], "Error: 'hello' is not a flag; keys are set with --config.KEY=VALUE."),
        (['--config=configs/nope.py'], 'Error: the config file configs/nope.py cannot be loaded'),
        ([CONFIG, '--config.loss=hinge'], "Error: config.loss='hinge' is unknown"),
    ],
)
def test_a_mistake_is_answered_in_one_sentence(arguments, message):
    result = run(*arguments)
    assert result.returncode == 1
    assert message in result.stderr
    assert 'Traceback' not in result.stderr


def test_a_misspelt_key_in_a_config_file_is_answered_in_one_sentence(tmp_path):
    source = (ROOT / 'configs' / 'digits_gan.py').read_text().replace('config.n_critic', 'config.n_critc')
    (tmp_path / 'mine.py').write_text(source)
    result = run(f'--config={tmp_path / "mine.py"}')
    assert "Error: there is no key 'n_critc' in the config; did you mean 'n_critic'?" in result.stderr
    assert 'Traceback' not in result.stderr


def test_a_run_from_the_command_line_is_quiet_without_a_terminal(tmp_path):
    small = ['--config.num_steps=3', '--config.batch_size=8', '--config.critic.num_features=4', '--config.generator.num_features=4']
    result = run(CONFIG, f'--workdir={tmp_path}', *small)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ''
    assert len(result.stdout.splitlines()) == 3  # compiled, done, how to go on
    assert 'Done at step 3.' in result.stdout
