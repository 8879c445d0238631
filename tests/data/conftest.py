"""A small CelebA and a small MNIST, in files that the builders take for the originals, and a web server."""

import contextlib
import gzip
import hashlib
import http.server
import json
import struct
import threading
import zipfile

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordReader
from PIL import Image

from tests.data.encoding import encoded
from wgan_jax.data import celeba, celeba_download, mnist, mnist_download

COUNTS = {'train': 12, 't10k': 5}
SPLITS = {'train': range(1, 9), 'validation': range(9, 11), 'test': range(11, 14)}


class Handler(http.server.BaseHTTPRequestHandler):
    """Sends server.answers[path]: (status, content, length that the header promises)."""

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        status, _, length = self.server.answers[self.path]
        self.send_response(status)
        self.send_header('Content-Length', str(length))
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        self.wfile.write(self.server.answers[self.path][1])


@contextlib.contextmanager
def serving(contents):
    """A web server on loopback, which the test may shut down; `contents` is {path: bytes}."""
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as httpd:
        httpd.answers = {path: (200, content, len(content)) for path, content in contents.items()}
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


def face(number, size=(178, 218)):
    """One grey level each, as JPEG."""
    return encoded(Image.new('RGB', size, (10 * number,) * 3), 'JPEG', quality=95)


@pytest.fixture
def manual(tmp_path, monkeypatch):
    """A directory with an archive of 13 images that the builder takes for the original."""
    for split, numbers in SPLITS.items():
        monkeypatch.setitem(celeba.SPLITS, split, numbers)
    directory = tmp_path / 'manual'
    directory.mkdir()
    path = directory / celeba.ARCHIVE
    with zipfile.ZipFile(path, 'w') as archive:
        for number in range(1, 14):
            archive.writestr(f'img_align_celeba/{number:06d}.jpg', face(number))
    content = path.read_bytes()
    monkeypatch.setattr(celeba_download, 'FILES', {celeba.ARCHIVE: (len(content), hashlib.sha256(content).hexdigest())})
    return directory


def images_of(prefix):
    return np.random.default_rng(len(prefix)).integers(0, 256, (COUNTS[prefix], 28, 28), dtype=np.uint8)


def official(ours, target, file_format):
    """What TFDS's own builder leaves in `target`: the features of `ours` under another name, as array_record or TFRecord."""
    target.mkdir(parents=True)
    (target / 'features.json').write_text((ours / 'features.json').read_text())
    info = json.loads((ours / 'dataset_info.json').read_text())
    info.update(name=target.parent.name, version=target.name, fileFormat=file_format)
    for split in info['splits']:
        split.setdefault('filepathTemplate', '{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}')
        source = ours / f'{ours.parent.name}-{split["name"]}.array_record-00000-of-00001'
        content = source.read_bytes()
        if file_format == 'tfrecord':
            records = ArrayRecordReader(str(source)).read_all()
            content = b''.join(struct.pack('<QI', len(record), 0) + record + bytes(4) for record in records)
        (target / f'{target.parent.name}-{split["name"]}.{file_format}-00000-of-00001').write_bytes(content)
    (target / 'dataset_info.json').write_text(json.dumps(info))


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A directory with four IDX files, which the builder takes for the originals; the package's 60,000 become 12."""
    directory = tmp_path / 'files'
    directory.mkdir()
    for prefix, count in COUNTS.items():
        images, labels = images_of(prefix), np.arange(count, dtype=np.uint8) % 10
        header = struct.pack('>IIII', 2051, count, 28, 28)
        (directory / f'{prefix}-images-idx3-ubyte.gz').write_bytes(gzip.compress(header + images.tobytes()))
        (directory / f'{prefix}-labels-idx1-ubyte.gz').write_bytes(
            gzip.compress(struct.pack('>II', 2049, count) + labels.tobytes())
        )
    infos = {p.name: (p.stat().st_size, hashlib.sha256(p.read_bytes()).hexdigest()) for p in directory.iterdir()}
    assert infos.keys() == mnist_download.FILES.keys()
    monkeypatch.setattr(mnist_download, 'FILES', infos)
    monkeypatch.setattr(mnist_download, 'SPLITS', {'train': ('train', COUNTS['train']), 'test': ('t10k', COUNTS['t10k'])})
    monkeypatch.setattr(mnist, 'SPLITS', {'train': COUNTS['train'], 'test': COUNTS['t10k']})
    return directory
