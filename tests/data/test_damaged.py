"""Damaged, odd and hostile image files: each is decoded or reported, in little time and memory."""

import json
import os
import subprocess
import sys
import threading
import time
import unittest.mock

import numpy as np
import pytest
from PIL import Image

from tests.conftest import LINUX, PEAK, ROOT
from tests.data import damaged
from tests.data.encoding import ANY, BAD, GOOD, SIZE, encoded, noise
from wgan_jax.data import folder, images
from wgan_jax.data.images import UnusableImage, decode
from wgan_jax.errors import UserError

CORPUS = damaged.corpus()
pytestmark = pytest.mark.filterwarnings('ignore')  # PIL's, about damaged files, as in decode_all


def outcome(content, channels=3):
    """'good', 'bad', or a reason that is not one short line; any other error than an UnusableImage is raised."""
    try:
        array = decode(content, 16, channels)
    except UnusableImage as error:
        reason = str(error)
        return BAD if reason.isprintable() and 0 < len(reason) < 200 else reason
    assert array.shape == (16, 16, channels)
    assert array.dtype == np.uint8
    return GOOD


@pytest.mark.parametrize('case', CORPUS, ids=lambda case: case.name)
def test_each_is_decoded_or_says_why_not(case):
    result = outcome(case.content)
    assert result in ((GOOD, BAD) if case.outcome == ANY else (case.outcome,))
    assert outcome(case.content, channels=1) == result
    with pytest.raises(UnusableImage):  # none has this size, and no damaged one passes for it
        decode(case.content, 16, expected=(178, 218))


