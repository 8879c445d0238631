"""PNG files that are damaged, odd or hostile: part of the corpus of damaged.py."""

import struct
import zlib

from PIL import PngImagePlugin

from tests.data.encoding import ANY, BAD, GOOD, SIZE, Content, chunk, encoded, flipped, noise, png


def odd() -> Content:
    """Palettes, transparency, numbers of bits, checksums and chunks that are not as they should be."""
    rows = b''.join(b'\0' + bytes(range(SIZE)) for _ in range(SIZE))
    palette = bytes(range(256)) * 3
    yield 'png-short-palette', png(SIZE, SIZE, 8, 3, rows, chunk(b'PLTE', palette[:9])), ANY
    yield 'png-long-palette', png(SIZE, SIZE, 8, 3, rows, chunk(b'PLTE', palette + b'abc')), ANY
    yield 'png-broken-palette', png(SIZE, SIZE, 8, 3, rows, chunk(b'PLTE', palette[:10])), ANY
    yield 'png-no-palette', png(SIZE, SIZE, 8, 3, rows), ANY
    yield 'png-empty-palette', png(SIZE, SIZE, 8, 3, rows, chunk(b'PLTE', b'')), ANY
    whole = chunk(b'PLTE', palette[: 3 * 32])
    yield 'png-more-transparency-than-palette', png(SIZE, SIZE, 8, 3, rows, whole, chunk(b'tRNS', bytes(300))), ANY
    yield 'png-empty-transparency', png(SIZE, SIZE, 8, 3, rows, whole, chunk(b'tRNS', b'')), ANY
    yield 'png-short-transparency', png(SIZE, SIZE, 8, 0, rows, chunk(b'tRNS', b'\0')), ANY
    for bits in (1, 2, 4):
        packed = b''.join(b'\0' + b'\x5a' * (SIZE * bits // 8) for _ in range(SIZE))
        yield f'png-grey-{bits}-bit', png(SIZE, SIZE, bits, 0, packed), GOOD
        colours = chunk(b'PLTE', palette[: 3 * 2**bits])
        yield f'png-palette-{bits}-bit-transparent', png(SIZE, SIZE, bits, 3, packed, colours, chunk(b'tRNS', b'\0\x80')), GOOD
    yield 'png-3-bit', png(SIZE, SIZE, 3, 0, rows), BAD
    yield 'png-colour-type-5', png(SIZE, SIZE, 8, 5, rows), BAD
    yield 'png-no-width', png(0, SIZE, 8, 0, rows), BAD
    yield 'png-interlaced', png(SIZE, SIZE, 8, 0, rows, interlace=1), ANY
    yield 'png-unknown-interlace', png(SIZE, SIZE, 8, 0, rows, interlace=7), ANY
    yield 'png-unknown-filter', png(SIZE, SIZE, 8, 0, rows.replace(b'\0\0', b'\x09\0')), BAD
    yield 'png-rows-missing', png(SIZE, SIZE, 8, 0, rows[: 33 * 5]), ANY
    yield 'png-rows-too-many', png(SIZE, SIZE, 8, 0, rows * 3), GOOD
    whole = encoded(noise())
    for kind in (b'IHDR', b'IDAT', b'IEND'):
        begin = whole.index(kind)
        end = begin + 4 + struct.unpack('>I', whole[begin - 4 : begin])[0]
        yield f'png-wrong-checksum-{kind.decode()}', flipped(whole, end), ANY
        yield f'png-without-{kind.decode()}', whole[: begin - 4] + whole[end + 4 :], ANY
        yield f'png-huge-{kind.decode()}', whole[: begin - 4] + b'\x7f\xff\xff\xff' + whole[begin:], ANY
    yield 'png-unknown-critical-chunk', png(SIZE, SIZE, 8, 0, rows, chunk(b'ABCD', b'x')), ANY
    yield 'png-wrong-checksum-of-a-text', png(SIZE, SIZE, 8, 0, rows, chunk(b'tEXt', b'a\0b', 0)), ANY
    yield 'png-exif-garbage', png(SIZE, SIZE, 8, 0, rows, chunk(b'eXIf', b'garbage' * 10)), ANY
    yield 'apng-without-frames', png(SIZE, SIZE, 8, 0, rows, chunk(b'acTL', struct.pack('>II', 9, 0))), ANY
    yield 'apng-with-2**31-frames', png(SIZE, SIZE, 8, 0, rows, chunk(b'acTL', struct.pack('>II', 2**31, 0))), ANY


def bombs() -> Content:
    """What unpacks to 64 MiB and more, of pixels that nobody asked for, and of text."""
    rows = b''.join(b'\0' + bytes(range(SIZE)) for _ in range(SIZE))
    bomb = zlib.compress(bytes(2**26), 9)
    yield 'png-pixels-bomb', png(SIZE, SIZE, 8, 0, bytes(2**26)), GOOD
    yield 'png-text-bomb', png(SIZE, SIZE, 8, 0, rows, chunk(b'zTXt', b'a\0\0' + bomb)), ANY
    yield 'png-text-bomb-behind', encoded(noise())[:-12] + chunk(b'zTXt', b'a\0\0' + bomb) + chunk(b'IEND', b''), ANY
    small = chunk(b'zTXt', b'a\0\0' + zlib.compress(bytes(2**20 - 9)))
    yield 'png-many-text-bombs', png(SIZE, SIZE, 8, 0, rows, *[small] * 100), ANY
    yield 'png-international-text-bomb', png(SIZE, SIZE, 8, 0, rows, chunk(b'iTXt', b'a\0\1\0\0\0' + bomb)), ANY
    yield 'png-profile-bomb', png(SIZE, SIZE, 8, 0, rows, chunk(b'iCCP', b'a\0\0' + bomb)), ANY
    info = PngImagePlugin.PngInfo()
    info.add_text('Raw profile type exif', '\nexif\n  4\nnohex')
    yield 'png-profile-that-is-no-hex', encoded(noise(), pnginfo=info), ANY
