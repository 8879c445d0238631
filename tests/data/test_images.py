import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.data.encoding import encoded, png
from wgan_jax.data import images
from wgan_jax.data.images import UnusableImage, decode, decode_all
from wgan_jax.errors import UserError

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def halves(mode='RGB', left=RED, right=BLUE, size=(32, 32)):
    image = Image.new(mode, size, right)
    image.paste(left, (0, 0, size[0] // 2, size[1]))
    return image


def corners(content, size=16, channels=3, **options):
    """The left and the right edge of the decoded image, away from the middle where resizing mixes them."""
    array = decode(content, size, channels, **options)
    assert array.shape == (size, size, channels)
    assert array.dtype == np.uint8
    return array[size // 2, 0].tolist(), array[size // 2, -1].tolist()


TURNED = Image.Exif()
TURNED[0x0112] = 6
FINE = {'quality': 100, 'subsampling': 0}
CONTENTS = {
    **{form: encoded(halves(), form) for form in ('PNG', 'BMP', 'GIF')},
    'WEBP': encoded(halves(), 'WEBP', lossless=True),
    'JPEG': encoded(halves(), 'JPEG', **FINE),
    'CMYK': encoded(halves().convert('CMYK'), 'JPEG', **FINE),  # as printers send it
    # Blue above and red below, and to be turned by 90 degrees clockwise.
    'EXIF': encoded(halves().transpose(Image.Transpose.ROTATE_90), 'JPEG', **FINE, exif=TURNED),
}


@pytest.mark.parametrize('content', CONTENTS.values(), ids=CONTENTS)
def test_every_format(content):
    left, right = corners(content)
    np.testing.assert_allclose(left, RED, atol=3)
    np.testing.assert_allclose(right, BLUE, atol=3)


@pytest.mark.parametrize('orientation', range(1, 10))
def test_every_orientation_as_pillow_turns_it(orientation):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(image, exif=exif)
    np.testing.assert_array_equal(decode(content, 8), np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content)))))


def test_a_turned_photo_with_a_tag_that_cannot_be_written_again_is_used():
    """Orientation 6, and an image width that is signed and -1."""
    tags = struct.pack('<HHIIHHIi', 0x0112, 3, 1, 6, 0x0100, 9, 1, -1)
    exif = b'Exif\0\0II*\0' + struct.pack('<IH', 8, 2) + tags + struct.pack('<I', 0)
    content = encoded(halves().transpose(Image.Transpose.ROTATE_90), 'JPEG', **FINE, exif=exif)
    with pytest.raises(struct.error):
        ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    left, right = corners(content)
    np.testing.assert_allclose((left, right), (RED, BLUE), atol=3)


def test_grey_and_palette_and_one_bit_become_colour():
    assert corners(encoded(halves('L', 10, 200))) == ([10] * 3, [200] * 3)
    assert corners(encoded(halves().convert('P', palette=Image.Palette.ADAPTIVE))) == (list(RED), list(BLUE))
    assert corners(encoded(halves('1', 1, 0))) == ([255] * 3, [0] * 3)


def test_colour_becomes_grey_by_luma():
    left, right = corners(encoded(halves()), channels=1)
    assert (left, right) == ([76], [29])  # 0.299 and 0.114 of 255


def test_transparent_pixels_are_white():
    assert corners(encoded(halves('RGBA', (*RED, 0), (*BLUE, 255)))) == (list(WHITE), list(BLUE))
    assert corners(encoded(halves('LA', (10, 0), (10, 255)))) == (list(WHITE), [10] * 3)
    palette = halves().convert('P', palette=Image.Palette.ADAPTIVE)
    index = palette.getpixel((0, 0))
    assert corners(encoded(palette, transparency=index)) == (list(WHITE), list(BLUE))


def test_sixteen_bits_keep_their_meaning():
    values = np.zeros((32, 32), np.uint16)
    values[:, 16:] = 65535
    values[:, :16] = 128 * 257
    assert corners(encoded(Image.fromarray(values))) == ([128] * 3, [255] * 3)
    assert corners(encoded(Image.fromarray(values), transparency=128 * 257)) == (list(WHITE), [255] * 3)


def test_the_centre_square_of_a_wide_or_a_tall_image():
    wide = Image.new('RGB', (96, 32), WHITE)
    wide.paste(halves(), (32, 0))
    assert corners(encoded(wide)) == (list(RED), list(BLUE))
    tall = Image.new('RGB', (32, 96), WHITE)
    tall.paste(halves(), (0, 32))
    assert corners(encoded(tall)) == (list(RED), list(BLUE))


