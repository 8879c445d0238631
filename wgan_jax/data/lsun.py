"""LSUN bedrooms: 3,033,042 images (Yu et al. 2015), the data of the WGAN paper."""

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wgan_jax.data import tfds_sets
from wgan_jax.data.cache import cached, data_root
from wgan_jax.data.files import open_files, shuffled
from wgan_jax.data.folder import check_outside, load_files, path_mark
from wgan_jax.data.images import Item, decode, decode_all
from wgan_jax.data.share import key_part, share, share_size
from wgan_jax.data.source import Source, choose, existing, held_out, positive
from wgan_jax.errors import UserError

SPLITS = {'train': 3_033_042, 'validation': 300}
_HELD_OUT = {'train': 'validation', 'validation': 'train'}
_LMDB = {'train': 'bedroom_train_lmdb', 'validation': 'bedroom_val_lmdb'}


def source(
    dir: str | None = None,
    manual_dir: str | None = None,
    image_size: int = 64,
    split: str = 'train',
    strict: bool = False,
    fraction: float = 1.0,
) -> Source:
    """LSUN bedrooms, centre-cropped to a square and resized. They are not downloaded: the file has 43 GB.

    Args:
      dir: directory of the data sets; None for TFDS's default. A data set `lsun/bedroom` that TFDS has prepared there is used.
      manual_dir: directory with the authors' bedroom_train_lmdb, unzipped, or with the images exported from it as files.
      split: 'train' or 'validation'; the other arguments are those of celeba.source.
      fraction: share of the images, chosen by the keys that they have in the LMDB, which are also the names of exported files.

    Raises:
      UserError: an option has an invalid value; from `load`, the images cannot be found or read.
    """
    positive('image_size', image_size)
    choose('split', split, SPLITS)
    shape = (image_size, image_size, 3)
    decode_one = functools.partial(decode, size=image_size)
    key = f'lsun_bedroom-{split}{key_part(fraction)}-{image_size}x{image_size}x3-v1'
    total = share_size(SPLITS[split], fraction)

    def load() -> np.ndarray:
        root = data_root(dir)
        if manual_dir is not None:
            files = open_files(_find(existing('manual_dir', manual_dir), split), 'manual_dir')
            check_outside(root, files, 'manual_dir')
            names = share(shuffled(files.marks), fraction, _key_of)
            return load_files(root, f'{key}-{path_mark(files.place)}', files, names, shape, decode_one, strict)

        def blocks() -> Iterator[np.ndarray]:
            builder = tfds_sets.find(root, 'lsun/bedroom')
            if builder is None:
                raise UserError(
                    f'{root} has no lsun/bedroom prepared by TFDS, and LSUN is not downloaded automatically: fetch '
                    f'http://dl.yf.io/lsun/scenes/{_LMDB["train"]}.zip (43 GB), unzip it, and pass the directory that holds '
                    f'{_LMDB["train"]} as --config.data.manual_dir=DIR.'
                )
            items = _items(builder, split, fraction)
            return decode_all(items, total, decode_one, shape, builder.data_path, strict=strict)

        return cached(root, key, shape, total, blocks, complete=strict)

    options = {'dir': dir, 'manual_dir': manual_dir, 'image_size': image_size, 'strict': strict}
    rest = held_out(source, split, _HELD_OUT, **options)
    if manual_dir is None:
        return Source(shape, total, load, held_out=rest)
    has_files = manual_dir and not _has_lmdb(Path(manual_dir))
    return Source(shape, None, load, held_out=rest, folder=Path(manual_dir) if has_files else None)


def _items(builder: object, split: str, fraction: float) -> Iterator[Item]:
    """The share of a split prepared by TFDS, which is read once more for the ids if it is not the whole."""
    count = SPLITS[split]
    if fraction == 1:
        return tfds_sets.encoded_images(builder, split, [True] * count)
    ids = tfds_sets.ids(builder, split, count)
    chosen = set(share(range(count), fraction, ids.__getitem__))
    return tfds_sets.encoded_images(builder, split, [position in chosen for position in range(count)])


def _key_of(name: str) -> str:
    return name.rpartition('/')[2].partition('.')[0]


def _has_lmdb(manual_dir: Path) -> bool:
    """Whether a directory is an LMDB of the authors', or has one, perhaps still packed; then other files there are not read."""
    places = [manual_dir / name for name in _LMDB.values()]
    return manual_dir.name in _LMDB.values() or any(place.is_dir() or place.with_suffix('.zip').is_file() for place in places)


def _find(manual_dir: Path, split: str) -> Path:
    """The LMDB of a split in a directory, or the directory itself if it has image files, which are of the training split."""
    lmdb = manual_dir / _LMDB[split]
    if lmdb.is_dir():
        return lmdb
    if lmdb.with_suffix('.zip').is_file():
        raise UserError(f'{lmdb}.zip is still packed: unzip it there.')
    other = _LMDB[_HELD_OUT[split]]
    if manual_dir.name == other or (manual_dir / other).is_dir() or (split != 'train' and manual_dir.name != lmdb.name):
        raise UserError(f'config.data.manual_dir={manual_dir} has no {lmdb.name}, which holds the split {split}: put it there.')
    return manual_dir
