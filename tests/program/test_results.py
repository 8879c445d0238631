"""The results that docs/results.md states can be reached again."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

MARGIN = 5  # standard deviations between seeds, which are known from six of them only
START, END = '<!-- guarded by tests/program/test_results.py -->', '\n\n'


def command_of_the_readme():
    """The arguments of train.py in the command that a new user types."""
    (line,) = re.findall(r'<!-- command: train -->\n```bash\n(.*)\n```', (ROOT / 'README.md').read_text())
    return shlex.split(line.split('train.py')[1])


def documented():
    """{score: (mean, standard deviation)} of the table in docs/results.md."""
    table = (ROOT / 'docs' / 'results.md').read_text().split(START)[1].strip().split(END)[0]
    return {name: (float(mean), float(spread)) for name, mean, spread in re.findall(r'\| `(\w+)` \| (\S+) ± (\S+) \|', table)}


def found(workdir):
    """All numbers of the last evaluation and of the last line of the log."""
    evaluation, line = (
        json.loads((workdir / name).read_text().splitlines()[-1]) for name in ('evaluations.jsonl', 'metrics.jsonl')
    )
    assert evaluation['step'] == line['step'] == 8000
    return {**line, **evaluation['critic'], **evaluation['scores']}


@pytest.mark.slow
def test_the_first_command_of_the_readme_ends_with_the_documented_scores(tmp_path):
    """Another processor or version of JAX rounds differently, which is like another seed after 8,000 steps.

    WGAN_JAX_TEST_RUN names the directory of a run by that command, if there is one already.
    """
    expected = documented()
    assert len(expected) == 8
    workdir = Path(os.environ.get('WGAN_JAX_TEST_RUN', tmp_path / 'run'))
    if 'WGAN_JAX_TEST_RUN' not in os.environ:
        command = [sys.executable, 'train.py', *command_of_the_readme(), f'--workdir={workdir}']
        subprocess.run(command, cwd=ROOT, env=os.environ | {'XLA_FLAGS': ''}, check=True, timeout=1200)
    numbers = found(workdir)
    far = {name: numbers[name] for name, (mean, spread) in expected.items() if abs(numbers[name] - mean) > MARGIN * spread}
    assert not far, f'{far}, but docs/results.md states {expected}'
