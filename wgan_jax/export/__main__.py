"""Writes the generator of a run as one file that runs with jax alone, without this package.

    python -m wgan_jax.export --workdir=RUN                    # the newest checkpoint; --step=N or --step=best for another

It writes generator.stablehlo, which contains the weights, and generator.json, which describes input, output and origin and says how
to load it, into exported/ in the run's directory.
"""

import argparse
import sys
from collections.abc import Sequence

from wgan_jax.runs.files import expand
from wgan_jax.runs.terminal import errors_in_a_sentence, run_command


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m wgan_jax.export', description='Writes the generator of a run as one file.', allow_abbrev=False
    )
    parser.add_argument('--workdir', required=True, help='directory of the run')
    parser.add_argument('--step', help="number of a checkpoint, or 'best', by the run's best_metric; default: the newest")
    parser.add_argument('--raw', action='store_true', help='use the generator itself, even if the run has an average of it')
    parser.add_argument('--out', type=expand, help='directory of the output; default: exported, in the workdir')
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    with errors_in_a_sentence('--out'):
        parsed = parse(sys.argv[1:] if arguments is None else arguments)
        from wgan_jax.export import command  # imports jax: a mistyped option is answered before

        command.run(parsed)


if __name__ == '__main__':
    run_command(main)
