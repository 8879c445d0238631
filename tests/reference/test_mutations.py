import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.reference.mutate import named_tests
from tests.reference.mutations import MUTATIONS, PACKAGE, mutated


@pytest.mark.parametrize('mutation', MUTATIONS, ids=lambda mutation: mutation.name)
def test_every_mutation_applies_to_the_code(mutation):
    """Quick, unlike mutate.py, which runs tests on each."""
    compile(mutated(mutation), mutation.file, 'exec')
    assert mutated(mutation) != (PACKAGE / f'{mutation.file}.py').read_text()


def test_the_page_names_a_test_for_every_mutation():
    named = named_tests()
    assert list(named) == [mutation.name for mutation in MUTATIONS]
    for test in named.values():
        file, name = test.split('[')[0].split('::')
        assert re.search(rf'^def {name}\(', (ROOT / 'tests' / file).read_text(), re.MULTILINE), test


@pytest.mark.slow
def test_every_named_test_exists_with_its_parameters():
    """Otherwise pytest would run no test for the bug, or all."""
    files = sorted({test.split('::')[0] for test in named_tests().values()})
    command = [sys.executable, '-m', 'pytest', '-o', 'addopts=', '--collect-only', '-q', *(f'tests/{file}' for file in files)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    there = {line.removeprefix('tests/') for line in output.splitlines() if '::' in line}
    there |= {line.split('[')[0] for line in there}
    assert set(named_tests().values()) - there == set()
