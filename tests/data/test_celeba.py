"""CelebA on a small set that has the format of the original, on a web server on this machine; and on real images."""

import functools
import hashlib
import http.server
import io
import os
import shutil
import struct
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wgan_jax.data import celeba, celeba_builder, prepared
from wgan_jax.errors import UserError

REAL = os.environ.get('WGAN_JAX_TEST_DATA')
SPLITS = {'train': range(1, 9), 'validation': range(9, 11), 'test': range(11, 14)}


def face(number, size=(178, 218)):
    """One grey level each, as JPEG."""
    buffer = io.BytesIO()
    Image.new('RGB', size, (10 * number,) * 3).save(buffer, 'JPEG', quality=95)
    return buffer.getvalue()


@pytest.fixture
def manual(tmp_path, monkeypatch):
    """A directory with an archive of 13 images that the builder takes for the original."""
    monkeypatch.setattr(celeba, 'SPLITS', SPLITS)
    monkeypatch.setattr(celeba_builder, 'SPLITS', SPLITS)
    directory = tmp_path / 'manual'
    directory.mkdir()
    path = directory / celeba.ARCHIVE
    with zipfile.ZipFile(path, 'w') as archive:
        for number in range(1, 14):
            archive.writestr(f'img_align_celeba/{number:06d}.jpg', face(number))
    content = path.read_bytes()
    monkeypatch.setattr(celeba_builder, 'FILES', {celeba.ARCHIVE: (len(content), hashlib.sha256(content).hexdigest())})
    return directory


def load(root, manual_dir=None, **options):
    return celeba.source(str(root), manual_dir and str(manual_dir), **{'image_size': 16, **options}).load()


def levels(images):
    return sorted(round(image.mean() / 10) for image in images)


def test_an_archive_gives_the_official_splits(manual, tmp_path):
    for split, numbers in SPLITS.items():
        images = load(tmp_path / 'sets', manual, split=split)
        assert images.shape == (len(numbers), 16, 16, 3)
        assert levels(images) == list(numbers)
    assert levels(load(tmp_path / 'sets', manual, split='all')) == list(range(1, 14))


@pytest.mark.parametrize('layout', ['img_align_celeba', 'img_align_celeba/img_align_celeba', 'Img/img_align_celeba', '.'])
def test_unpacked_images_in_the_layouts_of_the_copies(manual, tmp_path, layout):
    packed = load(tmp_path / 'a', manual)
    with zipfile.ZipFile(manual / celeba.ARCHIVE) as archive:
        archive.extractall(tmp_path / 'unpacked')
    (tmp_path / 'copy' / layout).parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(tmp_path / 'unpacked' / 'img_align_celeba', tmp_path / 'copy' / layout, dirs_exist_ok=True)
    (tmp_path / 'copy' / 'list_attr_celeba.csv').write_text('not looked at')
    np.testing.assert_array_equal(load(tmp_path / 'b', tmp_path / 'copy'), packed)


def test_the_archive_itself_may_be_given(manual, tmp_path):
    np.testing.assert_array_equal(load(tmp_path / 'a', manual / celeba.ARCHIVE), load(tmp_path / 'b', manual))


@pytest.mark.parametrize(
    ('name', 'lines'),
    [
        ('list_eval_partition.txt', ['000001.jpg 2', '000002.jpg 0', '000003.jpg 1', '000004.jpg 0']),
        ('list_eval_partition.csv', ['image_id,partition', '000001.jpg,2', '000002.jpg,0', '000003.jpg,1', '000004.jpg,0']),
    ],
)
def test_a_partition_file_decides(manual, tmp_path, name, lines):
    (manual / name).write_text('\n'.join(lines) + '\n')
    assert levels(load(tmp_path, manual)) == [2, 4]
    assert levels(load(tmp_path, manual, split='validation')) == [3]
    assert levels(load(tmp_path, manual, split='test')) == [1]


def test_a_broken_partition_file_is_told(manual, tmp_path):
    (manual / 'list_eval_partition.txt').write_text('000001.jpg 0\n<html>\n')
    with pytest.raises(UserError, match=r"list_eval_partition\.txt, line 2: '<html>' is not a file name and 0, 1 or 2"):
        load(tmp_path, manual)


