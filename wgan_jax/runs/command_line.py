"""The command line of a command that looks at a run."""

import argparse
from typing import Any

from wgan_jax.runs.terminal import as_typed


def parser(name: str, about: str) -> argparse.ArgumentParser:
    """A parser for `python -m wgan_jax.NAME`, or wgan-NAME.

    Args:
      name: of the command.
      about: the docstring of its main module: what the command does, with examples.
    """
    return argparse.ArgumentParser(
        prog=as_typed(f'python -m wgan_jax.{name}'),
        description=as_typed(about).strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_run(parser: argparse.ArgumentParser) -> Any:
    """Adds the run, as RUN or as --workdir=RUN, and returns the group of which one option must be given."""
    source = parser.add_mutually_exclusive_group(required=True)
    # Both set `workdir`; without this default, RUN would replace --workdir by None.
    source.add_argument('workdir', metavar='RUN', nargs='?', default=argparse.SUPPRESS, help='directory of the run')
    source.add_argument('--workdir', dest='workdir', metavar='RUN', help='the same')
    parser.add_argument('--trust_code', action='store_true', help='run code.py of a run that was trained elsewhere; read it first')
    return source