def test_the_odd_pixel_outside_the_centre_square_is_the_last_one():
    """Left and top are rounded down, in every version: prepared arrays keep their names."""
    pixels = np.random.default_rng(0).integers(0, 256, (35, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(pixels)), 16), pixels[9:25])
    wide = np.ascontiguousarray(pixels.swapaxes(0, 1))
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(wide)), 16), wide[:, 9:25])


def test_making_smaller_is_antialiased():
    """A checkerboard of single pixels becomes grey; without a filter it would stay black and white."""
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    array = decode(encoded(Image.fromarray(board)), 16, 1)
    np.testing.assert_allclose(array, 127.5, atol=3)


def test_a_large_photo_is_the_same_as_decoded_in_full():
    """libjpeg decodes it at a fraction of its size, which must not show."""
    ramp = np.linspace(0, 255, 1024).astype(np.uint8)
    photo = Image.fromarray(np.broadcast_to(ramp[None, :, None], (1024, 1024, 3)).copy())
    array = decode(encoded(photo, 'JPEG', quality=95), 32)
    expected = np.asarray(photo.resize((32, 32), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(array, expected, atol=3)


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b'', 'is not an image in a known format'),
        (encoded(halves(size=(320, 320)), 'JPEG')[:-600], 'is damaged'),
        (encoded(halves(size=(7, 30))), 'is 7x30, less than half of the 16 pixels required'),
        (png(60000, 60000, 8, 2, b''), 'claims more than 100,000,000 pixels'),
        (png(12000, 12000, 8, 2, b''), 'claims 12000x12000 pixels, more than 100,000,000'),
    ],
    ids=['empty', 'cut', 'tiny', 'bomb', 'small bomb'],
)
@pytest.mark.filterwarnings('ignore::PIL.Image.DecompressionBombWarning')
def test_what_cannot_be_used_says_why(content, reason):
    with pytest.raises(UnusableImage, match=reason):
        decode(content, 16)


def pixel(value):
    return encoded(Image.new('L', (16, 16), value))


def run(items, **options):
    blocks = decode_all(items, len(items), lambda content: decode(content, 16, 1), (16, 16, 1), 'the set', **options)
    return np.concatenate(list(blocks))


def test_many_images_in_order_and_in_blocks():
    items = [(f'{i}.png', lambda i=i: pixel(i % 256)) for i in range(700)]
    array = run(items)
    assert array.shape == (700, 16, 16, 1)
    np.testing.assert_array_equal(array[:, 0, 0, 0], np.arange(700) % 256)


def test_unusable_files_are_counted_and_the_first_ten_named(capsys):
    names = [b'caf\xe9.png'.decode('utf-8', 'surrogateescape'), *(f'{i}.png' for i in range(1, 30))]
    items = [(name, (lambda i=i: pixel(i)) if i % 2 else (lambda: b'broken')) for i, name in enumerate(names)]
    np.testing.assert_array_equal(run(items)[:, 0, 0, 0], np.arange(1, 30, 2))
    output = capsys.readouterr().out.splitlines()
    assert output[1] == '15 of 30 files in the set cannot be used and are left out (15 .png):'
    bad = [r'caf\udce9', *range(2, 20, 2)]
    assert output[2:12] == [f'  {name}.png is not an image in a known format (JPEG, PNG, WEBP, BMP, GIF)' for name in bad]
    assert output[12] == '  and 5 more'


def test_a_file_that_cannot_be_read_is_an_error():
    """The failure may be temporary, and a file that is left out stays left out."""
    items = [('good.png', lambda: pixel(1)), ('gone.png', Path('/nowhere/gone.png').read_bytes)]
    with pytest.raises(UserError, match=r'the set cannot be read \(gone\.png: No such file or directory\)'):
        run(items)


def test_memory_is_bounded_by_reading_ahead_a_little(monkeypatch):
    """The files are asked for while earlier blocks are taken, not all at the beginning."""
    monkeypatch.setattr(images.os, 'sched_getaffinity', lambda pid: {0}, raising=False)
    asked = []

    def items():
        for i in range(2000):
            asked.append(i)
            yield f'{i}.png', lambda: pixel(0)

    blocks = decode_all(items(), 2000, lambda content: decode(content, 16, 1), (16, 16, 1), 'the set')
    next(blocks)
    assert len(asked) <= 5 * 64
    blocks.close()


def test_large_images_are_taken_a_few_at_a_time():
    items = [(f'{i}.png', lambda: encoded(Image.new('L', (512, 512)))) for i in range(8)]
    blocks = list(decode_all(items, 8, lambda content: decode(content, 512, 1), (512, 512, 1), 'the set'))
    assert [len(block) for block in blocks] == [4, 4]
