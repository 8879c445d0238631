"""Writes the report of one run, or of several side by side, as one HTML file.

    python -m wgan_jax.report RUN                         # writes RUN/report.html
    python -m wgan_jax.report RUN RUN ... [--out=FILE]    # writes ./report.html unless --out is given
    python -m wgan_jax.report GROUP                       # the runs in the directory GROUP: mean and band over their seeds

The page needs no other file, and no network.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from wgan_jax.runs import command_line
from wgan_jax.runs.files import expand
from wgan_jax.runs.terminal import errors_in_a_sentence, run_command


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = command_line.parser('report', __doc__)
    parser.add_argument('runs', type=expand, nargs='+', metavar='RUN', help='directory of a run, or of a group of runs')
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


def run() -> None:
    """Runs the command as a program."""
    run_command(main)


if __name__ == '__main__':
    run()