@LINUX
def test_none_takes_much_memory_or_time(tmp_path):
    """In one process for all files; headers that claim 100 megapixels may reserve memory, but not use it.

    The process has not made the files itself, which takes more memory than to decode them.
    """
    for number, case in enumerate(CORPUS):
        (tmp_path / f'{number:04d}').write_bytes(case.content)
    program = (
        f'{PEAK}import sys, time, warnings; warnings.simplefilter("ignore")\n'
        'from wgan_jax.data.images import UnusableImage, decode\n'
        'before, slowest = peak(), 0\n'
        'for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n'
        '    content, began = path.read_bytes(), time.process_time()\n'
        '    try: decode(content, 16)\n'
        '    except UnusableImage: continue\n'
        '    finally: slowest = max(slowest, time.process_time() - began)\n'
        'print(peak() - before, slowest)\n'
    )
    command = [sys.executable, '-c', program, str(tmp_path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    megabytes, seconds = map(float, output.split())
    assert megabytes < 48  # a text chunk of a PNG that is unpacked without a limit takes 64
    assert seconds < 10


@pytest.fixture
def place(tmp_path):
    """The corpus in a directory, with a few entries that are not images."""
    top = tmp_path / 'images'
    for number, case in enumerate(CORPUS):
        path = top / f'{number % 7}' / f'{case.name}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(case.content)
    (top / 'directory.jpg').mkdir()
    (top / 'dead link.jpg').symlink_to(top / 'gone.jpg')
    (top / 'itself.jpg').symlink_to(top / 'itself.jpg')
    (top / 'circle').symlink_to(top)
    os.mkfifo(top / 'pipe.jpg')
    (top / 'two\nlines\x1b[31m.jpg').write_text('no image')
    return top


NOT_FILES = 4  # the dead link, the link to itself, the pipe and the name of two lines


def load(place, **options):
    return folder.source(dir=str(place.parent / 'sets'), folder=str(place), image_size=16, split='all', **options).load()


def test_a_folder_of_them_gives_exactly_the_good_ones(place, capsys):
    loaded = load(place)
    good = [decode(case.content, 16).tobytes() for case in CORPUS if outcome(case.content) == GOOD]
    assert sorted(image.tobytes() for image in loaded) == sorted(good)
    output = capsys.readouterr().out
    bad = len(CORPUS) - len(good) + NOT_FILES
    assert f'{bad} of {len(CORPUS) + NOT_FILES} files in {place} cannot be used' in output
    assert len(output.splitlines()) == 14  # two at the start, ten names, the number of other files, and one at the end
    assert output.replace('\n', '').isprintable()
    with pytest.raises(UserError) as caught:
        load(place, strict=True)
    message = str(caught.value)
    assert message.isprintable()
    assert message.count('; ') == 10
    assert len(list((place.parent / 'sets' / 'wgan_jax').iterdir())) == 1


@pytest.mark.skipif(os.name != 'posix', reason='the system has no such permissions')
def test_files_that_may_not_be_read_are_left_out(tmp_path):
    """If this is root, in a process without root's right to read everything."""
    top = tmp_path / 'images'
    (top / 'locked').mkdir(parents=True)
    for name in ('good.png', 'secret.png', 'locked/a.png'):
        (top / name).write_bytes(encoded(noise()))
    (top / 'secret.png').chmod(0)
    (top / 'locked').chmod(0)
    program = (
        'import sys; from wgan_jax.data import folder;'
        'print(folder.source(dir=sys.argv[1], folder=sys.argv[2], image_size=16, split="all").load().shape)'
    )
    command = [sys.executable, '-c', program, str(tmp_path / 'sets'), str(top)]
    if os.geteuid() == 0:
        drop = '-dac_override,-dac_read_search'
        command = ['setpriv', f'--bounding-set={drop}', f'--inh-caps={drop}', *command]
        try:
            subprocess.run([*command[:3], 'true'], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f'permissions do not apply to root, and setpriv cannot change that: {error}')
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    (top / 'locked').chmod(0o700)
    assert '2 of 3 files' in output
    assert 'secret.png cannot be read (Permission denied)' in output
    assert 'locked cannot be read (Permission denied)' in output
    assert output.splitlines()[-1] == '(1, 16, 16, 3)'


def test_large_images_are_decoded_one_at_a_time(monkeypatch):
    """Each may need a gigabyte; small ones do not wait for them."""
    monkeypatch.setattr(images, 'LARGE_PIXELS', SIZE * SIZE)
    square, inside, most, small = images._square, [], [], threading.Barrier(3)

    def watched(image, *options):
        if image.width == 20:
            small.wait(60)  # for the two other small ones, which are decoded at the same time as a large one
        else:
            inside.append(image)
            most.append(len(inside))
            time.sleep(0.1)
            inside.pop()
        return square(image, *options)

    monkeypatch.setattr(images, '_square', watched)
    contents = [encoded(Image.new('RGB', (width, 40))) for width in (20, 40)] * 3
    threads = [threading.Thread(target=decode, args=(content, 16)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1]
    assert not small.broken


def test_which_images_are_large(monkeypatch):
    """The size of a photo is that at which libjpeg decodes it; for a progressive one it is the full size."""
    alone = unittest.mock.MagicMock()
    monkeypatch.setattr(images, '_ALONE', alone)
    monkeypatch.setattr(images, 'LARGE_PIXELS', 400 * 400)
    image = Image.new('RGB', (800, 800))
    for content, large in (
        (encoded(image), True),
        (encoded(image, 'JPEG'), False),
        (encoded(image, 'JPEG', progressive=True), True),
        (encoded(image.reduce(2)), False),
    ):
        alone.reset_mock()
        decode(content, 16)
        assert alone.__enter__.called == large


@pytest.mark.slow
@pytest.mark.parametrize(('colour', 'channels', 'depth'), [(6, 4, 8), (0, 1, 16)], ids=['transparent', '16 bit'])
def test_the_largest_image_takes_a_dozen_bytes_per_pixel(colour, channels, depth):
    program = (
        'import json, resource, sys, warnings; sys.path.insert(0, sys.argv[1]); warnings.simplefilter("ignore")\n'
        'from tests.data.encoding import png\n'
        'from wgan_jax.data.images import decode\n'
        'peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1024 if sys.platform == "linux" else 1)\n'
        'colour, channels, depth = json.loads(sys.argv[2])\n'
        'peaks = []\n'
        'for side in (5000, 9999):\n'
        '    decode(png(side, side, depth, colour, bytes((channels * depth * side // 8 + 1) * side)), 64)\n'
        '    peaks.append(peak())\n'
        'print((peaks[1] - peaks[0]) / (9999**2 - 5000**2))\n'
    )
    command = [sys.executable, '-c', program, str(ROOT), json.dumps([colour, channels, depth])]
    assert float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) < 13
