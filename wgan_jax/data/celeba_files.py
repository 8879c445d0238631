"""CelebA as files: where the images lie in a directory fetched by hand, and which image belongs to which split."""

import re
from pathlib import Path, PurePosixPath

from wgan_jax.data.files import shuffled
from wgan_jax.disk import read_bytes
from wgan_jax.errors import UserError

WIDTH, HEIGHT = 178, 218
SPLITS = {'train': range(1, 162_771), 'validation': range(162_771, 182_638), 'test': range(182_638, 202_600)}  # official
ARCHIVE = 'img_align_celeba.zip'
_PARTITION = 'list_eval_partition'
_IMAGE_NAME = re.compile(r'(\d{6})\.(jpg|png)')


def find(manual_dir: Path) -> Path:
    """The archive or directory of the images, in any of the layouts in which CelebA is distributed."""
    for place in (manual_dir, manual_dir / 'Img', manual_dir / 'celeba'):
        for name in ('img_align_celeba', ARCHIVE, 'img_align_celeba_png'):
            if (place / name).exists():
                return place / name
    return manual_dir


def in_split(names: list[str], split: str, partition: dict[int, str] | None) -> list[str]:
    """The names that are CelebA images of a split, in an order that does not depend on their directories."""
    by_file = {}
    for name in names:
        if match := _IMAGE_NAME.fullmatch(PurePosixPath(name).name):
            number = number_of(name)
            official = next((part for part, numbers in SPLITS.items() if number in numbers), None)
            part = official if partition is None else partition.get(number)
            if part is not None and split in (part, 'all'):
                by_file[match[0]] = name
    return [by_file[file] for file in shuffled(by_file)]


def number_of(name: str) -> int:
    """The official number of an image, from its name in any directory."""
    return int(PurePosixPath(name).stem)


def read_partition(manual_dir: Path) -> dict[int, str] | None:
    """Reads list_eval_partition.txt or .csv as {image number: split}; None if there is no such file.

    Raises:
      UserError: the file cannot be read, or a line is not a file name and 0, 1 or 2.
    """
    places = [manual_dir / folder / (_PARTITION + end) for folder in ('', 'Eval', 'celeba') for end in ('.txt', '.csv')]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return None
    parts = list(SPLITS)
    partition = {}
    try:
        lines = read_bytes(path).decode('utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'{path} cannot be read ({error}): fetch it again, or remove it to use the official split.') from error
    for line_number, line in enumerate(lines, start=1):
        fields = line.replace(',', ' ').split()
        if not fields or fields == ['image_id', 'partition']:
            continue
        match = _IMAGE_NAME.fullmatch(fields[0])
        if match is None or len(fields) != 2 or fields[1] not in ('0', '1', '2'):
            raise UserError(
                f'{path}, line {line_number}: {line[:40]!r} is not a file name and 0, 1 or 2: fetch it again, or remove it.'
            )
        partition[int(match[1])] = parts[int(fields[1])]
    return partition
