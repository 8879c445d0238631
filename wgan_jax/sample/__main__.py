"""Makes pictures with the generator of a run, or with an exported one.

    python -m wgan_jax.sample RUN                     # a grid of 64 samples, with seeds 0 to 63
    python -m wgan_jax.sample RUN --seeds=3,17,40-49  # the samples of these seeds
    python -m wgan_jax.sample RUN --num_images=50000 --images=DIR  # one PNG file per sample, named by its seed
    python -m wgan_jax.sample RUN --walk              # GIF and MP4: walks from sample to sample
    python -m wgan_jax.sample RUN --training          # GIF and MP4: the sample grids of the run; PNG: six of them
    python -m wgan_jax.sample --generator=FILE        # FILE from python -m wgan_jax.export; all but --training

It writes into generated/ in the run's directory, or beside FILE. The same command gives the same bytes, and a seed gives the same
image in every command.
"""

import argparse
import math
import sys
from collections.abc import Sequence

from wgan_jax.runs import command_line
from wgan_jax.runs.files import expand
from wgan_jax.runs.terminal import as_typed, errors_in_a_sentence, run_command
from wgan_jax.sample import seeds

_MAX_WALKS = 16


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = command_line.parser('sample', __doc__)
    source = command_line.add_run(parser)
    source.add_argument('--generator', type=expand, help=as_typed('generator.stablehlo that python -m wgan_jax.export wrote'))
    parser.add_argument('--step', help="number of a checkpoint, or 'best', by the run's best_metric; default: the newest")
    parser.add_argument('--raw', action='store_true', help='use the generator itself, even if the run has an average of it')
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--seeds', type=seeds.parse, help='of the images, such as 0,1,5-9; with --walk, the stops of one walk')
    which.add_argument('--seed', type=int, help='of the first image; the following images have the next seeds; default: 0')
    parser.add_argument('--num_images', type=int, help='images, or walks side by side; default: 64, 2500 points, or 9 walks')
    parser.add_argument(
        '--truncation', type=float, help='draw latents from the normal distribution cut off at this size; default: no cut'
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument('--images', type=expand, help='a new or empty directory for one PNG file per image, instead of a grid')
    kind.add_argument('--walk', action='store_true', help='a closed walk through latents, as GIF and MP4')
    kind.add_argument(
        '--training', action='store_true', help='the sample grids of the run, as GIF and MP4, and a row of six of them as PNG'
    )
    parser.add_argument('--out', type=expand, help='directory of the output; default: generated, in that of the run or file')
    parsed = parser.parse_args(arguments)
    if complaint := _complaint(parsed):
        parser.error(complaint)
    return parsed


def _complaint(parsed: argparse.Namespace) -> str | None:
    """What is wrong with the options, or None."""
    of_run = ('step', 'raw')
    contradictions = {
        'training': ('generator', 'seeds', 'seed', 'num_images', 'truncation', *of_run),
        'generator': (*of_run, 'trust_code'),
        'images': ('out',),
        'seeds': ('num_images',),
    }
    given = {name for name, value in vars(parsed).items() if value is not None and value is not False}
    for name, others in contradictions.items():
        for other in others:
            if {name, other} <= given:
                return f'--{other} has no meaning with --{name}: leave one out'
    if parsed.truncation is not None and not 0 < parsed.truncation < math.inf:
        return f'--truncation={parsed.truncation:g} must be a finite number greater than 0'
    most = _MAX_WALKS if parsed.walk else seeds.MAX_SEEDS
    if parsed.num_images is not None and not 1 <= parsed.num_images <= most:
        return f'--num_images={parsed.num_images} must be from 1 to {most}'
    if not 0 <= (parsed.seed or 0) < seeds.END - seeds.MAX_SEEDS:
        return f'--seed={parsed.seed} must be at least 0 and less than 2^32 - {seeds.MAX_SEEDS}'
    return None


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    with errors_in_a_sentence('--out or --images'):
        parsed = parse(sys.argv[1:] if arguments is None else arguments)
        from wgan_jax.sample import command  # imports jax: a mistyped option is answered before

        print(f'Written: {", ".join(map(str, command.sample(parsed)))}')


def run() -> None:
    """Runs the command as a program."""
    run_command(main)


if __name__ == '__main__':
    run()
