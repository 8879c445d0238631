import pytest

from tests.reference.mutations import MUTATIONS, PACKAGE, mutated


@pytest.mark.parametrize('mutation', MUTATIONS, ids=lambda mutation: mutation.name)
def test_every_mutation_applies_to_the_code(mutation):
    """Quick, unlike mutate.py, which takes half an hour."""
    compile(mutated(mutation), mutation.file, 'exec')
    assert mutated(mutation) != (PACKAGE / f'{mutation.file}.py').read_text()
