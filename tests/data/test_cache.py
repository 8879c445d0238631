import multiprocessing
import threading
import time
import zlib

import numpy as np
import pytest

from wgan_jax.data import cache
from wgan_jax.data.cache import cached, identity
from wgan_jax.disk import only_one
from wgan_jax.errors import UserError

IMAGES = np.arange(48, dtype=np.uint8).reshape(3, 4, 4, 1)
SHAPE = (4, 4, 1)


def blocks():
    yield IMAGES[:2]
    yield IMAGES[2:]


def never():
    raise AssertionError('built again')


def entries(root):
    return sorted(path.name for path in root.rglob('*') if path.is_file())


def test_built_once_then_mapped(tmp_path):
    root = tmp_path / 'deep'
    (root / 'wgan_jax').mkdir(parents=True)
    for name in ('unfinished_set', 'unfinished_other'):  # left by killed processes
        (root / 'wgan_jax' / name).write_bytes(b'half' * 100)
    np.testing.assert_array_equal(cached(root, 'set', SHAPE, 3, blocks), IMAGES)
    again = cached(root, 'set', SHAPE, 3, never)
    assert isinstance(again, np.memmap)
    assert not again.flags.writeable
    np.testing.assert_array_equal(again, IMAGES)
    assert entries(root) == ['set.npy']
    np.testing.assert_array_equal(np.load(root / 'wgan_jax' / 'set.npy'), IMAGES)  # an ordinary file


@pytest.mark.parametrize('error', [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_build_leaves_nothing(tmp_path, error):
    def interrupted():
        yield IMAGES[:1]
        raise error

    with pytest.raises(error):
        cached(tmp_path / 'new', 'set', SHAPE, 3, interrupted)
    assert list(tmp_path.iterdir()) == []


def test_fewer_images_are_enough_only_where_that_is_said(tmp_path):
    for number in (3, 1000, 123_456):  # the header has room for any number of rows
        images = cached(tmp_path, f'part{number}', SHAPE, number, blocks, complete=False)
        np.testing.assert_array_equal(images, IMAGES)
        assert len(cached(tmp_path, f'part{number}', SHAPE, number, never, complete=False)) == 3
    with pytest.raises(ValueError, match='should hold 4 images'):
        cached(tmp_path, 'set', SHAPE, 4, blocks)


def test_another_fingerprint_replaces_the_array(tmp_path):
    cached(tmp_path, 'other', SHAPE, 3, blocks, fingerprint='aa')
    cached(tmp_path, 'set', SHAPE, 3, blocks, fingerprint='aa')
    cached(tmp_path, 'set', SHAPE, 3, blocks, fingerprint='bb')
    assert entries(tmp_path) == ['other-aa.npy', 'set-bb.npy']


def test_where_nothing_can_be_written_the_images_stay_in_memory(tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    images = cached(tmp_path / 'file', 'set', SHAPE, 3, blocks)
    np.testing.assert_array_equal(images, IMAGES)
    assert 'set.npy cannot be written (Not a directory); the data set stays in memory' in capsys.readouterr().out
    with pytest.raises(ValueError, match='should hold 4 images'):
        cached(tmp_path / 'file', 'set', SHAPE, 4, blocks)


def test_a_set_too_large_for_the_disk_is_refused_before_it_is_prepared(tmp_path):
    with pytest.raises(UserError, match=r'cannot be written \(No space left on device\), and 16000000\.0 GB are too much to keep'):
        cached(tmp_path, 'set', SHAPE, 10**15, never)
    assert entries(tmp_path) == []


@pytest.mark.parametrize('block', [np.zeros((3, 5, 5, 1), np.uint8), np.zeros((3, 4, 4, 1), np.float32)])
def test_other_images_than_promised_are_a_bug(tmp_path, block):
    with pytest.raises(ValueError, match='should hold'):
        cached(tmp_path, 'set', SHAPE, 3, lambda: [block])
    assert entries(tmp_path) == []


def _prepare_slowly(root):
    cached(root, 'set', SHAPE, 3, lambda: (time.sleep(0.5), IMAGES)[1:])


def started(path, function, *args):
    """Another process, which has created `path` when this returns."""
    process = multiprocessing.get_context('spawn').Process(target=function, args=args)
    process.start()
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


def test_two_processes_prepare_once(tmp_path, capsys):
    other = started(tmp_path / 'wgan_jax' / 'unfinished_set', _prepare_slowly, tmp_path)
    np.testing.assert_array_equal(cached(tmp_path, 'set', SHAPE, 3, never), IMAGES)
    other.join()
    assert 'Waiting for another process that is preparing data' in capsys.readouterr().out


def test_the_data_directory(monkeypatch, tmp_path):
    assert cache.data_root(str(tmp_path)) == tmp_path
    monkeypatch.setenv('HOME', str(tmp_path))
    assert cache.data_root(None) == tmp_path / 'tensorflow_datasets'


def test_the_identity_changes_with_any_pixel(tmp_path):
    """A part of a file has the checksum of the file, and a part of an array in memory its own."""
    images = np.random.default_rng(0).integers(0, 256, (3000, *SHAPE)).astype(np.uint8)
    before = identity(cached(tmp_path, 'a', SHAPE, 3000, lambda: [images]))
    assert before == identity(images) == {'num_images': 3000, 'crc32': zlib.crc32(images.tobytes())}
    assert identity(cached(tmp_path, 'a', SHAPE, 3000, never)[:10]) == {**before, 'num_images': 10}
    assert identity(images[:10]) == identity(images[:10].copy()) != identity(images[10:20])
    images[1234, 0, 0, 0] ^= 1
    assert identity(cached(tmp_path, 'b', SHAPE, 3000, lambda: [images]))['crc32'] != before['crc32']


def test_the_identity_of_arrays_whose_bytes_lie_elsewhere_or_in_another_order():
    class Foreign:  # such as a tensor of PyTorch
        __array_interface__ = np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1).__array_interface__

    expected = {'num_images': 3, 'crc32': zlib.crc32(bytes(range(12)))}
    images = np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1)
    assert identity(np.asarray(Foreign())) == identity(np.asfortranarray(images)) == expected
    assert identity(images.transpose(0, 2, 1, 3)) != expected


def _hold(path, release):
    with only_one(path, 'is testing'):
        release.wait(60)


def test_those_who_wait_take_turns(tmp_path):
    """The first removes the file on which the others wait; then each of them is alone with a file of its own."""
    path = tmp_path / 'new' / 'unfinished_x'
    release = multiprocessing.get_context('spawn').Event()
    first = started(path, _hold, path, release)
    inside, together = [], []

    def wait():
        with only_one(path, 'is testing'):
            inside.append(1)
            together.append(len(inside))
            time.sleep(0.1)
            inside.pop()

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    release.set()
    for waiting in (first, *threads):
        waiting.join()
    assert together == [1, 1, 1]
    assert entries(tmp_path) == []


def test_without_a_home_directory_the_place_of_data_must_be_given(monkeypatch):
    monkeypatch.setattr(cache, 'home', lambda: None)
    assert str(cache.data_root('/data')) == '/data'
    with pytest.raises(
        UserError, match=r'^This user has no home directory for prepared data: set --config\.data\.dir to a directory'
    ):
        cache.data_root(None)
