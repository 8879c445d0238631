"""The file of a prepared data set that changes while it is mapped."""

import os

import numpy as np
import pytest

from wgan_jax.data import array_file
from wgan_jax.data.array_file import check_unchanged, open_array
from wgan_jax.data.cache import cached, identity
from wgan_jax.errors import LocalError

IMAGES = np.arange(48, dtype=np.uint8).reshape(3, 4, 4, 1)
SHAPE = (4, 4, 1)


@pytest.fixture
def path(tmp_path):
    """A complete file."""
    cached(tmp_path, 'set', SHAPE, 3, lambda: [IMAGES])
    return tmp_path / 'wgan_jax' / 'set.npy'


VIEWS = {
    'whole': lambda images: images,
    'a part as rows': lambda images: images[1:].reshape(2, -1),
    'a part of a part': lambda images: np.asarray(images[1:][:1]),
}


def rewrite(path):
    """Another pixel in the same file, of the same size."""
    with path.open('r+b') as file:
        file.seek(130)
        file.write(b'\xff')


@pytest.mark.parametrize('view', VIEWS.values(), ids=VIEWS)
def test_a_file_that_is_written_to_while_it_is_mapped_is_noticed(path, view):
    images = view(open_array(path, SHAPE))
    check_unchanged(images)
    rewrite(path)
    for _ in range(2):
        with pytest.raises(LocalError, match=r'set\.npy was changed .* \(its pixels do not match their checksum\): remove it, and'):
            check_unchanged(images)


@pytest.mark.parametrize('size', [0, 150, 200])
def test_a_file_of_another_size_is_noticed_before_it_is_read(path, size):
    images = open_array(path, SHAPE)
    os.truncate(path, size)
    with pytest.raises(LocalError, match=rf'\(it has {size} bytes instead of 180\): remove it, and give the same command again'):
        check_unchanged(images)


def test_a_file_with_another_time_is_compared_with_its_checksum_once(path, monkeypatch):
    """Some clusters delete what is old, so users touch their files; nothing is too large to be compared."""
    monkeypatch.setattr(array_file, 'CHECKED_BYTES', 0)
    images, read, original = open_array(path, SHAPE), [], array_file._checksum
    monkeypatch.setattr(array_file, '_checksum', lambda *place: read.append(1) or original(*place))
    for time in (1, 1, 2, 2):
        os.utime(path, (time, time))
        check_unchanged(images)
    assert len(read) == 2


@pytest.mark.parametrize('replace', [True, False])
def test_a_file_that_is_replaced_or_removed_stays_mapped(path, replace):
    images = open_array(path, SHAPE)
    before = identity(images)
    if replace:
        (path.parent / 'other').write_bytes(b'other')
        os.replace(path.parent / 'other', path)
    else:
        path.unlink()
    check_unchanged(images)
    np.testing.assert_array_equal(images, IMAGES)
    assert identity(images) == before


def test_arrays_in_memory_have_no_file():
    check_unchanged(IMAGES)
    check_unchanged(IMAGES[1:])


def test_a_file_is_closed_with_its_array(path):
    count = len(os.listdir('/dev/fd'))
    images = open_array(path, SHAPE)
    assert len(os.listdir('/dev/fd')) > count
    part = images[1:]
    del images
    check_unchanged(part)
    del part
    assert len(os.listdir('/dev/fd')) == count
