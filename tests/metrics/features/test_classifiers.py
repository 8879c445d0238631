"""The classifiers that come with the package, and which one fits which images."""

import io
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from wgan_jax.algorithm.state import named_leaves
from wgan_jax.data import digits, idx
from wgan_jax.errors import UserError
from wgan_jax.metrics.features import classifiers, registry, train_classifier
from wgan_jax.metrics.features.classifiers import SHA256, classifier


@pytest.mark.parametrize('name', SHA256)
def test_the_weights_of_the_package_are_small_and_have_their_hash(name):
    assert (Path(classifiers.__file__).parent / 'weights' / f'{name}.npz').stat().st_size < 1_000_000
    assert classifier(name).weights_sha256 == SHA256[name]


def test_digits_cnn_classifies_digits_that_it_was_not_trained_on():
    """And its features are the inputs of the last layer."""
    network = classifier('digits_cnn')
    features, logits = network.apply(digits.source(split='test').load())
    correct = np.mean(logits.argmax(axis=1) == load_digits().target[digits.numbers('test')])
    np.testing.assert_allclose(correct, 288 / 297, atol=1e-9)
    assert features.shape == (297, network.num_features)
    assert features.min() == 0.0  # after a ReLU
    with np.load(Path(classifiers.__file__).parent / 'weights' / 'digits_cnn.npz') as file:
        kernel, bias = file['params.Dense_1.kernel'], file['params.Dense_1.bias']
    np.testing.assert_allclose(logits, features @ kernel + bias, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif('WGAN_JAX_TEST_DATA' not in os.environ, reason='no real MNIST: WGAN_JAX_TEST_DATA is not set')
def test_mnist_cnn_classifies_digits_that_it_was_not_trained_on():
    directory = Path(os.environ['WGAN_JAX_TEST_DATA']) / 'mnist'
    images, labels = (idx.parse((directory / f't10k-{kind}-ubyte.gz').read_bytes()) for kind in ('images-idx3', 'labels-idx1'))
    _, logits = classifier('mnist_cnn').apply(images[::4, ..., None])
    assert np.mean(logits.argmax(axis=1) == labels[::4]) >= 0.994  # 0.9957 over all images


def test_files_of_weights_are_checked(tmp_path):
    (tmp_path / 'text.npz').write_text('no weights')
    np.savez(tmp_path / 'objects.npz', x=np.array([{}], dtype=object))
    mnist = Path(classifiers.__file__).parent / 'weights' / 'mnist_cnn.npz'
    for path, message in (
        (tmp_path / 'gone.npz', r'gone\.npz cannot be read \(No such file or directory\)'),
        (tmp_path / 'text.npz', r'text\.npz is not a file of weights'),
        (tmp_path / 'objects.npz', r'objects\.npz does not hold weights of this version'),
        (Path('/dev/zero'), r'/dev/zero cannot be read \(it is not a regular file\)'),
        (mnist, r'mnist_cnn\.npz does not hold weights of this version of digits_cnn'),
    ):
        with pytest.raises(UserError, match=message):
            classifier('digits_cnn', path)
    with pytest.raises(UserError, match=r'weights of celeba_attributes do not come with the package: train them'):
        classifier('celeba_attributes')


def zeros(name):
    return jax.tree.map(lambda shape: np.zeros(shape.shape, shape.dtype), classifiers.template(name))


def test_weights_that_claim_terabytes_or_are_not_finite_are_refused(tmp_path):
    arrays = named_leaves(zeros('digits_cnn'))
    name = next(iter(arrays))
    with zipfile.ZipFile(tmp_path / 'huge.npz', 'w') as archive:
        for key, array in arrays.items():
            buffer = io.BytesIO()
            shape = (2**20, 2**20) if key == name else array.shape
            np.lib.format.write_array_header_1_0(buffer, {'descr': '<f4', 'fortran_order': False, 'shape': shape})
            archive.writestr(f'{key}.npy', buffer.getvalue() + array.tobytes())
    with pytest.raises(UserError, match=r'huge\.npz does not hold weights of this version of digits_cnn'):
        classifier('digits_cnn', tmp_path / 'huge.npz')
    arrays[name].flat[1] = np.nan
    np.savez(tmp_path / 'nan.npz', **arrays)
    with pytest.raises(UserError, match=rf'nan\.npz has values that are not finite, in {name}: give another file'):
        classifier('digits_cnn', tmp_path / 'nan.npz')


@pytest.mark.parametrize('compression', [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_weights_that_unpack_to_more_than_they_say_are_not_unpacked(tmp_path, compression):
    arrays = named_leaves(zeros('digits_cnn'))
    name = next(iter(arrays))
    path, claimed = tmp_path / 'bomb.npz', 1000
    with zipfile.ZipFile(path, 'w', compression) as archive:
        for key in arrays:
            archive.writestr(f'{key}.npy', bytes(2**24 if key == name else 100))
    content, size = path.read_bytes(), struct.pack('<I', 2**24)
    assert content.count(size) >= 2
    path.write_bytes(content.replace(size, struct.pack('<I', claimed)))
    tracemalloc.start()
    with pytest.raises(UserError, match=r'bomb\.npz (does not hold weights|is not a file of weights)'):
        classifier('digits_cnn', path)
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


@pytest.mark.parametrize('header', ['{[1]: 2}', "{'a': (", "'''"])
def test_weights_with_a_senseless_header_are_refused(tmp_path, header):
    text = header.ljust(117) + '\n'
    with zipfile.ZipFile(tmp_path / 'weights.npz', 'w') as archive:
        for key in named_leaves(zeros('digits_cnn')):
            archive.writestr(f'{key}.npy', b'\x93NUMPY\x01\x00' + struct.pack('<H', len(text)) + text.encode())
    with pytest.raises(UserError, match=r'is not a file of weights \(an \.npz file of plain arrays\), or is damaged'):
        classifier('digits_cnn', tmp_path / 'weights.npz')


def test_attributes_are_not_classes(tmp_path):
    np.savez(tmp_path / 'weights.npz', **named_leaves(zeros('celeba_attributes')))
    assert classifier('celeba_attributes', tmp_path / 'weights.npz').num_classes is None


@pytest.mark.parametrize(
    ('wanted', 'data_set', 'shape', 'name'),
    [
        (None, 'mnist', (28, 28, 1), 'mnist_cnn'),
        (None, 'celeba', (64, 64, 3), None),
        ('none', 'mnist', (28, 28, 1), None),
        ('inception', 'mnist', (28, 28, 1), 'inception'),
        ('mnist_cnn', 'folder', (28, 28, 1), 'mnist_cnn'),
    ],
)
def test_which_network_fits(wanted, data_set, shape, name):
    assert registry.name_for(wanted, data_set, shape) == name


def test_a_network_that_does_not_fit_is_refused():
    with pytest.raises(UserError, match=r"config\.eval_features='resnet50' is unknown; known: mnist_cnn, .*, none"):
        registry.name_for('resnet50', 'mnist', (28, 28, 1))
    with pytest.raises(UserError, match=r'mnist_cnn takes images of 28x28x1, but these are 64x64x3'):
        registry.name_for('mnist_cnn', 'celeba', (64, 64, 3))


@pytest.mark.slow
def test_training_learns_and_repeats(monkeypatch):
    monkeypatch.setattr(train_classifier, '_BATCH', 32)
    images, labels = digits.source(split='train').load()[:320], load_digits().target[digits.numbers('train')[:320]].astype(np.int32)
    one, other = (train_classifier.train('digits_cnn', images, labels, epochs=4) for _ in range(2))
    for name, array in named_leaves(one).items():
        np.testing.assert_array_equal(array, named_leaves(other)[name], err_msg=name)
    test = digits.source(split='test').load(), load_digits().target[digits.numbers('test')]
    assert train_classifier.accuracy('digits_cnn', one, *test) > 0.5


def test_attributes_are_read(tmp_path):
    (tmp_path / 'list_attr_celeba.txt').write_text('2\nA B C\n000001.jpg -1  1 -1\n000002.jpg  1  1 -1\n')
    rows = train_classifier._read_attributes(tmp_path)
    np.testing.assert_array_equal(rows['000001'], [False, True, False])
    np.testing.assert_array_equal(rows['000002'], [True, True, False])
    with pytest.raises(UserError, match=r'has no list_attr_celeba\.txt'):
        train_classifier._read_attributes(tmp_path / 'nowhere')


def test_weights_are_written_under_the_given_name_or_nothing_is_trained(tmp_path, monkeypatch):
    variables, trained = zeros('digits_cnn'), []
    monkeypatch.setattr(train_classifier, 'accuracy', lambda *arguments: 0.0)
    monkeypatch.setattr(train_classifier, 'train', lambda *arguments: trained.append(arguments) or variables)
    command = ['train_classifier', 'digits_cnn', '--out']
    monkeypatch.setattr('sys.argv', [*command, str(tmp_path / 'weights')])
    train_classifier.main()
    assert [path.name for path in tmp_path.iterdir()] == ['weights']
    assert classifier('digits_cnn', tmp_path / 'weights').num_features == 64
    for out in (tmp_path, tmp_path / 'nowhere' / 'weights.npz'):
        monkeypatch.setattr('sys.argv', [*command, str(out)])
        with pytest.raises(SystemExit, match=r'--out=.* cannot be written'):
            train_classifier.main()
    assert len(trained) == 1


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda path: (path / '000002.jpg').write_bytes(b'no picture'),
            r': 000002\.jpg is not an image in a known format .*: remove',
        ),
        (lambda path: (path / 'list_attr_celeba.txt').write_text('1\nA\n000001.jpg 1\n'), r'txt has no row for 000002\.jpg'),
        (lambda path: (path / 'list_eval_partition.txt').write_text('000001.jpg 0\n000002.jpg 0\n'), 'no images of the test split'),
        (lambda path: (path / 'list_attr_celeba.txt').rename(path / 'list_attr_celeba.zip'), r'\.zip is damaged, or does not hold'),
    ],
)
def test_what_is_wrong_with_the_files_of_celeba_is_said(tmp_path, change, message):
    for name in ('000001', '000002'):
        Image.new('RGB', (178, 218)).save(tmp_path / f'{name}.jpg')
    (tmp_path / 'list_eval_partition.txt').write_text('000001.jpg 0\n000002.jpg 2\n')
    (tmp_path / 'list_attr_celeba.txt').write_text('2\nA\n000001.jpg 1\n000002.jpg -1\n')
    assert train_classifier._read_celeba(tmp_path)[1][1].tolist() == [[False]]
    change(tmp_path)
    with pytest.raises(UserError, match=message):
        train_classifier._read_celeba(tmp_path)
