"""Damaged or foreign files of data sets, and full disks: the error is one sentence, and no files are left behind."""

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.data.conftest import COUNTS, official
from tests.data.encoding import flipped
from tests.data.test_celeba import load as load_celeba
from tests.data.test_mnist import everything_in, load
from wgan_jax.data import celeba, mnist_download, tfds_sets
from wgan_jax.errors import UserError

IDX = ['train-images-idx3-ubyte.gz', 'train-labels-idx1-ubyte.gz', 't10k-images-idx3-ubyte.gz', 't10k-labels-idx1-ubyte.gz']
INFO, FEATURES = 'dataset_info.json', 'features.json'
DAMAGES = {
    'cut': lambda content: content[: len(content) // 2],
    'flip': lambda content: flipped(content, len(content) // 2),
    'empty': lambda content: b'',
    'zeros': lambda content: bytes(len(content)),
    'html': lambda content: b'<html>Not found</html>',
}


def damage(path, how):
    path.write_bytes(DAMAGES[how](path.read_bytes()))


def is_refused(load, root, message):
    """Whether loading ends with one sentence that contains the message, and leaves nothing."""
    with pytest.raises(UserError) as caught:
        load()
    assert str(caught.value).isprintable()
    assert message in str(caught.value)
    return not root.exists()


@pytest.mark.parametrize('name', IDX)
@pytest.mark.parametrize('how', ['cut', 'flip', 'empty', 'html', 'that of another file'])
def test_a_file_of_mnist_that_is_not_the_original(files, tmp_path, name, how):
    if how in DAMAGES:
        damage(files / name, how)
    else:
        shutil.copy(files / IDX[IDX.index(name) - 1], files / name)
    message = f'{name} in {files} is not the original file (wrong checksum). Put the four original files'
    assert is_refused(lambda: load(tmp_path / 'sets', files), tmp_path / 'sets', message)


@pytest.mark.parametrize('how', ['cut', 'empty', 'zeros', 'html'])
def test_an_archive_of_celeba_that_is_none(manual, tmp_path, how):
    damage(manual / celeba.ARCHIVE, how)
    message = f'config.data.manual_dir={manual / celeba.ARCHIVE} '
    assert is_refused(lambda: load_celeba(tmp_path / 'sets', manual), tmp_path / 'sets', message)


def test_an_archive_of_celeba_with_a_damaged_image_does_without_it(manual, tmp_path, capsys):
    damage(manual / celeba.ARCHIVE, 'flip')
    assert len(load_celeba(tmp_path / 'sets', manual, split='all')) == 12
    assert '1 of 13 files' in capsys.readouterr().out


@pytest.fixture(scope='module')
def prepared_once(tmp_path_factory):
    return tmp_path_factory.mktemp('prepared') / 'sets'


@pytest.fixture
def prepared(files, prepared_once, tmp_path):
    """A function that makes a small MNIST as TFDS prepares it, in one of its formats, and returns its directory."""

    def copy(file_format):
        if not prepared_once.exists():
            load(prepared_once, files)
        official(prepared_once / 'mnist_idx' / '1.0.0', tmp_path / 'mnist' / '3.0.1', file_format)
        return tmp_path / 'mnist' / '3.0.1'

    return copy


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
@pytest.mark.parametrize('how', ['cut', 'empty', 'zeros', 'html', 'gone', 'those of another split'])
def test_a_prepared_file_of_images_that_is_damaged(files, prepared, file_format, how):
    directory = prepared(file_format)
    path = directory / f'mnist-train.{file_format}-00000-of-00001'
    if how in DAMAGES:
        damage(path, how)
    elif how == 'gone':
        path.unlink()
    else:
        shutil.copy(directory / path.name.replace('train', 'test'), path)
    assert is_reported_as_damaged(directory, files)


def test_flipped_bytes_in_a_prepared_file(files, prepared):
    directory = prepared('array_record')
    damage(directory / 'mnist-train.array_record-00000-of-00001', 'flip')
    assert is_reported_as_damaged(directory, files)


@pytest.mark.parametrize('name', [INFO, FEATURES])
@pytest.mark.parametrize('how', ['cut', 'empty', 'zeros', 'html', '{}', '[]', '7', '[' * 100_000])
def test_a_description_of_a_prepared_set_that_is_damaged(files, prepared, name, how):
    directory = prepared('array_record')
    if how in DAMAGES:
        damage(directory / name, how)
    else:
        (directory / name).write_text(how)
    assert is_reported_as_damaged(directory, files)


CHANGES = [{'splits': []}, {'version': 'none'}, {'name': 'other'}, {'fileFormat': 'parquet'}, {'fileFormat': 'tfrecord'}]


@pytest.mark.parametrize('changes', [*CHANGES, 'fewer images'], ids=str)
def test_a_description_of_another_set(files, prepared, changes):
    directory = prepared('array_record')
    text = (directory / INFO).read_text()
    changed = text.replace(f'"{COUNTS["train"]}"', '"7"') if changes == 'fewer images' else json.dumps(json.loads(text) | changes)
    assert changed != text
    (directory / INFO).write_text(changed)
    assert is_reported_as_damaged(directory, files)


def test_a_set_without_the_description_of_its_features(files, prepared):
    directory = prepared('array_record')
    (directory / FEATURES).unlink()
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
    (directory / INFO).unlink()
    assert len(load(directory.parent.parent, files)) == COUNTS['train']


def test_our_own_prepared_set_without_its_description(files, tmp_path):
    """TFDS takes the directory for a prepared data set, and its files may be of another one."""
    load(tmp_path, files)
    shutil.rmtree(tmp_path / 'wgan_jax')
    (tmp_path / 'mnist_idx' / '1.0.0' / INFO).unlink()
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


@pytest.mark.parametrize(
    ('error', 'reason'),
    [(PermissionError(errno.EACCES, 'Permission denied'), 'Permission denied'), (MemoryError(), 'too little memory')],
)
def test_a_prepared_set_that_cannot_be_read_now_is_not_called_damaged(error, reason):
    with pytest.raises(UserError) as caught, tfds_sets._damage_reported('/sets/mnist'):
        raise error
    assert str(caught.value) == (
        f'The data set prepared in /sets/mnist cannot be read ({reason}). It may be intact: give the same command again when that '
        'is mended.'
    )
    for damage in (FileNotFoundError(errno.ENOENT, 'No such file'), OSError('not a gzip file'), ValueError('x')):
        with pytest.raises(UserError, match=r'mnist is damaged \(.*\): delete that directory'), tfds_sets._damage_reported('mnist'):
            raise damage
