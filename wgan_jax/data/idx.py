"""Reads IDX files, the format of MNIST: http://yann.lecun.com/exdb/mnist."""

import gzip
import math
import zlib

import numpy as np

_TYPES = {0x08: 'u1', 0x09: 'i1', 0x0B: '>i2', 0x0C: '>i4', 0x0D: '>f4', 0x0E: '>f8'}


def parse(data: bytes) -> np.ndarray:
    """The array in the contents of an IDX file, compressed with gzip or not.

    Raises:
      ValueError: the data are not those of an IDX file, or are cut short; the message is a clause without the name of the file.
    """
    if data.startswith(b'\x1f\x8b'):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f'it cannot be decompressed ({error})') from error
    # Two zeros, the type, the number of axes; the length of each axis, 4 bytes, big-endian; the values.
    start = 4 + 4 * data[3] if len(data) > 3 else math.inf
    if data[:2] != b'\0\0' or start > len(data) or data[2] not in _TYPES:
        raise ValueError('it does not begin with the header of an IDX file')
    shape = [int(length) for length in np.frombuffer(data[4:start], '>u4')]
    dtype = np.dtype(_TYPES[data[2]])
    if len(data) - start != math.prod(shape) * dtype.itemsize:
        raise ValueError(f'its header says {shape} values of {dtype.itemsize} bytes, but {len(data) - start} bytes follow')
    return np.frombuffer(data, dtype, offset=start).reshape(shape)