def test_a_part_of_the_images_will_do_but_not_none(manual, tmp_path):
    part = tmp_path / 'part'
    part.mkdir()
    (part / '000003.jpg').write_bytes(face(3))
    assert levels(load(tmp_path, part)) == [3]
    with pytest.raises(UserError, match=r'manual_dir=.*part has no images of the split test, such as 000001\.jpg'):
        load(tmp_path, part, split='test')


def test_images_that_are_not_celebas_are_left_out(manual, tmp_path, capsys):
    part = tmp_path / 'part'
    part.mkdir()
    (part / '000003.jpg').write_bytes(face(3))
    (part / '000004.jpg').write_bytes(face(4, (500, 400)))
    (part / 'holiday.jpg').write_bytes(face(5))
    assert levels(load(tmp_path, part)) == [3]
    assert '000004.jpg is 500x400 and not 178x218' in capsys.readouterr().out


def test_crop_and_size_are_part_of_the_name(manual, tmp_path):
    for crop, size in ((140, 16), (108, 16), (160, 16), (178, 16), (140, 32)):
        load(tmp_path, manual, crop=crop, image_size=size)
    names = sorted(path.name.split('-v1-')[0] for path in (tmp_path / 'wgan_jax').iterdir())
    crops = [f'celeba-train-crop{crop}-16x16x3' for crop in (108, 140, 160, 178)]
    assert names == sorted([*crops, 'celeba-train-crop140-32x32x3'])


def test_the_crop_is_cut_from_the_centre(monkeypatch, tmp_path):
    pixels = np.zeros((218, 178, 3), np.uint8)
    pixels[39:179, 19:159] = 255  # the centre square of 140
    Image.fromarray(pixels).save(tmp_path / '000001.png')
    assert load(tmp_path / 'a', tmp_path).min() == 255
    assert load(tmp_path / 'a', tmp_path, crop=142).min() < 255


class Handler(http.server.BaseHTTPRequestHandler):
    """Sends what `answer` holds: (status, content, length that the header promises)."""

    answer = (200, b'', 0)

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        status, _, length = self.answer
        self.send_response(status)
        self.send_header('Content-Length', str(length))
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        self.wfile.write(self.answer[1])


@pytest.fixture
def server(manual, monkeypatch):
    content = (manual / celeba.ARCHIVE).read_bytes()
    monkeypatch.setattr(Handler, 'answer', (200, content, len(content)))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        monkeypatch.setattr(celeba_builder, 'URLS', {celeba.ARCHIVE: f'http://127.0.0.1:{httpd.server_port}/get?id=1'})
        yield httpd
        httpd.shutdown()
        thread.join()


def test_downloads_prepares_and_caches(server, manual, tmp_path):
    root = tmp_path / 'sets'
    assert levels(load(root)) == list(SPLITS['train'])
    assert sorted(path.name for path in root.iterdir()) == ['celeba_aligned', 'wgan_jax']
    server.shutdown()
    assert levels(load(root, split='test')) == list(SPLITS['test'])  # from the prepared data set
    assert levels(load(root, split='all')) == list(range(1, 14))
    by_hand = {image.tobytes() for image in load(root, manual)}
    assert by_hand == {image.tobytes() for image in load(root)}
    assert 'tensorflow' not in sys.modules


HTML = b'<html><title>Google Drive - Quota exceeded</title></html>'


@pytest.mark.parametrize(
    ('answer', 'reason'),
    [
        (
            (200, HTML, len(HTML)),
            r'what 127\.0\.0\.1:\d+ sends as img_align_celeba\.zip is not the original file \(wrong checksum\)',
        ),
        ((403, b'', 0), r'the download from 127\.0\.0\.1:\d+ failed \(.*HTTP code: 403\)'),
        ((404, b'', 0), r'HTTP code: 404'),
        ((200, b'half', 1000), r'failed \(the connection broke off\)'),
    ],
    ids=['quota page', 'forbidden', 'gone', 'broken off'],
)
def test_a_host_that_refuses_is_told_with_the_way_out(server, tmp_path, monkeypatch, answer, reason):
    monkeypatch.setattr(Handler, 'answer', answer)
    with pytest.raises(UserError, match=reason) as caught:
        load(tmp_path / 'sets')
    assert 'Fetch img_align_celeba.zip by hand (1.4 GB;' in str(caught.value)
    assert 'https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html' in str(caught.value)
    assert '--config.data.manual_dir=DIR' in str(caught.value)
    assert not (tmp_path / 'sets').exists()


