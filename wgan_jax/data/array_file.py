"""The file of a prepared data set: an ordinary .npy array of uint8 images, followed by the crc32 of all pixels."""

import errno
import io
import os
import shutil
import stat
import struct
import weakref
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from wgan_jax.errors import LocalError

CHECKED_BYTES = 2**32  # the largest file whose pixels are checked: reading a larger one would delay every start too much
_BUFFER_BYTES = 2**20
_CHECKSUM = struct.Struct('<I')


class DamagedFile(Exception):
    """The message says, after the name of a file, why it is not a data set."""


class _Opened(NamedTuple):
    """The file of a memory map when it was opened."""

    descriptor: int
    num_bytes: int
    mtime_ns: int
    checksum: int  # of all pixels, as it is written at the end of the file


def open_array(path: Path, image_shape: tuple[int, ...], *, check: bool = True) -> np.memmap | None:
    """Maps the images of a file read-only; returns None if there is no file.

    The header is not parsed. It is compared with the header that `write_array` writes for a file of this size, so nothing in a
    file from an unknown source is interpreted.

    Args:
      image_shape: (height, width, channels).
      check: whether to verify the checksum of a file of at most CHECKED_BYTES.

    Raises:
      DamagedFile: `write_array` has not written the file in this form, or it cannot be read.
    """
    try:
        # O_NONBLOCK: opening a pipe would wait for its other end.
        with open(os.fspath(path), 'rb', opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DamagedFile('is not a regular file')
            offset, pixels = len(_header((1, *image_shape))), int(np.prod(image_shape))
            count = max(0, status.st_size - offset - _CHECKSUM.size) // pixels
            shape = (count, *image_shape)
            if count == 0 or status.st_size != offset + count * pixels + _CHECKSUM.size or file.read(offset) != _header(shape):
                raise DamagedFile(f'is not a complete array of images of {"x".join(map(str, image_shape))}')
            (checksum,) = _CHECKSUM.unpack(_read(file.fileno(), offset + count * pixels, _CHECKSUM.size))
            if check and status.st_size <= CHECKED_BYTES and _checksum(file.fileno(), offset, count * pixels) != checksum:
                raise DamagedFile('has pixels that do not match their checksum')
            images = np.memmap(file, np.uint8, 'r', offset, shape)
            images.opened = _Opened(os.dup(file.fileno()), status.st_size, status.st_mtime_ns, checksum)
            weakref.finalize(images, os.close, images.opened.descriptor)
            return images
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DamagedFile(f'cannot be read ({error.strerror or error})') from error


def stored_checksum(images: np.ndarray) -> int | None:
    """The crc32 of all pixels of the file of an array, or of a part of it; None for other arrays."""
    mapped = _mapped(images)
    return None if mapped is None else mapped.opened.checksum


def check_unchanged(images: np.ndarray) -> None:
    """Checks that nobody has cut or written to the file of an array, or of a part of it, since it was opened.

    Reading beyond the end of a file that was cut would end the process. A file whose time has changed is compared with its
    checksum, once, whatever its size. One that was removed, or replaced by another, is still there for this process.

    Raises:
      LocalError: the file has another size or other pixels.
    """
    mapped = _mapped(images)
    if mapped is None:
        return
    opened, status = mapped.opened, os.fstat(mapped.opened.descriptor)
    try:
        # Not the time of its status (ctime), which also changes when the file is removed or gets another name.
        if status.st_size != opened.num_bytes:
            raise DamagedFile(f'it has {status.st_size:,} bytes instead of {opened.num_bytes:,}')
        if status.st_mtime_ns != opened.mtime_ns:
            if _checksum(opened.descriptor, mapped.offset, mapped.nbytes) != opened.checksum:
                raise DamagedFile('its pixels do not match their checksum')
            mapped.opened = opened._replace(mtime_ns=status.st_mtime_ns)
    except DamagedFile as error:
        raise LocalError(
            f'{mapped.filename} was changed while this run was using it ({error}): remove it, and give the same command again, '
            'which prepares it again.'
        ) from error


def write_array(file: BinaryIO, image_shape: tuple[int, ...], num_images: int, blocks: Callable[[], Iterable[np.ndarray]]) -> None:
    """Writes blocks of images one after the other, with only one of them in memory.

    Args:
      file: an empty file with a name.
      num_images: the largest possible number of images.
      blocks: generates the images as uint8 arrays [n, H, W, C].

    Raises:
      OSError: the disk is full, or is too small for `num_images`, which is checked before `blocks` is called.
    """
    if shutil.disk_usage(Path(file.name).parent).free < num_images * int(np.prod(image_shape)):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    count = checksum = 0
    # Through the descriptor: another file may have replaced the one at this path.
    with open(file.fileno(), 'r+b', closefd=False) as writer:
        begin = writer.write(_header((num_images, *image_shape)))
        for block in blocks():
            if block.shape[1:] != image_shape or block.dtype != np.uint8:
                raise ValueError(f'{file.name} should hold uint8 {image_shape}, not {block.dtype} {block.shape[1:]}')
            pixels = np.ascontiguousarray(block).data
            writer.write(pixels)
            checksum = zlib.crc32(pixels, checksum)
            count += len(block)
        writer.write(_CHECKSUM.pack(checksum))
        writer.seek(0)
        writer.write(_header((count, *image_shape)))
        if writer.tell() != begin:  # numpy pads the header for the largest number of rows
            raise ValueError(f'the header of {file.name} changed its length from {begin} to {writer.tell()}')
        writer.flush()
        os.fsync(writer.fileno())


def _header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {'descr': '|u1', 'fortran_order': False, 'shape': shape})
    return buffer.getvalue()


def _mapped(images: np.ndarray) -> np.memmap | None:
    """The result of open_array that an array is a part of."""
    while isinstance(images, np.ndarray) and not hasattr(images, 'opened'):
        images = images.base
    return images if isinstance(images, np.memmap) else None


def _checksum(descriptor: int, offset: int, size: int) -> int:
    """The crc32 of `size` bytes, which are read, because mapped pages count as memory of this process."""
    checksum = 0
    for start in range(0, size, _BUFFER_BYTES):
        checksum = zlib.crc32(_read(descriptor, offset + start, min(_BUFFER_BYTES, size - start)), checksum)
    return checksum


def _read(descriptor: int, offset: int, size: int) -> bytes:
    content = os.pread(descriptor, size, offset)
    if len(content) < size:
        raise DamagedFile('became shorter while it was read')
    return content
