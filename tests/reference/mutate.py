"""Applies each bug of mutations.py to a copy of the code, and runs the tests there until the first failure.

    python -m tests.reference.mutate [--only PART_OF_A_NAME]

prints a table of the bugs and of the tests that notice them, and exits with status 1 if a bug is not noticed. It takes half an hour
on 2 cores.
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

# The tests of the algorithm, the quickest first.
TESTS = [f'tests/algorithm/test_{name}.py' for name in ('losses', 'optimizers', 'weight_clipping', 'noise', 'steps')]
TESTS += ['tests/algorithm/test_descent.py', 'tests/algorithm/test_properties.py', 'tests/data/test_plan.py']
TESTS += ['tests/reference/test_reference.py', 'tests/devices/test_parallel.py']
TESTS += ['tests/models/test_models.py']


def first_failure(mutation: Mutation) -> str:
    """The first test that fails with a bug, or an empty string.

    Raises:
      RuntimeError: the tests could not be run.
    """
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / 'copy'
        for folder in ('configs', 'tests', 'wgan_jax'):
            shutil.copytree(PACKAGE.parent / folder, copy / folder, ignore=shutil.ignore_patterns('__pycache__'))
        shutil.copy(PACKAGE.parent / 'pyproject.toml', copy)
        (copy / 'wgan_jax' / f'{mutation.file}.py').write_text(mutated(mutation))
        command = [sys.executable, '-m', 'pytest', '-x', '-n', '0', '-p', 'no:cacheprovider', *TESTS]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    failed = re.search(r'^(?:FAILED|ERROR) (\S+)', done.stdout, re.MULTILINE)
    if failed is None and done.returncode:
        raise RuntimeError(f'{mutation.name}: the tests did not run\n{done.stdout[-2000:]}{done.stderr[-2000:]}')
    return failed.group(1) if failed else ''


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--only', default='', help='only bugs with this in their name')
    part = parser.parse_args().only
    chosen = [mutation for mutation in MUTATIONS if part in mutation.name]
    missed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutation, test in zip(chosen, pool.map(first_failure, chosen), strict=True):
            missed += not test
            print(f'| {mutation.name} | {f"`{test}`" if test else "**no test**"} |', flush=True)
    print(f'{len(chosen) - missed} of {len(chosen)} noticed')
    sys.exit(missed > 0)


if __name__ == '__main__':
    main()
