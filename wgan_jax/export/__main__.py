"""Writes the generator or the critic of a run as one file that runs with jax alone, without this package.

    python -m wgan_jax.export RUN                    # the newest checkpoint; --step=N or --step=best for another
    python -m wgan_jax.export RUN --player=critic    # the critic instead

It writes generator.stablehlo, which contains the weights, and generator.json, which describes input, output and origin and says how
to load it, into exported/ in the run's directory; or critic.stablehlo and critic.json.
"""

import argparse
import sys
from collections.abc import Sequence

from wgan_jax.runs import command_line
from wgan_jax.runs.files import expand
from wgan_jax.runs.terminal import errors_in_a_sentence, run_command


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = command_line.parser('export', __doc__)
    command_line.add_run(parser)
    parser.add_argument('--player', choices=('generator', 'critic'), default='generator', help='default: generator')
    parser.add_argument('--step', help="number of a checkpoint, or 'best', by the run's best_metric; default: the newest")
    parser.add_argument('--raw', action='store_true', help='use the generator itself, even if the run has an average of it')
    parser.add_argument('--out', type=expand, help='directory of the output; default: exported, in the workdir')
    parsed = parser.parse_args(arguments)
    if parsed.raw and parsed.player == 'critic':
        parser.error('--raw has no meaning with --player=critic, of which there is no average: leave one out')
    return parsed


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    with errors_in_a_sentence('--out'):
        parsed = parse(sys.argv[1:] if arguments is None else arguments)
        from wgan_jax.export import command  # imports jax: a mistyped option is answered before

        command.run(parsed)


def run() -> None:
    """Runs the command as a program."""
    run_command(main)


if __name__ == '__main__':
    run()
