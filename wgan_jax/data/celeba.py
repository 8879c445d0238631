"""CelebA: 202,599 aligned faces of 178x218 pixels (Liu et al. 2015); cropped, resized and cached."""

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wgan_jax.data import tfds_sets
from wgan_jax.data.cache import cached, data_root
from wgan_jax.data.celeba_files import ARCHIVE, HEIGHT, SPLITS, WIDTH, find, in_split, number_of, read_partition
from wgan_jax.data.files import open_files
from wgan_jax.data.folder import load_files, path_mark
from wgan_jax.data.images import Item, decode, decode_all
from wgan_jax.data.share import key_part, share, share_size
from wgan_jax.data.source import Source, choose, existing, held_out, positive
from wgan_jax.errors import UserError

_HELD_OUT = {'train': 'validation', 'validation': 'test', 'test': 'validation'}
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
    fraction: float = 1.0,
) -> Source:
    """CelebA from files fetched by hand, from a data set that TFDS has prepared, or from a download.

    Args:
      dir: directory of the data sets; None for TFDS's default.
      manual_dir: directory with img_align_celeba.zip or the unpacked images, all or some of them, and optionally the partition
        file list_eval_partition.txt.
      image_size: height and width.
      crop: side of the centre square that is cut out of the 178x218 pixels and then resized. All scores depend on it.
      split: 'train', 'validation', 'test' or 'all'.
      strict: whether an unusable file is an error; otherwise it is left out.
      fraction: share of the images, chosen by their official numbers: the same ones wherever they come from; see share.share.

    Raises:
      UserError: an option has an invalid value; from `load`, the images cannot be found, read or downloaded.
    """
    positive('image_size', image_size)
    choose('split', split, (*SPLITS, 'all'))
    if not 1 <= crop <= WIDTH:
        raise UserError(f'config.data.crop={crop} must be from 1 to {WIDTH}, the width of the images.')
    shape = (image_size, image_size, 3)
    decode_one = functools.partial(decode, size=image_size, crop=crop, expected=(WIDTH, HEIGHT))
    key = f'celeba-{split}{key_part(fraction)}-crop{crop}-{image_size}x{image_size}x3-v1'
    parts = list(SPLITS) if split == 'all' else [split]
    total = share_size(sum(len(SPLITS[part]) for part in parts), fraction)

    def load() -> np.ndarray:
        root = data_root(dir)
        if manual_dir is not None:
            manual = existing('manual_dir', manual_dir)
            files = open_files(find(manual), 'manual_dir')
            names = in_split(list(files.marks), split, read_partition(manual))
            if not names:
                raise UserError(f'config.data.manual_dir={manual_dir} has no images of the split {split}, such as 000001.jpg.')
            names = share(names, fraction, number_of)
            return load_files(root, f'{key}-{path_mark(files.place)}', files, names, shape, decode_one, strict)

        def blocks() -> Iterator[np.ndarray]:
            builder = tfds_sets.find(root, 'celeb_a') or tfds_sets.find(root, 'celeba_aligned') or _prepare(root)
            chosen = set(share([number for part in parts for number in SPLITS[part]], fraction))
            items = (item for part in parts for item in _items(builder, part, chosen))
            return decode_all(items, total, decode_one, shape, builder.data_path, strict=strict)

        return cached(root, key, shape, total, blocks, complete=strict)

    options = {'dir': dir, 'manual_dir': manual_dir, 'image_size': image_size, 'crop': crop, 'strict': strict}
    return Source(shape, total if manual_dir is None else None, load, held_out=held_out(source, split, _HELD_OUT, **options))


def _items(builder: object, split: str, chosen: set[int]) -> Iterator[Item]:
    """The images of a split with the chosen numbers, which are not stored: they follow from the order in which TFDS writes."""
    keys = tfds_sets.written_order(builder, split, [f'{number:06d}.jpg' for number in SPLITS[split]])
    return tfds_sets.encoded_images(builder, split, [number_of(key) in chosen for key in keys])


def _prepare(root: Path) -> object:
    from wgan_jax.data import celeba_download  # imports tensorflow_datasets, which is slow

    return tfds_sets.prepare(celeba_download.CelebaAligned, root, None, 'CelebA', celeba_download.URLS, _REMEDY)
