import os
import shutil
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

from wgan_jax.data import folder
from wgan_jax.errors import UserError


def fill(directory, count=20, size=(16, 16)):
    """Images of one grey level each: i for the i-th."""
    directory.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.new('RGB', size, (i, i, i)).save(directory / f'{i}.png')


def levels(images):
    return sorted(images[:, 0, 0, 0].tolist())


@pytest.fixture
def load(tmp_path):
    """Loads tmp_path/images as 16x16."""
    fill(tmp_path / 'images')

    def load(place='images', **options):
        given = {'image_size': 16, 'holdout': 0.0, **options}
        return folder.source(dir=str(tmp_path / 'sets'), folder=str(tmp_path / place), **given).load()

    return load


def test_every_image_once_in_an_order_that_looks_random(load):
    images = load()
    assert images.shape == (20, 16, 16, 3)
    assert isinstance(images, np.memmap)
    assert levels(images) == list(range(20))
    assert images[:, 0, 0, 0].tolist() != list(range(20))


def test_held_out_images_depend_on_names_alone(load, tmp_path):
    train, test = (levels(load(split=split, holdout=0.3)) for split in ('train', 'test'))
    assert sorted(train + test) == list(range(20))
    assert 0 < len(test) < 20
    fill(tmp_path / 'images', 40)
    more = levels(load(split='test', holdout=0.3))
    assert set(test) <= set(more)
    assert not set(more) & set(train)
    assert levels(load(split='all', holdout=0.3)) == list(range(40))


def test_a_changed_folder_is_noticed_and_the_old_array_goes(load, tmp_path):
    load()
    load(channels=1)
    Image.new('RGB', (16, 16), (200, 200, 200)).save(tmp_path / 'images' / 'new.png')
    assert levels(load()) == [*range(20), 200]
    kept = sorted(path.name.split('-')[3] for path in (tmp_path / 'sets' / 'wgan_jax').glob('*.npy'))
    assert kept == ['16x16x1', '16x16x3']


def test_an_image_replaced_by_one_of_the_same_size_and_time_is_noticed(tmp_path):
    def load():
        return folder.source(dir=str(tmp_path / 'sets'), folder=str(tmp_path / 'images'), image_size=16, holdout=0.0).load()

    fill(tmp_path / 'images')
    picture = tmp_path / 'images' / '7.png'
    load()
    before = picture.stat()
    time.sleep(0.05)  # file systems keep times of the kernel's clock, which has ticks of up to 10 ms
    Image.new('RGB', (16, 16), (8, 8, 8)).save(picture)
    os.utime(picture, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = picture.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert levels(load()) == [*range(7), 8, 8, *range(9, 20)]


def test_a_zip_archive_gives_the_same_images(load, tmp_path):
    with zipfile.ZipFile(tmp_path / 'images.zip', 'w') as archive:
        for path in (tmp_path / 'images').iterdir():
            archive.write(path, path.name)
    np.testing.assert_array_equal(load('images.zip'), load())


def test_unusable_files_are_left_out_and_reported_each_time(load, tmp_path, capsys):
    (tmp_path / 'images' / 'broken.jpg').write_bytes(b'\xff\xd8\xff\xe0broken')
    Image.new('RGB', (7, 7)).save(tmp_path / 'images' / 'tiny.png')
    assert levels(load()) == list(range(20))
    output = capsys.readouterr().out
    assert 'tiny.png is 7x7, less than half of the 16 pixels required' in output
    assert '2 of 22 files' in output
    assert 'left out (1 .' in output
    load()
    assert (
        '.npy: 2 of 22 files are left out, as was said when it was prepared; delete it to prepare it again.'
        in capsys.readouterr().out
    )
    with pytest.raises(UserError, match=r'config\.data\.strict=True requires all: .*broken\.jpg is'):
        load(strict=True)
    os.remove(tmp_path / 'images' / 'broken.jpg')
    os.remove(tmp_path / 'images' / 'tiny.png')
    assert len(load(strict=True)) == 20


@pytest.mark.parametrize(
    ('place', 'message'),
    [
        (None, r'config\.data\.folder is not set: give the directory or zip archive of your images'),
        ('gone', r'config\.data\.folder=.*gone cannot be read \(No such file or directory\): check the path'),
        ('texts', r'No file in .*texts can be used: a\.txt is not an image'),
    ],
)
def test_folders_that_hold_no_images(tmp_path, place, message):
    (tmp_path / 'texts').mkdir()
    (tmp_path / 'texts' / 'a.txt').write_text('no image')
    path = str(tmp_path / place) if place else place
    with pytest.raises(UserError, match=message):
        folder.source(dir=str(tmp_path / 'sets'), folder=path, split='all').load()
    assert not list((tmp_path / 'sets').rglob('*.npy'))


def test_a_folder_that_moves_is_prepared_again_under_another_name(load, tmp_path):
    before = load()
    shutil.move(tmp_path / 'images', tmp_path / 'moved')
    np.testing.assert_array_equal(load('moved'), before)
    assert len(list((tmp_path / 'sets' / 'wgan_jax').glob('*.npy'))) == 2


def test_prepared_images_do_not_go_into_the_folder(tmp_path):
    fill(tmp_path / 'images')
    with pytest.raises(UserError, match=r'images contains .*sets, where prepared images are kept: choose another place'):
        folder.source(dir=str(tmp_path / 'images' / 'sets'), folder=str(tmp_path / 'images')).load()
