"""Puts each of mutations.py into a copy of the code and runs the tests there until the first fails.

    python -m tests.reference.mutate [--only PART_OF_A_NAME]

prints a table of the bugs and the tests that notice them, and exits with 1 if there is one that no test notices. Takes half an hour
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

# What is about the algorithm, the quickest first.
TESTS = [f'tests/test_{name}.py' for name in ('losses', 'optimizers', 'noise', 'steps', 'descent', 'properties')]
TESTS += ['tests/data/test_plan.py', 'tests/reference/test_reference.py', 'tests/test_parallel.py', 'tests/test_models.py']


def first_failure(mutation: Mutation) -> str:
    """The first test that fails with this bug, or an empty string.

    Raises:
      RuntimeError: the tests could not be run.
    """
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / 'copy'
        ignored = shutil.ignore_patterns('.*', 'runs', '__pycache__')
        shutil.copytree(PACKAGE.parent, copy, ignore=ignored)
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
    parser.add_argument('--only', default='', help='a part of the names of those to try')
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
