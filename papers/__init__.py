"""The figures of the papers, by name: each makes a picture, and a CSV file with the numbers behind it."""

import csv
import importlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from wgan_jax.runs.files import replace_file

FIGURES = {  # name, which is that of a module here: what it shows
    'parallel_lines': "earth mover's and Jensen-Shannon distance of two parallel lines, exact and estimated (WGAN, figure 1)",
    'two_gaussians': 'an optimal discriminator and critic between two Gaussians, with their gradients (WGAN, figure 2)',
    'generator_gradients': 'the saturating and the -log D gradient of a generator that is far from the data',
    'estimate_and_quality': 'the estimate against the quality of samples, for MLP and DCGAN generators (WGAN, figure 3)',
    'js_estimate': "a GAN's estimate of the Jensen-Shannon divergence, which saturates near log 2 (WGAN, figure 4)",
    'generators': 'samples of DCGAN, no-batch-norm and MLP generators, WGAN beside GAN (WGAN, figures 5 to 7)',
    'value_surfaces': 'value surfaces of an optimal critic, clipping against penalty (WGAN-GP, figure 1a)',
    'gradient_norms': 'gradients by layer and weights, clipping against penalty (WGAN-GP, figure 1b)',
    'overfitting': "a critic's loss on training and validation images, of 1,000 digits and of all (WGAN-GP, figure 5)",
}


class Options(NamedTuple):
    """What a command line says of a figure."""

    out: Path  # directory of what is made
    quick: bool  # a size for minutes on a CPU, and not the paper's
    dir: str | None = None  # where data sets live, as config.data.dir
    manual_dir: str | None = None  # where files fetched by hand are, as config.data.manual_dir


def figure(name: str) -> Callable[[Options], None]:
    """The function that makes a figure of FIGURES."""
    return importlib.import_module(f'papers.{name}').draw


def write_csv(path: Path, columns: dict[str, ArrayLike]) -> None:
    """Writes the numbers behind a picture: a line of names, then one line for each row of the columns, which are equally long."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(columns)
    writer.writerows(zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.getvalue().encode())
