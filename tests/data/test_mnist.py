"""MNIST on a small set that has the format of the original, served by a web server on this machine; and on the real files."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.data.conftest import images_of, official, serving
from tests.data.encoding import flipped
from wgan_jax.data import idx, mnist, mnist_download
from wgan_jax.errors import UserError

REAL = os.environ.get('WGAN_JAX_TEST_DATA')


@pytest.fixture
def server(files, monkeypatch):
    """A web server that serves `files`; the builder downloads from it."""
    with serving({f'/{path.name}': path.read_bytes() for path in files.iterdir()}) as httpd:
        monkeypatch.setattr(mnist_download, 'URL', f'http://127.0.0.1:{httpd.server_port}/')
        yield httpd


def load(root, manual_dir=None, split='train'):
    return mnist.source(str(root), manual_dir and str(manual_dir), split).load()


def as_set(images):
    return {image.tobytes() for image in images}


def everything_in(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob('*'))


def test_downloads_prepares_and_caches(server, tmp_path):
    root = tmp_path / 'sets'
    images = load(root)
    assert images.shape == (12, 28, 28, 1)
    assert as_set(images) == as_set(images_of('train'))
    assert sorted(path.name for path in root.iterdir()) == ['mnist_idx', 'wgan_jax']
    server.shutdown()
    np.testing.assert_array_equal(load(root), images)  # from the cache
    (root / 'wgan_jax' / 'mnist-train-28x28x1-v1.npy').unlink()
    np.testing.assert_array_equal(load(root), images)  # from the prepared data set


def test_files_fetched_by_hand_give_the_same_array(files, server, tmp_path):
    downloaded = load(tmp_path / 'a')
    server.shutdown()
    np.testing.assert_array_equal(load(tmp_path / 'b', files), downloaded)


def fails_and_leaves_nothing(root):
    with pytest.raises(UserError) as caught:
        load(root)
    assert not root.exists()
    message = str(caught.value)
    assert '\n' not in message
    assert all(name in message for name in mnist_download.FILES)
    return message


def test_a_wrong_checksum(server, tmp_path):
    _, content, length = server.answers['/train-labels-idx1-ubyte.gz']
    server.answers['/train-labels-idx1-ubyte.gz'] = (200, flipped(content, length - 1), length)
    message = fails_and_leaves_nothing(tmp_path / 'sets')
    assert re.search(r'train-labels-idx1-ubyte\.gz from 127\.0\.0\.1:\d+ is not the original file', message)
    assert '--config.data.manual_dir=DIR' in message


def test_a_download_that_breaks_off(server, tmp_path):
    server.answers['/t10k-images-idx3-ubyte.gz'] = (200, b'half', 1000)
    assert 'the connection broke off' in fails_and_leaves_nothing(tmp_path / 'sets')


def test_no_network(files, tmp_path, monkeypatch):
    monkeypatch.setattr(mnist_download, 'URL', 'http://127.0.0.1:9/')  # the discard port: nobody listens
    assert 'failed (no connection)' in fails_and_leaves_nothing(tmp_path / 'sets')


def test_a_manual_directory_without_a_file(files, tmp_path):
    (files / 'train-images-idx3-ubyte.gz').unlink()
    with pytest.raises(UserError, match=f'config.data.manual_dir={files} has no train-images-idx3-ubyte.gz: put'):
        load(tmp_path / 'sets', files)
    assert not (tmp_path / 'sets').exists()


@pytest.mark.parametrize('file_format', ['array_record', 'tfrecord'])
def test_an_officially_prepared_set_is_used(files, tmp_path, file_format, monkeypatch):
    load(tmp_path / 'ours', files)
    official(tmp_path / 'ours' / 'mnist_idx' / '1.0.0', tmp_path / 'mnist' / '3.0.1', file_format)
    monkeypatch.setattr(mnist_download, 'URL', 'http://127.0.0.1:9/')
    images = load(tmp_path)
    assert as_set(images) == as_set(images_of('train'))
    np.testing.assert_array_equal(images, load(tmp_path / 'other', files))
    assert 'tensorflow' not in sys.modules


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason='WGAN_JAX_TEST_DATA is not set: the real MNIST files are not tested')
def test_the_real_files_without_tensorflow(tmp_path):
    """In a process of its own, so that what it imports can be seen."""
    program = (
        'import sys; from wgan_jax.data import mnist; images = mnist.source(*sys.argv[1:]).load();'
        'print(images.shape, int(images.astype("int64").sum()), "tensorflow" in sys.modules)'
    )
    command = [sys.executable, '-c', program, str(tmp_path), str(Path(REAL, 'mnist'))]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    pixels = idx.parse(Path(REAL, 'mnist', 'train-images-idx3-ubyte.gz').read_bytes())
    assert output.splitlines()[-1] == f'(60000, 28, 28, 1) {int(pixels.astype(np.int64).sum())} False'
