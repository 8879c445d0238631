"""Damaged or foreign files of data sets, and full disks: the error is one sentence, and no files are left behind."""

import gzip
import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.data.conftest import COUNTS
from tests.data.test_celeba import load as load_celeba
from tests.data.test_mnist import everything_in, load, official
from wgan_jax.data import celeba, mnist_download
from wgan_jax.errors import UserError

IDX = ['train-images-idx3-ubyte.gz', 'train-labels-idx1-ubyte.gz', 't10k-images-idx3-ubyte.gz', 't10k-labels-idx1-ubyte.gz']


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4] = bytes(byte ^ 0xFF for byte in content[middle : middle + 4])
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b'')


def zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


def html(path):
    path.write_bytes(b'<html>Not found</html>')


def unpack(path):
    path.write_bytes(gzip.decompress(path.read_bytes()))


def swap(path):
    other = path.with_name(IDX[IDX.index(path.name) - 1])
    path.rename(path.with_suffix('.held'))
    other.rename(path)
    path.with_suffix('.held').rename(other)


@pytest.mark.parametrize('name', IDX)
@pytest.mark.parametrize('damage', [cut, flip, empty, html, unpack, swap])
def test_a_file_of_mnist_that_is_not_the_original(files, tmp_path, name, damage):
    damage(files / name)
    with pytest.raises(UserError) as caught:
        load(tmp_path / 'sets', files)
    message = str(caught.value)
    assert message.isprintable()
    assert f'in {files} is not the original file (wrong checksum). Put the four original files' in message
    assert not (tmp_path / 'sets').exists()


@pytest.mark.parametrize('damage', [cut, empty, zeros, html])
def test_an_archive_of_celeba_that_is_none(manual, tmp_path, damage):
    damage(manual / celeba.ARCHIVE)
    with pytest.raises(UserError) as caught:
        load_celeba(tmp_path / 'sets', manual)
    assert str(caught.value).isprintable()
    assert f'config.data.manual_dir={manual / celeba.ARCHIVE} ' in str(caught.value)
    assert not (tmp_path / 'sets').exists()


def test_an_archive_of_celeba_with_a_damaged_image_does_without_it(manual, tmp_path, capsys):
    flip(manual / celeba.ARCHIVE)
    assert len(load_celeba(tmp_path / 'sets', manual, split='all')) == 12
    assert '1 of 13 files' in capsys.readouterr().out


@pytest.fixture(scope='module')
def prepared_once(tmp_path_factory):
    return tmp_path_factory.mktemp('prepared')


@pytest.fixture
def prepared(files, prepared_once, tmp_path):
    """A function that copies a small MNIST that TFDS has prepared, in one of its formats, and returns its directory."""

    def copy(file_format):
        source = prepared_once / file_format
        if not source.exists():
            official(source, files, file_format)
        shutil.copytree(source / 'mnist', tmp_path / 'mnist')
        return tmp_path / 'mnist' / '3.0.1'

    return copy


def remove(path):
    path.unlink()


def is_reported_as_damaged(directory, files):
    """Whether loading ends with one sentence that names the directory, and changes nothing."""
    root = directory.parent.parent
    before = everything_in(root)
    with pytest.raises(UserError) as caught:
        load(root, files)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 600
    assert message.startswith(f'The data set prepared in {directory} is damaged (')
    assert message.endswith('): delete that directory, or choose another --config.data.dir=DIR.')
    assert everything_in(root) == before
    return True


@pytest.mark.parametrize('file_format', ['array_record', 'tfrecord'])
@pytest.mark.parametrize('damage', [cut, empty, zeros, html, remove])
def test_a_prepared_file_of_images_that_is_damaged(files, prepared, file_format, damage):
    directory = prepared(file_format)
    damage(directory / f'mnist-train.{file_format}-00000-of-00001')
    assert is_reported_as_damaged(directory, files)


def test_flipped_bytes_in_a_prepared_file(files, prepared):
    directory = prepared('array_record')
    flip(directory / 'mnist-train.array_record-00000-of-00001')
    assert is_reported_as_damaged(directory, files)


