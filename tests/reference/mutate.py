"""Applies each bug of mutations.py to a copy of the code, and runs the test there that docs/correctness.md names for it.

    python -m tests.reference.mutate [--only PART_OF_A_NAME]

If that test passes, or the page names none, the other tests are run until the first failure. Prints a table of the bugs and of the
tests that notice them, and exits with status 1 if a bug is not noticed.
"""

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.reference.mutations import MUTATIONS, PACKAGE, Mutation, mutated

# The quickest first in each folder; those of the folder with the bug are run before all others.
TESTS = [f'tests/algorithm/test_{name}.py' for name in ('losses', 'optimizers', 'weight_clipping', 'noise', 'steps')]
TESTS += [f'tests/algorithm/test_{name}.py' for name in ('standing_statistics', 'descent', 'dropout', 'properties')]
TESTS += [f'tests/data/test_{name}.py' for name in ('plan', 'files', 'images', 'feed', 'folder', 'celeba')]
TESTS += [f'tests/convolutions/test_{name}.py' for name in ('cpu', 'fused', 'winograd')]
TESTS += [
    'tests/models/test_bounded.py',
    'tests/models/test_layers.py',
    'tests/models/test_initialisation.py',
    'tests/models/test_models.py',
    'tests/models/test_dcgan.py',
    'tests/reference/test_reference.py',
    'tests/devices/test_parallel.py',
]


def named_tests() -> dict[str, str]:
    """{bug: test} of the table in docs/correctness.md."""
    page = (PACKAGE.parent / 'docs' / 'correctness.md').read_text()
    _, table = page.split('| bug | the test that notices it |\n')
    return dict(re.findall(r'^\| (.+?) \| `(\S+)` \|$', table.split('\n\n')[0], re.MULTILINE))


def failing_test(mutation: Mutation, named: str | None) -> str:
    """A test that fails with a bug, or an empty string.

    Args:
      mutation: the bug.
      named: the test to run first; None: there is no such test.

    Raises:
      RuntimeError: the tests could not be run.
    """
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / 'copy'
        for folder in ('configs', 'tests', 'wgan_jax'):
            shutil.copytree(PACKAGE.parent / folder, copy / folder, ignore=shutil.ignore_patterns('__pycache__'))
        shutil.copy(PACKAGE.parent / 'pyproject.toml', copy)
        (copy / 'wgan_jax' / f'{mutation.file}.py').write_text(mutated(mutation))
        near = f'tests/{Path(mutation.file).parent}/'
        first = ['-m', '', f'tests/{named}'] if named else []  # also if it is slow
        for tests in (first, sorted(TESTS, key=lambda path: not path.startswith(near))):
            if not tests:
                continue
            command = [sys.executable, '-m', 'pytest', '-x', '-n', '0', '-p', 'no:cacheprovider', *tests]
            done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
            failed = re.search(r'^(?:FAILED|ERROR) tests/(\S+)', done.stdout, re.MULTILINE)
            if failed:
                return failed.group(1)
            if done.returncode:
                raise RuntimeError(f'{mutation.name}: the tests did not run\n{done.stdout[-2000:]}{done.stderr[-2000:]}')
    return ''


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--only', default='', help='only bugs with this in their name')
    part = parser.parse_args().only
    chosen = [mutation for mutation in MUTATIONS if part in mutation.name]
    missed, named = 0, named_tests()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutation, test in zip(
            chosen, pool.map(failing_test, chosen, [named.get(mutation.name) for mutation in chosen]), strict=True
        ):
            missed += not test
            print(f'| {mutation.name} | {f"`{test}`" if test else "**no test**"} |', flush=True)
    print(f'{len(chosen) - missed} of {len(chosen)} noticed')
    sys.exit(missed > 0)


if __name__ == '__main__':
    main()
