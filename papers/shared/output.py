"""The options of a figure, and the CSV file with its numbers."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from wgan_jax.disk import replace_file


class Options(NamedTuple):
    """The options of `python -m papers NAME`."""

    out: Path  # output directory
    quick: bool  # a size for minutes on a CPU instead of the paper's
    dir: str | None = None  # config.data.dir
    manual_dir: str | None = None  # config.data.manual_dir


def write_csv(path: Path, columns: dict[str, ArrayLike]) -> None:
    """Writes columns of equal length, by name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(columns)
    writer.writerows(zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.getvalue().encode())
