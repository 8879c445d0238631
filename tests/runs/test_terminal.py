import os
import subprocess
import sys

import pytest

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


def outlasts(tmp_path, shell):
    command = ['bash', '-c', shell, 'bash', sys.executable, '-c', PROGRAM, str(tmp_path / 'end')]
    subprocess.run(command, cwd=os.getcwd(), capture_output=True, timeout=60)
    return (tmp_path / 'end').read_text() == 'came through, False'


@pytest.mark.parametrize('shell', ['"$@" 2>&1 | true', '"$@" > /dev/full 2>&1', '"$@" >&- 2>&-'])
def test_a_program_runs_on_when_nothing_reads_its_output(tmp_path, shell):
    assert outlasts(tmp_path, shell)


def test_a_log_line_says_what_the_tutorials_print():
    means = {'wasserstein_estimate': 0.5, 'critic_loss': -0.5, 'generator_loss': 1.25, 'real_score': 2.0, 'fake_score': 1.5}
    assert log_line(938, 20_000, 1.0005, means, 938, 1234.5, 4000.0) == (
        'step 938 of 20,000, epoch 1.00: estimate 0.5 (sum 469), critic_loss -0.5, generator_loss 1.25, real_score 2, '
        'fake_score 1.5; 1,234 images/s, 1 h 6 min left'
    )
