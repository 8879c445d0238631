"""Arrays of the user's own: images and points in .npy and .npz files, and what is refused."""

import os
import re
import zipfile

import numpy as np
import pytest

from wgan_jax.data import make_source
from wgan_jax.errors import UserError

IMAGES = np.random.Generator(np.random.Philox(0)).integers(0, 256, (40, 6, 4, 3), np.uint8)


def load(tmp_path, saved, **options):
    """What the data set has of an array that is saved first."""
    np.save(tmp_path / 'file.npy', saved)
    return source(tmp_path, **options).load()


def source(tmp_path, name='file.npy', **options):
    return make_source('array', dir=str(tmp_path / 'prepared'), file=str(tmp_path / name), **options)


def in_order(images):
    return images[np.lexsort(images.reshape(len(images), -1).T)]


def test_images_of_8_bits_are_those_of_the_file(tmp_path):
    images = load(tmp_path, IMAGES, split='all')
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(in_order(images), in_order(IMAGES))
    np.testing.assert_array_equal(load(tmp_path, IMAGES, split='all'), images)  # also from the prepared array
    assert [path.suffix for path in (tmp_path / 'prepared' / 'wgan_jax').iterdir()] == ['.npy']


def test_another_file_in_its_place_is_prepared_again(tmp_path):
    load(tmp_path, IMAGES)
    np.testing.assert_array_equal(in_order(load(tmp_path, 255 - IMAGES, split='all')), in_order(255 - IMAGES))


