"""Makes a figure of the papers: python -m papers NAME --out=DIR."""

import argparse
import sys
from pathlib import Path

from papers import FIGURES, Options, figure
from wgan_jax.devices.compiling import use_compilation_cache
from wgan_jax.errors import UserError
from wgan_jax.runs.files import path_of
from wgan_jax.runs.terminal import outlast_the_terminal


def parse(argv: list[str]) -> tuple[str, Options]:
    """The name of the figure, and its options."""
    names = '\n'.join(f'  {name:22}{shows}' for name, shows in FIGURES.items())
    parser = argparse.ArgumentParser(
        prog='python -m papers', epilog=f'names:\n{names}', formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('name', choices=FIGURES, metavar='NAME')
    parser.add_argument('--out', type=path_of, default=Path('figures'), help='directory of what is written; default: figures')
    parser.add_argument('--quick', action='store_true', help='a size for minutes on a CPU; without, that of the paper')
    parser.add_argument('--dir', help='where data sets live, as config.data.dir')
    parser.add_argument('--manual_dir', help='where files fetched by hand are, as config.data.manual_dir')
    arguments = vars(parser.parse_args(argv))
    return arguments.pop('name'), Options(**arguments)


def main(argv: list[str]) -> None:
    """Makes the figure that the command line names."""
    name, options = parse(argv)
    use_compilation_cache()
    try:
        figure(name)(options)
    except UserError as error:
        sys.exit(f'Error: {error}')
    except OSError as error:
        sys.exit(f'Error: {error.filename or options.out} cannot be written ({error.strerror}): give another --out.')


if __name__ == '__main__':
    outlast_the_terminal()
    main(sys.argv[1:])
