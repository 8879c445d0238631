"""Decodes image files to square uint8 images, on all cores."""

import io
import os
import sys
import threading
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import islice
from pathlib import PurePosixPath

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from tqdm import tqdm

from wgan_jax.errors import UserError

FORMATS = ('JPEG', 'PNG', 'WEBP', 'BMP', 'GIF')
MAX_PIXELS = 100_000_000  # of one image: a larger one is a decompression bomb, or a scan that should be reduced first
LARGE_PIXELS = 2**24  # larger images are decoded one at a time, because each may need 12 bytes per pixel
MAX_SCANS = 100  # of a progressive JPEG: encoders write about ten, and each takes as long as decoding the whole picture
_BLOCK, _BLOCK_BYTES = 64, 2**20  # the largest number of images, and of bytes of pixels, per task
_NAMED = 10  # unusable files whose names are printed
_ALONE = threading.Lock()  # held while a large image is decoded
_TURNS = {  # EXIF orientation: what makes the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Item = tuple[str, Callable[[], bytes]]  # a name for messages, and a function that reads the file


class UnusableImage(Exception):
    """The message says, after the name of a file, why it cannot be used."""


def decode(
    content: bytes, size: int, channels: int = 3, *, crop: int | None = None, expected: tuple[int, int] | None = None
) -> np.ndarray:
    """Decodes an image, cuts out the centre square and resizes it (bicubic, antialiased).

    Photos are rotated as their EXIF data says, transparent pixels are laid over white, 16-bit grey becomes 8-bit, and an
    animation becomes its first frame.

    Args:
      content: a file in one of FORMATS.
      size: height and width of the result.
      channels: 3 for RGB, 1 for grey.
      crop: side of the square; None for the shorter side of the image.
      expected: (width, height) that the image must have.

    Returns:
      uint8 [size, size, channels].

    Raises:
      UnusableImage: the image cannot be decoded, is smaller than half of `size`, or larger than MAX_PIXELS.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnusableImage(f'claims {image.width}x{image.height} pixels, more than {MAX_PIXELS:,}')
            if expected is not None and image.size != expected:
                raise UnusableImage(f'is {image.width}x{image.height} and not {expected[0]}x{expected[1]}')
            if 2 * min(image.size) < size:
                raise UnusableImage(f'is {image.width}x{image.height}, less than half of the {size} pixels required')
            pixels = image.width * image.height
            if image.info.get('progressive') and (scans := content.count(b'\xff\xda')) > MAX_SCANS:
                raise UnusableImage(f'has {scans:,} scans, more than {MAX_SCANS}')
            if crop is None:
                image.draft(None, (3 * size, 3 * size))  # libjpeg decodes large photos at a fraction of their size
                if not image.info.get('progressive'):  # of a progressive image, libjpeg keeps all coefficients
                    pixels = image.width * image.height
            with _ALONE if pixels > LARGE_PIXELS else nullcontext():
                return _square(image, size, channels, crop)
    except UnusableImage:
        raise
    except Image.DecompressionBombError as error:
        raise UnusableImage(f'claims more than {MAX_PIXELS:,} pixels') from error
    except UnidentifiedImageError as error:
        raise UnusableImage(f'is not an image in a known format ({", ".join(FORMATS)})') from error
    except MemoryError as error:
        raise UnusableImage('needs more memory to decode than is available') from error
    except Exception as error:  # decoders raise errors of every type for damaged files
        raise UnusableImage(f'is damaged ({str(error).rstrip(".") or type(error).__name__})') from error


def _square(image: Image.Image, size: int, channels: int, crop: int | None) -> np.ndarray:
    """Crops, converts and resizes an open image."""
    # Not ImageOps.exif_transpose, which writes all EXIF tags again and fails at those that it cannot write.
    if (turn := _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))) is not None:
        image = image.transpose(turn)
    side = crop or min(image.size)
    if image.size != (side, side):
        left, top = (image.width - side) // 2, (image.height - side) // 2
        # Not resize(box=...), whose filter reads pixels outside of the box.
        image = image.crop((left, top, left + side, top + side))
    image = _as(_plain(image), 'RGB' if channels == 3 else 'L')
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC)).reshape(size, size, channels)


def _plain(image: Image.Image) -> Image.Image:
    """Removes 16-bit values and transparency."""
    if image.mode.startswith('I'):
        values, transparent = np.asarray(image).astype(np.int32), image.info.get('transparency')
        if isinstance(transparent, int):
            values[values == transparent] = 65535  # white
        np.clip(values, 0, 65535, out=values)  # in place, because a copy of a large image takes much memory
        values += 128
        values //= 257
        return Image.fromarray(values.astype(np.uint8))
    if image.has_transparency_data:
        image = _as(image, 'RGBA')
        return Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image)
    return image


def _as(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)  # convert() copies even when the mode is the same


def decode_all(
    items: Iterable[Item],
    total: int,
    decode_one: Callable[[bytes], np.ndarray],
    image_shape: tuple[int, int, int],
    place: object,
    *,
    strict: bool = False,
) -> Iterator[np.ndarray]:
    """Decodes many files on all cores, in order and in constant memory.

    Files that cannot be used are left out; at the end their number and the first ten of them are printed. A failure to read a
    file is an error, because it may be temporary.

    Args:
      total: the number of items.
      decode_one: content -> uint8 of `image_shape`; raises UnusableImage.
      place: where the files are, for messages.
      strict: whether an unusable file is an error.

    Yields:
      uint8 [n, H, W, C], at most 64 images or 1 MiB.

    Raises:
      UserError: no file can be used, a file cannot be used and `strict` is set, or a file cannot be read.
    """

    def task(block: list[Item]) -> tuple[list[np.ndarray], list[tuple[str, str]]]:
        images, unusable = [], []  # the second: ending of the name, and what is wrong
        for name, read in block:
            try:
                images.append(decode_one(read()))
            except UnusableImage as error:
                unusable.append((PurePosixPath(name).suffix.lower() or 'without ending', f'{name} {error}'))
            except OSError as error:
                raise OSError(error.errno, f'{name}: {error.strerror or error}') from error
        return images, unusable

    place = printable(place)
    workers = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    length = max(1, min(_BLOCK, _BLOCK_BYTES // int(np.prod(image_shape))))
    items, unusable, good, began = iter(items), [], 0, time.perf_counter()
    print(f'Preparing {total:,} images of {place} (done once).', flush=True)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # PIL's, about damaged files; unusable ones are reported below
        with ThreadPoolExecutor(workers) as executor, tqdm(total=total, unit='image', disable=not sys.stderr.isatty()) as bar:
            pending = deque()
            try:
                while True:
                    while len(pending) < 4 * workers and (block := list(islice(items, length))):
                        pending.append(executor.submit(task, block))
                    if not pending:
                        break
                    images, problems = pending.popleft().result()
                    bar.update(len(images) + len(problems))
                    unusable += problems
                    good += len(images)
                    if images:
                        yield np.stack(images)
            except OSError as error:
                reason = printable(error.strerror or error)
                raise UserError(f'{place} cannot be read ({reason}), so nothing was prepared: try again, or repair it.') from error
            finally:
                executor.shutdown(cancel_futures=True)
    if unusable and (strict or not good):
        problem = f'No file in {place} can be used'
        if good:
            problem = f'{len(unusable):,} of {total:,} files in {place} cannot be used, and config.data.strict=True requires all'
        raise UserError(f'{problem}: {_first(unusable, "; ")}.')
    if unusable:
        endings = Counter(ending for ending, _ in unusable).most_common(_NAMED)
        kinds = printable(', '.join(f'{count:,} {ending}' for ending, count in endings))
        print(f'{len(unusable):,} of {total:,} files in {place} cannot be used and are left out ({kinds}):')
        print('  ' + _first(unusable, '\n  '))
    seconds = time.perf_counter() - began
    print(f'Prepared {good:,} images in {seconds:.1f} s.', flush=True)


def printable(text: object) -> str:
    """Returns the text as one line for any terminal: control characters and bytes that are not UTF-8 become escapes."""
    return ''.join(char if char.isprintable() else char.encode('unicode_escape').decode() for char in str(text))


def _first(unusable: list[tuple[str, str]], separator: str) -> str:
    more = [f'and {len(unusable) - _NAMED:,} more'] if len(unusable) > _NAMED else []
    return separator.join([printable(problem) for _, problem in unusable[:_NAMED]] + more)
