import re

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
