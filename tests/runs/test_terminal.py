import os
import subprocess
import sys

import pytest

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
