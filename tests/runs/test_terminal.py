import os
import subprocess
import sys

import pytest

from wgan_jax.errors import UserError
from wgan_jax.runs import terminal
from wgan_jax.runs.terminal import log_line

PROGRAM = """
import sys
from wgan_jax.runs import terminal
terminal.outlast_the_terminal()
for _ in range(20_000):
    print('a line that nobody reads')
    sys.stderr.write('nor this')
    sys.stderr.flush()
with open(sys.argv[1], 'w') as file:
    file.write(f'came through, {sys.stdout.isatty()}')
"""

TASKS = """
import asyncio, sys
from absl import app
from wgan_jax.runs import terminal

async def main():
    for name in ('orbax/checkpoint/writes.py', 'another/program.py'):
        space = {}
        exec(compile('async def write(): raise ValueError("NOT_FOUND")', name, 'exec'), space)
        asyncio.get_running_loop().create_task(space['write']())
    await asyncio.sleep(0)

def run(_):
    terminal.keep_orbax_quiet()
    asyncio.run(main())

if sys.argv[1] == 'app':
    app.run(run, argv=['program'])
else:
    terminal.run_command(lambda: asyncio.run(main()))
"""


def outlasts(tmp_path, shell):
    command = ['bash', '-c', shell, 'bash', sys.executable, '-c', PROGRAM, str(tmp_path / 'end')]
    subprocess.run(command, cwd=os.getcwd(), capture_output=True, timeout=300)
    return (tmp_path / 'end').read_text() == 'came through, False'


@pytest.mark.parametrize('shell', ['"$@" 2>&1 | true', '"$@" > /dev/full 2>&1', '"$@" >&- 2>&-'])
def test_a_program_runs_on_when_nothing_reads_its_output(tmp_path, shell):
    assert outlasts(tmp_path, shell)


@pytest.mark.parametrize('start', ['app', 'command'])
def test_asyncio_does_not_log_what_orbax_raises_and_logs_other_errors(start):
    result = subprocess.run([sys.executable, '-c', TASKS, start], cwd=os.getcwd(), capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert 'writes.py' not in result.stderr
    assert result.stderr.count('Traceback') == 1
    assert 'another/program.py' in result.stderr


def test_a_log_line_says_what_the_tutorials_print():
    means = {'wasserstein_estimate': 0.5, 'critic_loss': -0.5, 'generator_loss': 1.25, 'real_score': 2.0, 'fake_score': 1.5}
    assert log_line(938, 20_000, 1.0005, means, 938, 1234.5, 4000.0) == (
        'step 938 of 20,000, epoch 1.00: estimate 0.5 (sum 469), critic_loss -0.5, generator_loss 1.25, real_score 2, '
        'fake_score 1.5; 1,234 images/s, 1 h 6 min left'
    )
    with_exact = log_line(938, 20_000, 1.0005, means | {'wasserstein_true': 0.25}, 938, 1234.5, 4000.0)
    assert 'estimate 0.5 (sum 469), exact distance 0.25, critic_loss -0.5, ' in with_exact


def test_messages_name_commands_as_they_can_be_typed(monkeypatch):
    text = 'python train.py, python -m wgan_jax.sample RUN or python -m wgan_jax.export. python -m wgan_jax.metrics.features.x'
    installed = 'wgan-train, wgan-sample RUN or wgan-export. python -m wgan_jax.metrics.features.x'
    for called, in_checkout, expected in (
        ('train.py', True, text),
        ('/usr/bin/wgan-report', True, installed),
        ('__main__.py', False, installed),
    ):
        monkeypatch.setattr('sys.argv', [called])
        monkeypatch.setattr(terminal, '_IN_CHECKOUT', in_checkout)
        assert terminal.as_typed(text) == expected
        with pytest.raises(SystemExit) as caught, terminal.errors_in_a_sentence('--out'):
            raise UserError(text)
        assert str(caught.value) == f'Error: {expected}'
