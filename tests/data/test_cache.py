import numpy as np
import pytest

from wgan_jax.data.cache import cached

IMAGES = np.arange(48, dtype=np.uint8).reshape(3, 4, 4, 1)


def never():
    raise AssertionError('built again')


def test_built_once_then_mapped(tmp_path):
    path = tmp_path / 'deep' / 'set.npy'
    np.testing.assert_array_equal(cached(path, IMAGES.shape, lambda: IMAGES), IMAGES)
    again = cached(path, IMAGES.shape, never)
    assert isinstance(again, np.memmap)
    assert not again.flags.writeable
    np.testing.assert_array_equal(again, IMAGES)


def test_an_interrupted_build_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, 'save', interrupted)
    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path / 'set.npy', IMAGES.shape, lambda: IMAGES)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('content', [b'', b'not an array'])
def test_a_damaged_file_is_built_anew(tmp_path, content):
    path = tmp_path / 'set.npy'
    path.write_bytes(content)
    np.testing.assert_array_equal(cached(path, IMAGES.shape, lambda: IMAGES), IMAGES)


def test_a_file_cut_short_is_built_anew(tmp_path):
    path = tmp_path / 'set.npy'
    cached(path, IMAGES.shape, lambda: IMAGES)
    path.write_bytes(path.read_bytes()[:-1])
    np.testing.assert_array_equal(cached(path, IMAGES.shape, lambda: IMAGES), IMAGES)


def test_where_nothing_can_be_written_the_images_stay_in_memory(tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    images = cached(tmp_path / 'file' / 'sub' / 'set.npy', IMAGES.shape, lambda: IMAGES)
    np.testing.assert_array_equal(images, IMAGES)
    assert 'cannot be written (Not a directory); the data set stays in memory' in capsys.readouterr().out


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch, capsys):
    def full(*args, **kwargs):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(np, 'save', full)
    np.testing.assert_array_equal(cached(tmp_path / 'set.npy', IMAGES.shape, lambda: IMAGES), IMAGES)
    assert list(tmp_path.iterdir()) == []
    assert 'No space left on device' in capsys.readouterr().out


def test_another_shape_than_promised_is_a_bug(tmp_path):
    with pytest.raises(ValueError, match='should hold'):
        cached(tmp_path / 'set.npy', (3, 5, 5, 1), lambda: IMAGES)
    assert list(tmp_path.iterdir()) == []