def test_no_network_is_told_at_once(manual, tmp_path, monkeypatch):
    monkeypatch.setattr(celeba_builder, 'URLS', {celeba.ARCHIVE: 'http://127.0.0.1:9/'})
    with pytest.raises(UserError, match=r'failed \(no connection\)\. Fetch img_align_celeba\.zip by hand'):
        load(tmp_path / 'sets')
    assert not (tmp_path / 'sets').exists()


@pytest.mark.parametrize('file_format', ['array_record', 'tfrecord'])
def test_an_officially_prepared_set_is_used(server, tmp_path, file_format):
    """The same files under the name that TFDS gives them."""
    load(tmp_path)
    shutil.rmtree(tmp_path / 'wgan_jax')
    ours = tmp_path / 'celeba_aligned' / '1.0.0'
    official = tmp_path / 'celeb_a' / '2.1.0'
    official.mkdir(parents=True)
    info = (ours / 'dataset_info.json').read_text()
    info = info.replace('"celeba_aligned"', '"celeb_a"').replace('"1.0.0"', '"2.1.0"').replace('"array_record"', f'"{file_format}"')
    (official / 'dataset_info.json').write_text(info)
    shutil.copy(ours / 'features.json', official)
    for split in SPLITS:
        source = ours / f'celeba_aligned-{split}.array_record-00000-of-00001'
        target = official / f'celeb_a-{split}.{file_format}-00000-of-00001'
        if file_format == 'array_record':
            shutil.copy(source, target)
        else:
            from array_record.python.array_record_module import ArrayRecordReader

            records = ArrayRecordReader(str(source)).read_all()
            target.write_bytes(b''.join(struct.pack('<QI', len(record), 0) + record + bytes(4) for record in records))
    shutil.rmtree(tmp_path / 'celeba_aligned')
    server.shutdown()
    assert prepared.find(tmp_path, 'celeb_a') is not None
    for split, numbers in SPLITS.items():
        assert levels(load(tmp_path, split=split)) == list(numbers)


@pytest.mark.skipif(REAL is None, reason='WGAN_JAX_TEST_DATA is not set: real CelebA images are not tested')
def test_real_images_offline_without_tensorflow(tmp_path):
    """In a process of its own, so that what it imports can be seen; with and without the partition file."""
    program = (
        'import sys; from wgan_jax.data import celeba;'
        'images = [celeba.source(sys.argv[1], path, image_size=32, split="test").load() for path in sys.argv[2:]];'
        'print([x.shape for x in images], (images[0] == images[1]).all(), "tensorflow" in sys.modules, "jax" in sys.modules)'
    )
    real = Path(REAL, 'celeba')
    alone = tmp_path / 'alone'
    alone.mkdir()
    (alone / celeba.ARCHIVE).symlink_to((real / celeba.ARCHIVE).resolve())
    command = [sys.executable, '-c', program, str(tmp_path / 'sets'), str(real), str(alone)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == '[(1192, 32, 32, 3), (1192, 32, 32, 3)] True False False'
    decode_one = functools.partial(celeba.decode, size=140, crop=140)
    with zipfile.ZipFile(real / celeba.ARCHIVE) as archive:
        content = archive.read('img_align_celeba/000001.jpg')
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert('RGB'))
    np.testing.assert_array_equal(decode_one(content), pixels[39:179, 19:159])


@pytest.mark.skipif(REAL is None, reason='WGAN_JAX_TEST_DATA is not set: the real partition file is not tested')
def test_the_official_partition_is_by_number():
    partition = celeba._read_partition(Path(REAL, 'celeba'))
    assert len(partition) == 202599
    assert partition == {number: part for part, numbers in celeba.SPLITS.items() for number in numbers}
