"""MNIST on a small set that has the format of the original, served by a web server on this machine; and on the real files."""

import functools
import http.server
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.data.conftest import images_of, serving
from wgan_jax.data import idx, mnist, mnist_download, tfds_sets
from wgan_jax.errors import UserError

REAL = os.environ.get('WGAN_JAX_TEST_DATA')


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files; those named in `broken` end after half of the promised bytes."""

    broken = ()

    def log_message(self, *args):
        pass

    def copyfile(self, source, outputfile):
        content = source.read()
        outputfile.write(content[: len(content) // 2] if self.path.lstrip('/') in self.broken else content)


@pytest.fixture
def server(files, monkeypatch):
    """A web server that serves `files`; the builder downloads from it."""
    with serving(functools.partial(Handler, directory=str(files))) as httpd:
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


def fails_and_leaves_nothing(root, manual_dir=None):
    with pytest.raises(UserError) as caught:
        load(root, manual_dir)
    assert not root.exists()
    message = str(caught.value)
    assert '\n' not in message
    assert all(name in message for name in mnist_download.FILES)
    return message


def test_a_wrong_checksum(files, server, tmp_path):
    content = bytearray((files / 'train-labels-idx1-ubyte.gz').read_bytes())
    content[-1] ^= 1
    (files / 'train-labels-idx1-ubyte.gz').write_bytes(content)
    message = fails_and_leaves_nothing(tmp_path / 'sets')
    assert re.search(r'train-labels-idx1-ubyte\.gz from 127\.0\.0\.1:\d+ is not the original file', message)
    assert 'wrong checksum' in message
    assert '--config.data.manual_dir=DIR' in message
    message = fails_and_leaves_nothing(tmp_path / 'sets', str(files))
    assert f'train-labels-idx1-ubyte.gz in {files} is not the original file' in message


def test_a_download_that_breaks_off(server, tmp_path, monkeypatch):
    monkeypatch.setattr(Handler, 'broken', ('t10k-images-idx3-ubyte.gz',))
    message = fails_and_leaves_nothing(tmp_path / 'sets')
    assert 'the connection broke off' in message


def test_a_missing_file_on_the_server(files, server, tmp_path):
    (files / 't10k-images-idx3-ubyte.gz').unlink()
    assert 'HTTP code: 404' in fails_and_leaves_nothing(tmp_path / 'sets')


def test_no_network(files, tmp_path, monkeypatch):
    monkeypatch.setattr(mnist_download, 'URL', 'http://127.0.0.1:9/')  # the discard port: nobody listens
    message = fails_and_leaves_nothing(tmp_path / 'sets')
    assert 'failed (no connection)' in message


def test_a_manual_directory_without_a_file(files, tmp_path):
    (files / 'train-images-idx3-ubyte.gz').unlink()
    with pytest.raises(
        UserError, match=f'config.data.manual_dir={files} has no train-images-idx3-ubyte.gz: put the original files'
    ):
        load(tmp_path / 'sets', files)
    assert not (tmp_path / 'sets').exists()


def test_a_data_directory_that_cannot_be_written(files, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match=r'--config\.data\.dir=DIR'):
        load(tmp_path / 'file' / 'sets', files)


def official(root, files, file_format):
    """What TFDS's own `mnist` leaves in `root`: the same features under another name, as array_record or TFRecord."""
    import tensorflow_datasets as tfds

    builder = mnist_download.MnistIdx(data_dir=root / 'ours', file_format='array_record')
    config = tfds.download.DownloadConfig(manual_dir=str(files))
    builder.download_and_prepare(download_dir=root / 'downloads', download_config=config)
    target = root / 'mnist' / '3.0.1'
    target.mkdir(parents=True)
    info = json.loads((builder.data_path / 'dataset_info.json').read_text())
    info.update(name='mnist', version='3.0.1', fileFormat=file_format)
    (target / 'features.json').write_text((builder.data_path / 'features.json').read_text())
    for split in info['splits']:
        template = split.setdefault('filepathTemplate', '{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}')
        assert template == '{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}'
        source = builder.data_path / f'mnist_idx-{split["name"]}.array_record-00000-of-00001'
        copy = target / f'mnist-{split["name"]}.{file_format}-00000-of-00001'
        if file_format == 'array_record':
            copy.write_bytes(source.read_bytes())
        else:
            from array_record.python.array_record_module import ArrayRecordReader

            records = ArrayRecordReader(str(source)).read_all()
            copy.write_bytes(b''.join(struct.pack('<QI', len(r), 0) + r + bytes(4) for r in records))
    (target / 'dataset_info.json').write_text(json.dumps(info))


@pytest.mark.parametrize('file_format', ['array_record', 'tfrecord'])
def test_an_officially_prepared_set_is_used(files, tmp_path, file_format, monkeypatch):
    official(tmp_path, files, file_format)
    monkeypatch.setattr(mnist_download, 'URL', 'http://127.0.0.1:9/')
    images = load(tmp_path)
    assert as_set(images) == as_set(images_of('train'))
    np.testing.assert_array_equal(images, load(tmp_path / 'other', files))
    assert 'tensorflow' not in sys.modules


def test_a_prepared_set_that_is_cut_short_is_an_error(files, tmp_path):
    official(tmp_path, files, 'tfrecord')
    path = tmp_path / 'mnist' / '3.0.1' / 'mnist-train.tfrecord-00000-of-00001'
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match=r'mnist/3\.0\.1 is damaged \(mnist-train.* is cut short\): delete that directory'):
        list(tfds_sets.encoded_images(tfds_sets.find(tmp_path, 'mnist'), 'train', 12))


def test_nothing_prepared_is_none(tmp_path):
    assert tfds_sets.find(tmp_path, 'mnist') is None


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
