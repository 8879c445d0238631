"""Scores a checkpoint of a run, and writes every number with its protocol.

    python -m wgan_jax.evaluate RUN                  # the newest checkpoint; --step=N or --step=best for another
    python -m wgan_jax.evaluate RUN --images=DIR     # also writes the samples, and real images, as PNG files

It writes a JSON file and pictures into evaluation/ in the run's directory. The name of the file says the step, the features and the
number of samples, so that evaluations stand beside each other; the pictures are those of the last one.
"""

import argparse
import sys
from collections.abc import Sequence

from wgan_jax.runs import command_line
from wgan_jax.runs.files import expand
from wgan_jax.runs.terminal import errors_in_a_sentence, run_command


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = command_line.parser('evaluate', __doc__)
    command_line.add_run(parser)
    parser.add_argument('--step', help="number of a checkpoint, or 'best', by the run's best_metric; default: the newest")
    parser.add_argument('--out', type=expand, help='directory of the numbers and the pictures; default: evaluation/ in the workdir')
    parser.add_argument('--num_samples', type=int, help='generated images; default: eval_num_samples of the run')
    parser.add_argument('--features', help='digits_cnn, mnist_cnn, celeba_attributes, inception or none; default: by the data set')
    parser.add_argument('--weights', help='file with the weights of inception or celeba_attributes')
    parser.add_argument('--seed', type=int, default=0, help='of the latents and of every other random choice; default: 0')
    parser.add_argument('--raw', action='store_true', help='use the generator itself, even if the run has an average of it')
    parser.add_argument('--images', type=expand, help='directory for the samples and as many real images, as PNG files')
    for name in ('dir', 'manual_dir', 'folder', 'file'):
        parser.add_argument(f'--data.{name}', dest=name, help=f'replaces config.data.{name} of the run')
    parsed = parser.parse_args(arguments)
    if not 0 <= parsed.seed < 2**32:
        parser.error(f'--seed={parsed.seed} must be at least 0 and less than 2^32')
    return parsed


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    with errors_in_a_sentence('--out or --images'):
        parsed = parse(sys.argv[1:] if arguments is None else arguments)
        from wgan_jax.evaluate import command  # imports jax: a mistyped option is answered before

        command.run(parsed)


def run() -> None:
    """Runs the command as a program."""
    run_command(main)


if __name__ == '__main__':
    run()
