"""The file of a prepared data set: an ordinary .npy array of uint8 images with the crc32 of all its pixels behind it."""

import errno
import io
import os
import shutil
import stat
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

CHECKED_BYTES = 2**32  # the largest file whose pixels are checked: reading a larger one would hold up every start for long
_BUFFER_BYTES = 2**20
_CHECKSUM = struct.Struct('<I')


class DamagedFile(Exception):
    """Says in one clause, after the name of a file, why it is no data set."""


def open_array(path: Path, image_shape: tuple[int, ...], *, check: bool = True) -> np.memmap | None:
    """The images in a file, mapped read-only; None if there is no file.

    A header is not parsed but compared with the one that `write_array` gives to as many images as the file has room for.
    So nothing that a stranger has put there is interpreted.

    Args:
      path: the file.
      image_shape: (height, width, channels).
      check: whether to compare the pixels with the checksum, if there are at most CHECKED_BYTES.

    Raises:
      DamagedFile: it is another file than `write_array` would write, or cannot be read.
    """
    try:
        # O_NONBLOCK: a pipe under this name is not waited for.
        with open(os.fspath(path), 'rb', opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DamagedFile('is no regular file')
            offset, pixels = len(_header((1, *image_shape))), int(np.prod(image_shape))
            count = max(0, status.st_size - offset - _CHECKSUM.size) // pixels
            shape = (count, *image_shape)
            if count == 0 or status.st_size != offset + count * pixels + _CHECKSUM.size or file.read(offset) != _header(shape):
                raise DamagedFile(f'is no whole array of images of {"x".join(map(str, image_shape))}')
            if check and status.st_size <= CHECKED_BYTES and _checksum(file, count * pixels) != read_checksum(file):
                raise DamagedFile('has pixels that do not fit their checksum')
            return np.memmap(file, np.uint8, 'r', offset, shape)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DamagedFile(f'cannot be read ({error.strerror or error})') from error


def read_checksum(file: BinaryIO) -> int:
    """The crc32 of all pixels, from behind them."""
    file.seek(-_CHECKSUM.size, os.SEEK_END)
    return _CHECKSUM.unpack(file.read(_CHECKSUM.size))[0]


def write_array(file: BinaryIO, image_shape: tuple[int, ...], num_images: int, blocks: Callable[[], Iterable[np.ndarray]]) -> None:
    """Writes the blocks one after the other: no more than one of them is in memory.

    Args:
      file: an empty file with a name.
      image_shape: (height, width, channels).
      num_images: the most images that there can be.
      blocks: makes the images, as uint8 arrays [n, H, W, C].

    Raises:
      OSError: the disk is full; that of so many images is found out before the first is made.
    """
    if shutil.disk_usage(Path(file.name).parent).free < num_images * int(np.prod(image_shape)):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    count = checksum = 0
    # The same open file: another of that name may have been put in its place.
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
        if writer.tell() != begin:  # numpy leaves room for the longest number of rows
            raise ValueError(f'the header of {file.name} changed its length from {begin} to {writer.tell()}')
        writer.flush()
        os.fsync(writer.fileno())


def _header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {'descr': '|u1', 'fortran_order': False, 'shape': shape})
    return buffer.getvalue()


def _checksum(file: BinaryIO, size: int) -> int:
    """The crc32 of the next `size` bytes, read and not mapped: what is read does not count as this process's memory."""
    buffer, checksum = memoryview(bytearray(_BUFFER_BYTES)), 0
    while size > 0:
        read = file.readinto(buffer[: min(size, _BUFFER_BYTES)])
        if not read:
            raise DamagedFile('has become shorter while it was read')
        checksum = zlib.crc32(buffer[:read], checksum)
        size -= read
    return checksum