@pytest.mark.parametrize('limits', [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_floats_are_scaled_by_their_range(tmp_path, limits):
    low, high = limits
    values = (low + IMAGES[..., 0] / 255 * (high - low)).astype(np.float32)
    images = load(tmp_path, values, value_range=f'{low:g},{high:g}', split='all')
    assert images.shape == (40, 6, 4, 1)
    np.testing.assert_array_equal(in_order(images), in_order(IMAGES[..., :1]))


def test_the_held_out_images_are_the_others(tmp_path):
    np.save(tmp_path / 'file.npy', IMAGES)
    train = source(tmp_path, holdout=0.25)
    assert (len(train.load()), len(train.held_out().load())) == (30, 10)
    np.testing.assert_array_equal(in_order(np.concatenate([train.load(), train.held_out().load()])), in_order(IMAGES))
    assert source(tmp_path, holdout=0.0).held_out is None
    assert len(source(tmp_path, holdout=0.25, fraction=0.5).load()) == 15


def test_points_are_not_scaled(tmp_path):
    points = np.random.Generator(np.random.Philox(0)).standard_normal((50, 2))
    loaded = load(tmp_path, points, split='all')
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(in_order(loaded), in_order(points.astype(np.float32).reshape(50, 1, 1, 2)))
    assert not (tmp_path / 'prepared').exists()


def test_an_archive_of_one_array_or_with_a_usual_name(tmp_path):
    np.savez(tmp_path / 'one.npz', anything=IMAGES)
    np.savez_compressed(tmp_path / 'two.npz', y_train=np.zeros(3), x_train=IMAGES)
    np.savez(tmp_path / 'many.npz', first=IMAGES, second=255 - IMAGES)
    for name, array, expected in [('one.npz', None, IMAGES), ('two.npz', None, IMAGES), ('many.npz', 'second', 255 - IMAGES)]:
        images = source(tmp_path, name, array=array, split='all').load()
        np.testing.assert_array_equal(in_order(images), in_order(expected), err_msg=name)


def test_the_arrays_of_an_archive_are_prepared_apart(tmp_path):
    first = {'images': IMAGES, 'only': 255 - IMAGES}
    np.savez(tmp_path / 'two.npz', **first)
    np.savez(tmp_path / 'folders.npz', **{'a/b': IMAGES, 'a_b': 255 - IMAGES})
    for name, arrays in [('two.npz', {None: IMAGES, 'only': 255 - IMAGES}), ('folders.npz', {'a/b': IMAGES, 'a_b': 255 - IMAGES})]:
        for array, expected in arrays.items():
            images = source(tmp_path, name, array=array, split='all').load()
            np.testing.assert_array_equal(in_order(images), in_order(expected), err_msg=f'{name} {array}')


def test_another_file_of_the_same_size_and_time_is_noticed(tmp_path):
    load(tmp_path, IMAGES)
    status = (tmp_path / 'file.npy').stat()
    np.save(tmp_path / 'file.npy', 255 - IMAGES)
    os.utime(tmp_path / 'file.npy', ns=(status.st_atime_ns, status.st_mtime_ns))
    np.testing.assert_array_equal(in_order(source(tmp_path, split='all').load()), in_order(255 - IMAGES))


def test_with_its_shape_a_run_is_opened_without_the_file(tmp_path):
    np.save(tmp_path / 'file.npy', IMAGES)
    found = dict(source(tmp_path).found)
    assert found == {'image_shape': '6x4x3'}
    (tmp_path / 'file.npy').unlink()
    assert source(tmp_path, **found).image_shape == (6, 4, 3)
    np.save(tmp_path / 'file.npy', IMAGES[:, :4])
    with pytest.raises(UserError, match=r'has images of shape \(4, 4, 3\), and config.data.image_shape=6x4x3 says otherwise'):
        source(tmp_path, **found).load()


@pytest.mark.parametrize(
    ('array', 'options', 'message'),
    [
        (np.moveaxis(IMAGES, -1, 1), {}, 'this looks like [N, channels, height, width]: save numpy.moveaxis(images, 1, -1)'),
        (np.zeros((4, 8, 8, 4), np.uint8), {}, 'the last axis is 1 for grey or 3 for colour'),
        (IMAGES / 255, {}, 'holds float64 of shape (40, 6, 4, 3), whose range is not known: say which values are black and white'),
        (IMAGES.astype(np.int64), {}, 'holds int64 of shape (40, 6, 4, 3), whose range is not known'),
        (IMAGES / 255, {'value_range': '-1,0.5'}, 'outside of config.data.value_range=-1,0.5'),
        (np.full((30, 4, 4), np.nan), {'value_range': '0,1'}, 'has a value that is not finite, in row'),
        (np.full((30, 2), np.inf), {}, 'has a value that is not finite, in row'),
        ((IMAGES > 9).astype(np.uint8), {}, 'has no value above 1 of 255: its images are black'),
        (np.zeros((9, 100)), {}, 'points have 2 or 4 to 32 coordinates: reshape images to [N, height, width, channels]'),
        (np.zeros((9, 3)), {}, 'points have 2 or 4 to 32 coordinates'),
        (np.zeros(9, np.uint8), {}, 'images are [N, height, width, channels] or, if grey, [N, height, width]'),
        (np.zeros((0, 8, 8), np.uint8), {}, 'there is nothing in it'),
        (np.array(['a', 'b']), {}, 'images are whole or floating-point numbers'),
        (IMAGES, {'array': 'x'}, 'config.data.array=x names an array of an .npz file, and'),
        (IMAGES, {'value_range': '1,0'}, "config.data.value_range='1,0' must be the values of black and white, such as 0,1"),
        (IMAGES, {'value_range': 'white'}, "config.data.value_range='white' must be"),
        (IMAGES, {'image_shape': '8x8'}, "config.data.image_shape='8x8' must be HEIGHTxWIDTHxCHANNELS, such as 28x28x1"),
        (IMAGES, {'split': 'test', 'holdout': 0.0}, 'has no rows for this split: set a larger config.data.holdout'),
        (IMAGES, {'holdout': 1.0}, 'config.data.holdout=1.0 must be at least 0 and less than 1'),
    ],
)
def test_what_would_train_on_garbage_is_refused(tmp_path, array, options, message):
    with pytest.raises(UserError, match=re.escape(message)):
        load(tmp_path, array, **options)


def test_files_that_are_no_arrays_of_numbers(tmp_path):
    with pytest.raises(UserError, match=r'config\.data\.file is not set'):
        make_source('array')
    np.save(tmp_path / 'objects.npy', np.array([{}], object), allow_pickle=True)
    np.savez(tmp_path / 'objects.npz', x=np.array([{}, 1], object))
    (tmp_path / 'text.npy').write_text('hello')
    np.save(tmp_path / 'short.npy', IMAGES)
    (tmp_path / 'short.npy').write_bytes((tmp_path / 'short.npy').read_bytes()[:-9])
    np.save(tmp_path / 'open.npy', IMAGES)
    (tmp_path / 'open.npy').write_bytes((tmp_path / 'open.npy').read_bytes().replace(b'), }', b' , }', 1))
    np.save(tmp_path / 'huge.npy', IMAGES)
    (tmp_path / 'huge.npy').write_bytes(
        (tmp_path / 'huge.npy').read_bytes().replace(b'(40, 6, 4, 3), }     ', b'(100000000000000000000,), }', 1)[:-5]
    )
    for name in ('objects.npy', 'objects.npz', 'text.npy', 'short.npy', 'open.npy', 'huge.npy'):
        with pytest.raises(UserError, match=f'{name} cannot be read as a .npy or .npz file of numbers, or is damaged'):
            source(tmp_path, name)
    with pytest.raises(UserError, match=r'nothing\.npy cannot be read \(No such file or directory\): check the path'):
        source(tmp_path, 'nothing.npy')


def test_an_archive_is_unpacked_only_once(tmp_path, monkeypatch):
    np.savez(tmp_path / 'file.npz', images=IMAGES)
    first = source(tmp_path, 'file.npz').load()
    monkeypatch.setattr(zipfile.ZipFile, 'read', lambda *arguments: pytest.fail('unpacked again'))
    np.testing.assert_array_equal(source(tmp_path, 'file.npz').load(), first)


def test_an_archive_that_does_not_fit_into_memory(tmp_path, monkeypatch):
    def read(*arguments):
        raise MemoryError

    np.savez(tmp_path / 'file.npz', images=IMAGES)
    monkeypatch.setattr(zipfile.ZipFile, 'read', read)
    with pytest.raises(UserError, match=r'file\.npz holds 0\.0 GB, which are more than the free memory: write it with numpy\.save'):
        source(tmp_path, 'file.npz').load()


def test_a_pipe_and_an_archive_with_a_password_are_refused(tmp_path):
    os.mkfifo(tmp_path / 'pipe.npy')
    with pytest.raises(UserError, match=r'pipe\.npy is no regular file: give a \.npy or \.npz file'):
        source(tmp_path, 'pipe.npy')
    np.savez(tmp_path / 'file.npz', images=IMAGES)
    content = bytearray((tmp_path / 'file.npz').read_bytes())
    content[6] |= 1  # the flag of encryption, in the local header and in the directory
    content[content.index(b'PK\x01\x02') + 8] |= 1
    (tmp_path / 'file.npz').write_bytes(content)
    with pytest.raises(UserError, match=r'file\.npz cannot be read as'):
        source(tmp_path, 'file.npz')


def test_damaged_archives(tmp_path):
    np.savez(tmp_path / 'file.npz', images=IMAGES)
    whole = (tmp_path / 'file.npz').read_bytes()
    (tmp_path / 'file.npz').write_bytes(whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
    with pytest.raises(UserError, match=r'file\.npz cannot be read as .* or is damaged'):
        source(tmp_path, 'file.npz').load()
    with zipfile.ZipFile(tmp_path / 'longer.npz', 'w') as archive:
        np.save(tmp_path / 'file.npy', IMAGES)
        archive.writestr('images.npy', (tmp_path / 'file.npy').read_bytes() + b'more')
    with pytest.raises(UserError, match=r'longer\.npz cannot be read'):
        source(tmp_path, 'longer.npz')
