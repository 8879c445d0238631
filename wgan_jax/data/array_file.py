"""The file of a prepared data set: an ordinary .npy array of uint8 images, followed by the crc32 of all pixels."""

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

CHECKED_BYTES = 2**32  # the largest file whose pixels are checked: reading a larger one would delay every start too much
_BUFFER_BYTES = 2**20
_CHECKSUM = struct.Struct('<I')


class DamagedFile(Exception):
    """The message says, after the name of a file, why it is not a data set."""


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
            if check and status.st_size <= CHECKED_BYTES and _checksum(file, count * pixels) != read_checksum(file):
                raise DamagedFile('has pixels that do not match their checksum')
            return np.memmap(file, np.uint8, 'r', offset, shape)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DamagedFile(f'cannot be read ({error.strerror or error})') from error


def read_checksum(file: BinaryIO) -> int:
    """Reads the crc32 of all pixels from the end of a file."""
    file.seek(-_CHECKSUM.size, os.SEEK_END)
    return _CHECKSUM.unpack(file.read(_CHECKSUM.size))[0]


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


def _checksum(file: BinaryIO, size: int) -> int:
    """The crc32 of the next `size` bytes, which are read, because mapped pages count as memory of this process."""
    buffer, checksum = memoryview(bytearray(_BUFFER_BYTES)), 0
    while size > 0:
        read = file.readinto(buffer[: min(size, _BUFFER_BYTES)])
        if not read:
            raise DamagedFile('became shorter while it was read')
        checksum = zlib.crc32(buffer[:read], checksum)
        size -= read
    return checksum
