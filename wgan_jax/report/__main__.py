"""Writes the report of one run, or of several side by side: one HTML file to open from the disk.

python -m wgan_jax.report RUN                    # RUN/report.html
python -m wgan_jax.report RUN RUN ... [--out=FILE]    # ./report.html
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from wgan_jax.errors import UserError
from wgan_jax.runs.files import path_of


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m wgan_jax.report', description='Writes the report of runs: one HTML file.', allow_abbrev=False
    )
    parser.add_argument('runs', type=path_of, nargs='+', metavar='RUN', help='directory of a run')
    parser.add_argument('--out', type=path_of, help='the file; default: report.html, of one run in its directory')
    parsed = parser.parse_args(arguments)
    if parsed.out is None:
        parsed.out = (parsed.runs[0] if len(parsed.runs) == 1 else Path()) / 'report.html'
    if parsed.out.is_dir():
        parser.error(f'--out={parsed.out} is a directory: name the file')
    return parsed


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parsed = parse(sys.argv[1:] if arguments is None else arguments)
    from wgan_jax.report.page import write

    try:
        size = write(parsed.runs, parsed.out)
    except UserError as error:
        sys.exit(f'Error: {error}')
    except OSError as error:
        sys.exit(f'Error: {error.filename or parsed.out} cannot be written ({error.strerror}): give another --out.')
    print(f'Report: {parsed.out} ({size / 1e6:.1f} MB)')


if __name__ == '__main__':
    from wgan_jax.runs.terminal import outlast_the_terminal

    outlast_the_terminal()
    main()
