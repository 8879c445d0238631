"""The user's array: images or points in a .npy or .npz file."""

import io
import math
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wgan_jax.data.cache import cached, data_root
from wgan_jax.data.files import mark_of, name_hash
from wgan_jax.data.folder import path_mark
from wgan_jax.data.share import share
from wgan_jax.data.source import Source, choose, existing, held_out, is_points
from wgan_jax.errors import UserError

_BLOCK_BYTES = 2**24  # of images that are converted at once
_MOST_COORDINATES = 32  # of a point: longer rows are images that were flattened
_PREFERRED = ('images', 'x_train', 'train_images')  # arrays of an .npz that are taken if none is named
# RuntimeError: an archive has a password, or a compression that Python does not know.
_UNREADABLE = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
_NO_ARRAY = 'cannot be read as a .npy or .npz file of numbers, or is damaged: write it with numpy.save.'
_ROUNDING = 1e-3  # by which values may lie outside of their range, as a share of it


class _Array(NamedTuple):
    """An array in a file, described by its header."""

    name: str  # in its archive; empty if the file is the array
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]


def source(
    dir: str | None = None,
    file: str | None = None,
    array: str | None = None,
    value_range: str | None = None,
    image_shape: str | None = None,
    split: str = 'train',
    holdout: float = 0.1,
) -> Source:
    """Images [N, H, W, C] or [N, H, W], or points [N, D], in `file`.

    Images are kept with 8 bits. Points are float32 and are not scaled.

    Args:
      dir: directory of the data sets, where the prepared array is kept; None for TFDS's default.
      file: a .npy or .npz file.
      array: name of the array in an .npz; None if there is only one, or one has a usual name.
      value_range: 'BLACK,WHITE', the values of black and white; None for uint8 images, where they are 0 and 255, and for points.
      image_shape: 'HEIGHTxWIDTHxCHANNELS'; None to read it from the file. A run records it, so that it can be opened without.
      split: 'train', 'test' (the images held out) or 'all'.
      holdout: share of the images held out, chosen by their places in the array.

    Raises:
      UserError: an option has an invalid value, or the array is neither images nor points; from `load`, values are not as stated.
    """
    choose('split', split, ('train', 'test', 'all'))
    if not 0 <= holdout < 1:
        raise UserError(f'config.data.holdout={holdout} must be at least 0 and less than 1.')
    limits = _limits(value_range)
    if image_shape is None:
        shape = _image_shape(_described(file, array), file, value_range)
    elif re.fullmatch(r'\d+x\d+x\d+', image_shape):
        shape = tuple(int(size) for size in image_shape.split('x'))
    else:
        raise UserError(f'config.data.image_shape={image_shape!r} must be HEIGHTxWIDTHxCHANNELS, such as 28x28x1.')
    points = is_points(shape)

    def load() -> np.ndarray:
        stored = _described(file, array)
        if (there := _image_shape(stored, file, value_range)) != shape:
            raise UserError(f'{file} has images of shape {there}, and config.data.image_shape={image_shape} says otherwise.')
        chosen = _chosen(stored.shape[0], split, holdout)

        def blocks() -> Iterator[np.ndarray]:  # an archive is unpacked only if its images are not prepared yet
            return _blocks(_read(stored, file), chosen, shape, limits, np.float32 if points else np.uint8, file)

        if points:
            return np.concatenate(list(blocks()))
        member = name_hash(stored.name).hex()[:8]
        key = f'array-{path_mark(Path(file))}-{member}-{split}{holdout}-{value_range or "uint8"}-v1'
        fingerprint = name_hash(mark_of(Path(file).stat())).hex()[:16]
        return cached(data_root(dir), key, shape, len(chosen), blocks, fingerprint=fingerprint)

    options = {'dir': dir, 'file': file, 'array': array, 'value_range': value_range, 'holdout': holdout}
    options['image_shape'] = 'x'.join(map(str, shape))
    return Source(
        shape,
        None,
        load,
        np.float32 if points else np.uint8,
        held_out=held_out(source, split, **options) if holdout else None,
        found={'image_shape': options['image_shape']},
    )


def _limits(value_range: str | None) -> tuple[float, float] | None:
    if value_range is None:
        return None
    try:
        low, high = (float(value) for value in value_range.split(','))
    except ValueError:
        low = high = math.nan
    if not low < high or not math.isfinite(high - low):
        raise UserError(f'config.data.value_range={value_range!r} must be the values of black and white, such as 0,1 or -1,1.')
    return low, high


def _described(file: str | None, array: str | None) -> _Array:
    """The array, from its header; its values are not read yet."""
    if file is None:
        raise UserError('config.data.file is not set: give the .npy or .npz file of your images.')
    path = existing('file', file)
    if not path.is_file():  # reading a pipe would never end
        raise UserError(f'config.data.file={file} is no regular file: give a .npy or .npz file.')
    try:
        if zipfile.is_zipfile(path):
            return _in_archive(path, array)
        if array is not None:
            raise UserError(f'config.data.array={array} names an array of an .npz file, and {file} is none: set it to None.')
        values = np.load(path, mmap_mode='r', allow_pickle=False)
    except UserError:
        raise
    except Exception as error:  # numpy parses a damaged header as Python code, and raises errors of many types
        raise UserError(f'{file} {_NO_ARRAY}') from error
    return _Array('', values.shape, values.dtype, lambda: values)


