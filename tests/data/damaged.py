"""Image files that are damaged, odd or hostile, made anew by every run: no such file lies in the repository."""

import struct
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests.data import damaged_png
from tests.data.encoding import ANY, BAD, GOOD, SIZE, Content, encoded, flipped, noise, png
from wgan_jax.data.images import FORMATS


class Case(NamedTuple):
    """A file and what should come of it."""

    name: str
    content: bytes
    outcome: str


def corpus() -> list[Case]:
    """All of it: the same bytes each time."""
    parts = (_of_every_format, _no_images, _huge, damaged_png.odd, damaged_png.bombs, _jpeg, _gif, _bmp, _good)
    return [Case(*case) for part in parts for case in part()]


def _of_every_format() -> Content:
    for name in FORMATS:
        whole = encoded(noise(), name)
        for percent in (1, 10, 40, 70, 95):
            yield f'{name}-cut-{percent}', whole[: len(whole) * percent // 100], BAD
        yield f'{name}-cut-one-byte', whole[:-1], ANY
        yield f'{name}-wrong-magic', b'\0\0\0\0' + whole[4:], BAD
        yield f'{name}-wrong-end', whole[:-4] + b'\0\0\0\0', ANY
        for place, begin in (('header', 4), ('sizes', 16), ('tables', 30), ('middle', len(whole) // 2), ('end', len(whole) - 8)):
            yield f'{name}-flipped-{place}', flipped(whole, begin), ANY
        yield f'{name}-zeros-in-the-middle', whole[: len(whole) // 3] + bytes(len(whole) // 3) + whole[len(whole) // 3 * 2 :], ANY
        yield f'{name}-garbage-behind', whole + b'<html>' * 100, GOOD
        yield f'{name}-twice', whole + whole, GOOD
        yield f'{name}-magic-alone', whole[:12], BAD


def _no_images() -> Content:
    yield 'empty', b'', BAD
    yield 'random', np.random.default_rng(1).bytes(1000), BAD
    yield 'html', b'<!DOCTYPE html><html><body>Quota exceeded</body></html>', BAD
    yield 'tiff', encoded(noise(), 'TIFF'), BAD
    yield 'postscript', b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n', BAD
    yield 'svg', b'<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32"/>', BAD


def _huge() -> Content:
    """Headers that claim more than there is; 9999x9999 is just below what is taken for a bomb."""
    for side in (9_999, 60_000, 100_000, 2**31 - 1):
        yield f'png-claims-{side}', png(side, side, 8, 2, bytes(100)), BAD
        yield f'bmp-claims-{side}', _bmp_header(side, side) + bytes(100), BAD
    for side in (9_999, 60_000):
        whole = encoded(noise(), 'JPEG')
        begin = whole.index(b'\xff\xc0') + 5
        yield f'jpeg-claims-{side}', whole[:begin] + struct.pack('>HH', side, side) + whole[begin + 4 :], ANY  # libjpeg fills up
        whole = encoded(noise('L'), 'GIF')
        begin = whole.index(b'\x2c', 13 + 3 * 256) + 5
        screen = whole[:6] + struct.pack('<HH', side, side) + whole[10:]
        yield f'gif-claims-{side}', screen[:begin] + struct.pack('<HH', side, side) + screen[begin + 4 :], BAD
        yield f'gif-frame-beyond-its-screen-{side}', whole[:begin] + struct.pack('<HH', side, side) + whole[begin + 4 :], BAD
    lossless = bytearray(encoded(noise(), 'WEBP', lossless=True))
    lossless[21:25] = struct.pack('<I', 16382 | 16382 << 14)  # 14 bits each of width and height, less one
    yield 'webp-claims-16383', bytes(lossless), BAD


def _jpeg() -> Content:
    whole = encoded(noise(), 'JPEG', quality=90)
    progressive = encoded(noise(), 'JPEG', quality=90, progressive=True)
    frame, scan, last = whole.index(b'\xff\xc0'), whole.index(b'\xff\xda'), progressive.rindex(b'\xff\xda')
    yield 'jpeg-without-end', whole[:-2], ANY
    for count in (0, 2, 5, 255):
        yield f'jpeg-{count}-components', whole[: frame + 9] + bytes([count]) + whole[frame + 10 :], BAD
    yield 'jpeg-12-bit', whole[: frame + 4] + b'\x0c' + whole[frame + 5 :], BAD
    yield 'jpeg-no-height', whole[: frame + 5] + b'\0\0' + whole[frame + 7 :], BAD
    yield 'jpeg-lossless', whole[: frame + 1] + b'\xc3' + whole[frame + 2 :], BAD
    yield 'jpeg-no-tables', whole[:2] + whole[frame:], BAD
    yield 'jpeg-no-scan', whole[:scan] + b'\xff\xd9', BAD
    yield 'jpeg-segment-beyond-the-end', whole[:2] + b'\xff\xe1\xff\xff' + whole[2:], BAD
    yield 'jpeg-segment-of-length-0', whole[:2] + b'\xff\xe1\0\0' + whole[2:], ANY
    yield 'jpeg-progressive', progressive, GOOD
    yield 'jpeg-progressive-first-scan', progressive[: progressive.index(b'\xff\xda') + 40], BAD
    yield 'jpeg-progressive-before-the-last-scan', progressive[:last], ANY
    yield 'jpeg-1000-scans', progressive[:last] + progressive[last:-2] * 1000 + b'\xff\xd9', BAD
    large = encoded(Image.new('L', (9000, 9000)), 'JPEG', progressive=True)
    last = large.rindex(b'\xff\xda')
    yield 'jpeg-large-1000-scans', large[:last] + large[last:-2] * 1000 + b'\xff\xd9', BAD
    exifs = [b'garbage' * 9, b'', b'II*\0\x08\0\0\0\x01\0' + bytes(20)]  # the last one is a circle
    # Orientations that do not exist, as a signed short, a text and two shorts.
    for kind, count, value in ((8, 1, 0), (8, 1, 9), (8, 1, 65535), (2, 4, 0x786973), (3, 2, 6 | 6 << 16)):
        exifs.append(b'II*\0\x08\0\0\0\x01\0' + struct.pack('<HHIII', 0x112, kind, count, value, 0))
    for number, exif in enumerate(exifs):
        yield f'jpeg-exif-{number}', encoded(noise(), 'JPEG', exif=b'Exif\0\0' + exif), ANY
    yield 'jpeg-profile-garbage', encoded(noise(), 'JPEG', icc_profile=b'garbage' * 99), GOOD
    yield 'jpeg-cmyk', encoded(noise('CMYK'), 'JPEG'), GOOD


def _gif() -> Content:
    frames = [noise('L').point(lambda value, i=i: value // (i + 1)) for i in range(3)]
    whole = encoded(frames[0], 'GIF', save_all=True, append_images=frames[1:], duration=10)
    second = whole.index(b'\x21\xf9\x04', len(whole) // 3)
    yield 'gif-animated', whole, GOOD
    yield 'gif-animated-cut-in-the-second-frame', whole[: second + 60], GOOD
    yield 'gif-animated-broken-second-frame', whole[:second] + bytes(byte ^ 0x55 for byte in whole[second:]), GOOD
    single = encoded(noise('L'), 'GIF')
    data = single.index(b'\x2c', 13 + 3 * 256) + 10
    for bits in (0, 1, 12, 13, 255):
        yield f'gif-code-size-{bits}', single[:data] + bytes([bits]) + single[data + 1 :], ANY
    yield 'gif-no-data', single[: data + 1] + b'\0;', BAD
    yield 'gif-no-frame', single[: 13 + 3 * 256] + b';', BAD
    yield 'gif-no-palette', single[:10] + b'\0' + single[11:13] + single[13 + 3 * 256 :], ANY


def _bmp_header(width: int, height: int, bits: int = 24, compression: int = 0, colours: int = 0, header: int = 40) -> bytes:
    info = struct.pack('<IiiHHIIiiII', header, width, height, 1, bits, compression, 0, 0, 0, colours, 0)
    return struct.pack('<2sIHHI', b'BM', 0, 0, 0, 14 + len(info)) + info


def _bmp() -> Content:
    pixels = bytes(SIZE * SIZE * 4)
    yield 'bmp-top-down', _bmp_header(SIZE, -SIZE) + pixels, GOOD
    yield 'bmp-negative-width', _bmp_header(-SIZE, SIZE) + pixels, BAD
    yield 'bmp-least-height', _bmp_header(SIZE, -(2**31)) + pixels, BAD
    yield 'bmp-7-bit', _bmp_header(SIZE, SIZE, bits=7) + pixels, BAD
    yield 'bmp-unknown-compression', _bmp_header(SIZE, SIZE, compression=99) + pixels, BAD
    yield 'bmp-run-lengths-of-zeros', _bmp_header(SIZE, SIZE, bits=8, compression=1) + bytes(4 * 256) + pixels, ANY
    yield 'bmp-run-beyond-the-end', _bmp_header(SIZE, SIZE, bits=8, compression=1) + bytes(4 * 256) + b'\0\2\xff\xff' * 99, ANY
    yield 'bmp-2**32-colours', _bmp_header(SIZE, SIZE, bits=8, colours=2**32 - 1) + pixels, ANY
    yield 'bmp-header-of-7-bytes', _bmp_header(SIZE, SIZE, header=7) + pixels, BAD
    yield 'bmp-bit-fields', _bmp_header(SIZE, SIZE, bits=32, compression=3) + pixels, ANY


def _good() -> Content:
    """Odd, and read all the same."""
    yield 'good-16-bit-grey.png', encoded(noise('I;16')), GOOD
    yield 'good-16-bit-colour.png', png(SIZE, SIZE, 16, 2, bytes((6 * SIZE + 1) * SIZE)), GOOD
    for mode in ('1', 'L', 'LA', 'P', 'RGBA'):
        yield f'good-{mode}.png', encoded(noise(mode)), GOOD
    yield 'good-wide.webp', encoded(noise(size=(300, 20)), 'WEBP'), GOOD
    yield 'good-tall.gif', encoded(noise('P', (20, 300)), 'GIF'), GOOD
