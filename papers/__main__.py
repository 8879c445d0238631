"""Makes a figure or a table of the papers; `python -m papers --help` lists their names."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from papers.shared.output import Options
from wgan_jax.runs.files import expand
from wgan_jax.runs.terminal import errors_in_a_sentence, run_command

FIGURES = {  # name of a module: what its figure shows
    'parallel_lines': "earth mover's and Jensen-Shannon distance of two parallel lines, exact and estimated (WGAN, figure 1)",
    'two_gaussians': 'a discriminator and critics between two Gaussians, and their gradients (WGAN, figure 2)',
    'estimate_and_quality': 'the Wasserstein estimate and the quality of samples over training (WGAN, figure 3)',
    'exact_distance': 'critics over training beside the exact distance of what is generated, for points (WGAN, section 4.2)',
    'js_estimate': "a GAN's estimate of the Jensen-Shannon divergence over training (WGAN, figure 4)",
    'generators': 'samples of DCGAN, no-batch-norm and MLP generators, WGAN and GAN (WGAN, figures 5 to 7)',
    'generator_gradients': "the generator's gradients while a discriminator is trained (Arjovsky and Bottou 2017, figures 2, 3)",
    'image_noise': "a GAN's gradient between two parallel lines with noise on all points (Arjovsky and Bottou 2017, section 3)",
    'value_surfaces': 'value surfaces of critics, clipping and penalty (WGAN-GP, figure 1a)',
    'gradient_norms': 'gradients by layer and weights, clipping and penalty (WGAN-GP, figure 1b)',
    'overfitting': "a critic's loss on training and validation images, for 1,000 digits and for all (WGAN-GP, figure 5b)",
    'random_search': 'the best score of k random settings, GAN against WGAN, WGAN-GP and WGAN-LP (Lucic et al. 2018, figure 4)',
}
COMMANDS = {  # with options of their own
    'games_on_mnist': 'scores of GAN, WGAN, WGAN-GP and WGAN-LP',
    'known_distances': 'critics against distances and gradients that are known exactly (Korotin et al. 2022)',
}


def parse(arguments: Sequence[str]) -> tuple[str, Options]:
    """Reads the command line of a figure: its name and its options."""
    names = '\n'.join(f'  {name:22}{shows}' for name, shows in FIGURES.items())
    names += ''.join(f'\n  {name:22}{shows}; options: python -m papers {name} --help' for name, shows in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog='python -m papers', epilog=f'names:\n{names}', formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('name', choices=FIGURES, metavar='NAME')
    parser.add_argument('--out', type=expand, default=Path('figures'), help='output directory; default: figures')
    parser.add_argument('--quick', action='store_true', help='a size for minutes on a CPU')
    parser.add_argument('--dir', help='directory of the data sets, like --config.data.dir')
    parser.add_argument('--manual_dir', help='directory of files fetched by hand, like --config.data.manual_dir')
    parsed = vars(parser.parse_args(arguments))
    return parsed.pop('name'), Options(**parsed)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with errors_in_a_sentence('--out'):
        if arguments and arguments[0] in COMMANDS:
            importlib.import_module(f'papers.{arguments[0]}').main(arguments[1:])
            return
        name, options = parse(arguments)
        from wgan_jax.devices.compiling import use_compilation_cache  # imports jax: a mistyped option is answered before

        use_compilation_cache()
        before = _times(options.out)
        importlib.import_module(f'papers.{name}').draw(options)
        written = [str(path) for path, time in _times(options.out).items() if before.get(path) != time]
        print(f'Written: {", ".join(written)}')


def _times(directory: Path) -> dict[Path, int]:
    """When each file in a directory was last written."""
    return {path: path.stat().st_mtime_ns for path in sorted(directory.glob('*')) if path.is_file()}


if __name__ == '__main__':
    run_command(main)
