"""CelebA: 202,599 faces of 178x218 pixels, aligned (Liu et al. 2015); cropped, resized and cached."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from wgan_jax.data import tfds_sets
from wgan_jax.data.cache import cached, data_root
from wgan_jax.data.files import open_files, shuffled
from wgan_jax.data.folder import load_files, path_mark
from wgan_jax.data.images import decode, decode_all
from wgan_jax.data.source import Source, choose, existing, positive
from wgan_jax.errors import UserError

WIDTH, HEIGHT = 178, 218
SPLITS = {'train': range(1, 162_771), 'validation': range(162_771, 182_638), 'test': range(182_638, 202_600)}  # official
ARCHIVE = 'img_align_celeba.zip'
PARTITION = 'list_eval_partition'
_IMAGE_NAME = re.compile(r'(\d{6})\.(jpg|png)')
_REMEDY = (
    f'Fetch {ARCHIVE} by hand (1.4 GB; "Align&Cropped Images" at https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, or a copy '
    'of it), put it into a directory, packed or unpacked, whole or in part, and pass that as --config.data.manual_dir=DIR.'
)


def source(
    dir: str | None = None,
    manual_dir: str | None = None,
    image_size: int = 64,
    crop: int = 140,
    split: str = 'train',
    strict: bool = False,
) -> Source:
    """CelebA from files fetched by hand, from a set that TFDS has prepared, or downloaded.

    Args:
      dir: where data sets live; None for TFDS's own place.
      manual_dir: holds img_align_celeba.zip or the unpacked images, whole or in part, and, if at hand, the partition file.
      image_size: height and width.
      crop: side of the centre square that is cut out of the 178x218 pixels and then resized. It changes every score.
      split: 'train', 'validation', 'test' or 'all'.
      strict: make files that cannot be used an error instead of leaving them out.

    Raises:
      UserError: an option makes no sense; when loaded, the images could not be had.
    """
    positive('image_size', image_size)
    choose('split', split, (*SPLITS, 'all'))
    if not 1 <= crop <= WIDTH:
        raise UserError(f'config.data.crop={crop} must be from 1 to {WIDTH}, the width of the images.')
    shape = (image_size, image_size, 3)
    decode_one = functools.partial(decode, size=image_size, crop=crop, expected=(WIDTH, HEIGHT))
    key = f'celeba-{split}-crop{crop}-{image_size}x{image_size}x3-v1'

    def load() -> np.ndarray:
        root = data_root(dir)
        if manual_dir is not None:
            manual = existing('manual_dir', manual_dir)
            files = open_files(find(manual), 'manual_dir')
            names = in_split(list(files.marks), split, read_partition(manual))
            if not names:
                raise UserError(f'config.data.manual_dir={manual_dir} has no images of the split {split}, such as 000001.jpg.')
            return load_files(root, f'{key}-{path_mark(files.place)}', files, names, shape, decode_one, strict)
        builders = list(SPLITS) if split == 'all' else [split]
        total = sum(len(SPLITS[part]) for part in builders)

        def blocks() -> Iterator[np.ndarray]:
            builder = tfds_sets.find(root, 'celeb_a') or tfds_sets.find(root, 'celeba_aligned') or _prepare(root)
            items = (item for part in builders for item in tfds_sets.encoded_images(builder, part, len(SPLITS[part])))
            return decode_all(items, total, decode_one, shape, builder.data_path, strict=strict)

        return cached(root, key, shape, total, blocks, complete=strict)

    total = sum(len(numbers) for part, numbers in SPLITS.items() if split in (part, 'all'))
    return Source(shape, total if manual_dir is None else None, load)


def _prepare(root: Path) -> object:
    from wgan_jax.data import celeba_download

    return tfds_sets.prepare(celeba_download.CelebaAligned, root, None, 'CelebA', celeba_download.URLS, _REMEDY)


def find(manual_dir: Path) -> Path:
    """The archive or the directory of the images in a directory that may have the layout of one of several copies."""
    for place in (manual_dir, manual_dir / 'Img', manual_dir / 'celeba'):
        for name in ('img_align_celeba', ARCHIVE, 'img_align_celeba_png'):
            if (place / name).exists():
                return place / name
    return manual_dir


def in_split(names: list[str], split: str, partition: dict[int, str] | None) -> list[str]:
    """The names that are CelebA images of a split, in an order that does not depend on where they lie."""
    by_file = {}
    for name in names:
        if match := _IMAGE_NAME.fullmatch(PurePosixPath(name).name):
            number = int(match[1])
            part = partition.get(number) if partition is not None else _official_split(number)
            if part is not None and split in (part, 'all'):
                by_file[match[0]] = name
    return [by_file[file] for file in shuffled(by_file)]


def _official_split(number: int) -> str | None:
    return next((part for part, numbers in SPLITS.items() if number in numbers), None)


def read_partition(manual_dir: Path) -> dict[int, str] | None:
    """{image number: split} from list_eval_partition.txt or .csv, or None where there is no such file.

    Raises:
      UserError: a line is not a file name and 0, 1 or 2.
    """
    places = [manual_dir / folder / (PARTITION + end) for folder in ('', 'Eval', 'celeba') for end in ('.txt', '.csv')]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return None
    parts = list(SPLITS)
    partition = {}
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
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