def test_the_images_of_another_split(files, prepared):
    directory = prepared('array_record')
    shutil.copy(directory / 'mnist-test.array_record-00000-of-00001', directory / 'mnist-train.array_record-00000-of-00001')
    assert is_reported_as_damaged(directory, files)


def info(**changes):
    def change(directory):
        path = directory / 'dataset_info.json'
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def fewer(directory):
    path = directory / 'dataset_info.json'
    assert f'"{COUNTS["train"]}"' in path.read_text()
    path.write_text(path.read_text().replace(f'"{COUNTS["train"]}"', '"7"'))


@pytest.mark.parametrize(
    'damage',
    [
        *(lambda directory, name=name, damage=damage: damage(directory / name)
          for name in ('dataset_info.json', 'features.json') for damage in (cut, empty, zeros, html)),
        lambda directory: remove(directory / 'features.json'),
        *(lambda directory, name=name, text=text: (directory / name).write_text(text)
          for name in ('dataset_info.json', 'features.json') for text in ('{}', '[]', 'null', '7', '[' * 100_000)),
        info(splits=[]),
        info(splits=7),
        info(version='none'),
        info(name='other'),
        info(fileFormat='parquet'),
        info(fileFormat='tfrecord'),
        fewer,
    ],
)  # fmt: skip
def test_a_description_of_a_prepared_set_that_is_damaged(files, prepared, damage):
    directory = prepared('array_record')
    damage(directory)
    assert is_reported_as_damaged(directory, files)


@pytest.mark.parametrize('key', ['pythonClassName', 'python_class_name'])
def test_a_prepared_set_names_no_module_that_is_imported(files, prepared, key, tmp_path, monkeypatch):
    """TFDS imports whatever module the description names."""
    (tmp_path / 'hostile_module.py').write_text(f'open({str(tmp_path / "marker")!r}, "w").close()')
    monkeypatch.syspath_prepend(str(tmp_path))
    directory = prepared('array_record')
    features = json.loads((directory / 'features.json').read_text())
    features['featuresDict']['features']['image'].pop('pythonClassName')
    features['featuresDict']['features']['image'][key] = 'hostile_module.Image'
    (directory / 'features.json').write_text(json.dumps(features))
    assert is_reported_as_damaged(directory, files)
    assert not (tmp_path / 'marker').exists()


def test_without_its_description_a_set_is_prepared_anew(files, prepared):
    directory = prepared('array_record')
    remove(directory / 'dataset_info.json')
    assert len(load(directory.parent.parent, files)) == COUNTS['train']


def test_our_own_prepared_set_without_its_description(files, tmp_path):
    """TFDS takes the directory for a prepared data set, and its files may be of another one."""
    load(tmp_path, files)
    shutil.rmtree(tmp_path / 'wgan_jax')
    remove(tmp_path / 'mnist_idx' / '1.0.0' / 'dataset_info.json')
    with pytest.raises(UserError, match=r'mnist_idx/1\.0\.0 is damaged \(.*: delete that directory'):
        load(tmp_path, files)


def test_a_disk_that_fills_up_while_tfds_prepares(files, tmp_path):
    """In a process with a limit on the size of files."""
    program = (
        'import json, os, resource, sys\n'
        'import tensorflow_datasets\n'
        'from wgan_jax.data import mnist, mnist_download\n'
        'from wgan_jax.errors import UserError\n'
        'mnist_download.FILES = json.loads(sys.argv[3])\n'
        f'mnist_download.SPLITS = {mnist_download.SPLITS}\n'
        'for limit in (4000, 100):\n'
        '    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))\n'
        '    try: mnist.source(sys.argv[1], sys.argv[2]).load()\n'
        '    except UserError as error: print("error:", error, os.path.exists(sys.argv[1]))\n'
    )
    command = [sys.executable, '-c', program, str(tmp_path / 'sets'), str(files), json.dumps(mnist_download.FILES)]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    lines = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.splitlines()
    expected = f'error: MNIST could not be prepared in {tmp_path / "sets"} (File too large); choose another place with '
    assert [line for line in lines if line.startswith('error')] == [f'{expected}--config.data.dir=DIR. False'] * 2
