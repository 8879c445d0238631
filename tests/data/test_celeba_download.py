"""CelebA downloaded from a web server on this machine, and as TFDS prepares it."""

import http.server
import shutil
import struct
import sys

import pytest

from tests.data.conftest import SPLITS, serving
from tests.data.test_celeba import levels, load
from wgan_jax.data import celeba, celeba_download, tfds_sets
from wgan_jax.errors import UserError


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
    with serving(Handler) as httpd:
        monkeypatch.setattr(celeba_download, 'URLS', {celeba.ARCHIVE: f'http://127.0.0.1:{httpd.server_port}/get?id=1'})
        yield httpd


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
            r'img_align_celeba\.zip from 127\.0\.0\.1:\d+ is not the original file \(wrong checksum\)',
        ),
        ((403, b'', 0), r'the download from 127\.0\.0\.1:\d+ failed \(.*HTTP code: 403\)'),
        ((404, b'', 0), r'HTTP code: 404'),
        ((200, b'half', 1000), r'failed \(the connection broke off\)'),
    ],
    ids=['quota page', 'forbidden', 'gone', 'broken off'],
)
def test_a_host_that_refuses(server, tmp_path, monkeypatch, answer, reason):
    monkeypatch.setattr(Handler, 'answer', answer)
    with pytest.raises(UserError, match=reason) as caught:
        load(tmp_path / 'sets')
    assert 'Fetch img_align_celeba.zip by hand (1.4 GB;' in str(caught.value)
    assert 'https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html' in str(caught.value)
    assert '--config.data.manual_dir=DIR' in str(caught.value)
    assert not (tmp_path / 'sets').exists()


def test_no_network(manual, tmp_path, monkeypatch):
    monkeypatch.setattr(celeba_download, 'URLS', {celeba.ARCHIVE: 'http://127.0.0.1:9/'})
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
    assert tfds_sets.find(tmp_path, 'celeb_a') is not None
    for split, numbers in SPLITS.items():
        assert levels(load(tmp_path, split=split)) == list(numbers)
