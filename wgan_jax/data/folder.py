"""The user's images: a directory, a zip archive or an LMDB of image files."""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from wgan_jax.data.cache import cached, data_root
from wgan_jax.data.files import Files, name_hash, open_files, shuffled
from wgan_jax.data.images import decode, decode_all
from wgan_jax.data.share import key_part, share
from wgan_jax.data.source import Source, choose, existing, held_out, positive
from wgan_jax.errors import UserError


def source(
    dir: str | None = None,
    folder: str | None = None,
    image_size: int = 64,
    channels: int = 3,
    split: str = 'train',
    holdout: float = 0.1,
    strict: bool = False,
    fraction: float = 1.0,
) -> Source:
    """The images in `folder`, at any depth, centre-cropped to a square and resized.

    Args:
      dir: directory of the data sets, where the prepared array is kept; None for TFDS's default.
      folder: a directory (of files, or of an LMDB) or a zip archive.
      image_size: height and width.
      channels: 3 for colour, 1 for grey.
      split: 'train', 'test' (the images held out) or 'all'.
      holdout: share of the images held out. They are chosen by their names, so the choice stays when others are added.
      strict: whether an unusable file is an error; otherwise it is left out.
      fraction: share of the images of the split, chosen by their names.

    Raises:
      UserError: an option has an invalid value; from `load`, no file can be used.
    """
    positive('image_size', image_size)
    choose('channels', channels, (1, 3))
    choose('split', split, ('train', 'test', 'all'))
    if not 0 <= holdout < 1:
        raise UserError(f'config.data.holdout={holdout} must be at least 0 and less than 1.')

    def load() -> np.ndarray:
        if not folder:
            raise UserError('config.data.folder is not set: give the directory or zip archive of your images.')
        root = data_root(dir)
        files = open_files(existing('folder', folder), 'folder')
        check_outside(root, files, 'folder')
        chosen = [name for name in shuffled(files.marks) if split == 'all' or _held_out(name, holdout) == (split == 'test')]
        if not chosen:
            raise UserError(f'The split {split} has none of the {len(files.marks)} files in {folder}: change config.data.holdout.')
        chosen = share(chosen, fraction)
        part = f'{split}{"" if split == "all" else holdout}{key_part(fraction)}'
        key = f'folder-{path_mark(files.place)}-{part}-{image_size}x{image_size}x{channels}-v1'
        decode_one = functools.partial(decode, size=image_size, channels=channels)
        return load_files(root, key, files, chosen, (image_size, image_size, channels), decode_one, strict)

    options = {'dir': dir, 'folder': folder, 'image_size': image_size, 'channels': channels, 'holdout': holdout, 'strict': strict}
    rest = held_out(source, split, **options) if holdout > 0 else None
    return Source((image_size, image_size, channels), None, load, held_out=rest, folder=Path(folder) if folder else None)


def load_files(
    root: Path,
    key: str,
    files: Files,
    names: list[str],
    image_shape: tuple[int, int, int],
    decode_one: Callable[[bytes], np.ndarray],
    strict: bool,
) -> np.ndarray:
    """Decodes the named files into a cached array; see cache.cached and images.decode_all."""
    return cached(
        root,
        key,
        image_shape,
        len(names),
        lambda: decode_all(files.items(names), len(names), decode_one, image_shape, files.place, strict=strict),
        fingerprint=files.fingerprint(names),
        complete=strict,
    )


def check_outside(root: Path, files: Files, option: str) -> None:
    """Refuses a directory of images that contains the prepared ones, which would count as images of the next start.

    Args:
      root: directory of the data sets.
      files: of config.data.`option`.

    Raises:
      UserError: it contains them.
    """
    if root.resolve().is_relative_to(files.place.resolve()):
        raise UserError(
            f'config.data.{option}={files.place} contains {root}, where prepared images are kept: choose another place with '
            '--config.data.dir=DIR.'
        )


def path_mark(path: Path) -> str:
    """8 hexadecimal digits that identify a path."""
    return hashlib.sha256(str(path.resolve()).encode(errors='surrogateescape')).hexdigest()[:8]


def _held_out(name: str, share: float) -> bool:
    # The order is decided by earlier bytes of the hash, so the held-out images are spread over it.
    return int.from_bytes(name_hash(name)[8:16]) < share * 2**64
