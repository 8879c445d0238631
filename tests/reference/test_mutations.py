import pytest

from tests.reference.mutations import MUTATIONS, PACKAGE, mutated


@pytest.mark.parametrize('mutation', MUTATIONS, ids=lambda mutation: mutation.name)
def test_every_bug_still_fits_the_code(mutation):
    """mutate.py takes half an hour; this keeps its bugs from going stale."""
    compile(mutated(mutation), mutation.file, 'exec')
    assert mutated(mutation) != (PACKAGE / f'{mutation.file}.py').read_text()
