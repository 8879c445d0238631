"""Writes the report of one run, or of several side by side, as one HTML file.

python -m wgan_jax.report RUN                         # writes RUN/report.html
python -m wgan_jax.report RUN RUN ... [--out=FILE]    # writes ./report.html unless --out is given
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from wgan_jax.runs.files import expand
from wgan_jax.runs.terminal import errors_in_a_sentence, run_command


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m wgan_jax.report', description='Writes the report of runs: one HTML file.', allow_abbrev=False
    )
    parser.add_argument('runs', type=expand, nargs='+', metavar='RUN', help='directory of a run')
    parser.add_argument('--out', type=expand, help='the file; default: report.html, in the directory of a single run')
    parsed = parser.parse_args(arguments)
    if parsed.out is None:
        parsed.out = (parsed.runs[0] if len(parsed.runs) == 1 else Path()) / 'report.html'
    if parsed.out.is_dir():
        parser.error(f'--out={parsed.out} is a directory: give the name of a file')
    return parsed


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    with errors_in_a_sentence('--out'):
        parsed = parse(sys.argv[1:] if arguments is None else arguments)
        from wgan_jax.report.page import write  # slow to import, as matplotlib is

        size = write(parsed.runs, parsed.out)
    print(f'Report: {parsed.out} ({size / 1e6:.1f} MB)')


if __name__ == '__main__':
    run_command(main)
