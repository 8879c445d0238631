import gzip
import struct

import numpy as np
import pytest

from wgan_jax.data import idx

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
FILE = struct.pack('>BBBBIII', 0, 0, 0x08, 3, *PIXELS.shape) + PIXELS.tobytes()


@pytest.mark.parametrize('data', [FILE, gzip.compress(FILE)], ids=['plain', 'gzip'])
def test_images_are_read(data):
    images = idx.parse(data)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, PIXELS)


@pytest.mark.parametrize(('code', 'dtype'), [(0x09, 'i1'), (0x0B, '>i2'), (0x0C, '>i4'), (0x0D, '>f4'), (0x0E, '>f8')])
def test_every_type_of_number_is_read(code, dtype):
    values = np.array([-2, 0, 100], dtype)
    np.testing.assert_array_equal(idx.parse(struct.pack('>BBBBI', 0, 0, code, 1, 3) + values.tobytes()), values)


def test_no_images_and_no_axes_are_read():
    assert idx.parse(struct.pack('>BBBBIII', 0, 0, 0x08, 3, 0, 28, 28)).shape == (0, 28, 28)
    assert idx.parse(struct.pack('>BBBBB', 0, 0, 0x08, 0, 7)) == 7


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (b'', 'header'),
        (FILE[:15], 'header'),
        (b'\1' + FILE[1:], 'header'),
        (b'\0\0\x0a' + FILE[3:], 'header'),
        (FILE[:-1], r'\[2, 3, 4\] values of 1 bytes, but 23 bytes'),
        (struct.pack('>BBBBII', 0, 0, 0x0E, 2, 2**32 - 1, 2**32 - 1), 'but 0 bytes'),
        (gzip.compress(FILE)[:-1], 'decompressed'),
        (gzip.compress(FILE)[:20] + bytes(20), 'decompressed'),
    ],
    ids=range(8),  # the bytes of gzip hold the time, and all test processes must have the same names
)
def test_other_files_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        idx.parse(data)