def _in_archive(path: Path, array: str | None) -> _Array:
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix('.npy') for name in archive.namelist() if name.endswith('.npy')]
        known = [name for name in _PREFERRED if name in names]
        name = array or (names[0] if len(names) == 1 else known[0] if len(known) == 1 else None)
        if name not in names:
            wanted = 'which of them?' if array is None else f'but none is called {array}:'
            raise UserError(f'{path} has the arrays {", ".join(names) or "(none)"}, {wanted} set config.data.array.')
        with archive.open(f'{name}.npy') as member:
            version = np.lib.format.read_magic(member)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = header(member)
            length = member.tell() + math.prod(shape) * dtype.itemsize
        if dtype.hasobject or length != archive.getinfo(f'{name}.npy').file_size:
            raise ValueError(f'{name} holds Python objects, or has another length than its header says')

    def read() -> np.ndarray:
        with zipfile.ZipFile(path) as archive:
            content = archive.read(f'{name}.npy')  # whose checksum it compares
        return np.load(io.BytesIO(content), allow_pickle=False)

    return _Array(name, shape, dtype, read)


def _read(stored: _Array, file: str) -> np.ndarray:
    try:
        return stored.read()
    except MemoryError as error:
        size = math.prod(stored.shape) * stored.dtype.itemsize
        raise UserError(
            f'{file} holds {size / 1e9:.1f} GB, which are more than the free memory: write it with numpy.save as .npy, which is '
            'read in parts.'
        ) from error
    except _UNREADABLE as error:
        raise UserError(f'{file} {_NO_ARRAY}') from error


def _image_shape(stored: _Array, file: str, value_range: str | None) -> tuple[int, int, int]:
    """(height, width, channels), (1, 1, D) for points; refuses what is neither, and images whose range is not known."""
    shape, kind = stored.shape, stored.dtype
    what = f'{file} holds {kind} of shape {shape}'
    if kind.kind not in 'uifb':
        raise UserError(f'{what}: images are whole or floating-point numbers.')
    if 0 in shape:
        raise UserError(f'{what}: there is nothing in it.')
    if len(shape) == 2 and kind.kind == 'f' and value_range is None:
        if shape[1] > _MOST_COORDINATES or not is_points((1, 1, shape[1])):
            raise UserError(
                f'{what}, and points have 2 or 4 to {_MOST_COORDINATES} coordinates: reshape images to [N, height, width, '
                'channels].'
            )
        return (1, 1, shape[1])
    if len(shape) not in (3, 4):
        raise UserError(f'{what}: images are [N, height, width, channels] or, if grey, [N, height, width].')
    height, width, channels = (*shape[1:], 1)[:3]
    if channels not in (1, 3):
        hint = 'the last axis is 1 for grey or 3 for colour'
        if height in (1, 3):
            hint = 'this looks like [N, channels, height, width]: save numpy.moveaxis(images, 1, -1)'
        raise UserError(f'{what}, and images are [N, height, width, channels]: {hint}.')
    if kind != np.uint8 and value_range is None:
        raise UserError(
            f'{what}, whose range is not known: say which values are black and white, such as --config.data.value_range=0,1.'
        )
    return height, width, channels


def _chosen(count: int, split: str, holdout: float) -> np.ndarray:
    """The places of a split's images, in random order: arrays are often sorted by class."""
    everything = np.arange(count)
    train = np.array(share(everything, 1 - holdout, 'row {}'.format)) if holdout else everything
    chosen = {'all': everything, 'train': train, 'test': np.setdiff1d(everything, train)}[split]
    return np.random.Generator(np.random.Philox(0)).permutation(chosen)


def _blocks(
    values: np.ndarray,
    chosen: np.ndarray,
    shape: tuple[int, int, int],
    limits: tuple[float, float] | None,
    dtype: type,
    file: str,
) -> Iterator[np.ndarray]:
    """The chosen images, checked and converted."""
    if not len(chosen):
        raise UserError(f'{file} has no rows for this split: set a larger config.data.holdout, or another config.data.split.')
    rows = max(1, _BLOCK_BYTES // (8 * math.prod(shape)))
    brightest = 0.0
    for start in range(0, len(chosen), rows):
        places = chosen[start : start + rows]
        block = np.asarray(values[places]).reshape(len(places), *shape)
        if block.dtype.kind == 'f' and not np.isfinite(block).all():
            bad = places[~np.isfinite(block).all(axis=(1, 2, 3))][0]
            raise UserError(f'{file} has a value that is not finite, in row {bad}: remove or repair it.')
        if limits is not None:
            block = _to_8_bits(block, places, limits, file)
        brightest = max(brightest, block.max()) if dtype is np.uint8 else 255.0
        yield block.astype(dtype)
    if brightest <= 1:
        raise UserError(
            f'{file} has no value above {brightest:g} of 255: its images are black. If 1 is white, set config.data.value_range=0,1.'
        )


def _to_8_bits(block: np.ndarray, places: np.ndarray, limits: tuple[float, float], file: str) -> np.ndarray:
    low, high = limits
    scaled = (block.astype(np.float64) - low) / (high - low)
    outside = (scaled < -_ROUNDING) | (scaled > 1 + _ROUNDING)
    if outside.any():
        place, value = places[np.argwhere(outside)[0][0]], block[outside][0]
        raise UserError(f'{file} has the value {value:g} in row {place}, outside of config.data.value_range={low:g},{high:g}.')
    return np.rint(np.clip(scaled, 0, 1) * 255)
