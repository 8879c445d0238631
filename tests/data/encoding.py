"""Makes image files, byte by byte where need be."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

GOOD, BAD, ANY = 'good', 'bad', 'good or bad, as the decoder sees it'
SIZE = 32
PNG = b'\x89PNG\r\n\x1a\n'
Content = Iterator[tuple[str, bytes, str]]  # name, bytes, and what should come of it


def noise(mode: str = 'RGB', size: tuple[int, int] = (SIZE, SIZE)) -> Image.Image:
    """Pixels that do not compress, so that a cut or a flip hits them."""
    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
    return Image.fromarray(values[..., :3]).convert(mode)


def encoded(image: Image.Image, form: str = 'PNG', **options: object) -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes, crc: int | None = None) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data) if crc is None else crc)


def png(width: int, height: int, depth: int, colour: int, data: bytes, *before: bytes, interlace: int = 0) -> bytes:
    """A PNG file; `data` is not compressed yet, and `before` are chunks that stand before it."""
    header = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, interlace))
    return PNG + header + b''.join(before) + chunk(b'IDAT', zlib.compress(data, 9)) + chunk(b'IEND', b'')


def flipped(content: bytes, begin: int, length: int = 4) -> bytes:
    """The same with some bytes inverted."""
    return content[:begin] + bytes(byte ^ 0xFF for byte in content[begin : begin + length]) + content[begin + length :]
