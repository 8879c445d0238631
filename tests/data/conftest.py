"""A small CelebA and a small MNIST, in files that the builders take for the originals, and a web server."""

import contextlib
import gzip
import hashlib
import http.server
import io
import struct
import threading
import zipfile

import numpy as np
import pytest
from PIL import Image

from wgan_jax.data import celeba, celeba_download, mnist, mnist_download

COUNTS = {'train': 12, 't10k': 5}
SPLITS = {'train': range(1, 9), 'validation': range(9, 11), 'test': range(11, 14)}


@contextlib.contextmanager
def serving(handler):
    """A web server on loopback, which the test may shut down."""
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


def face(number, size=(178, 218)):
    """One grey level each, as JPEG."""
    buffer = io.BytesIO()
    Image.new('RGB', size, (10 * number,) * 3).save(buffer, 'JPEG', quality=95)
    return buffer.getvalue()


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
