import re

import pytest

from wgan_jax.data import POINTS, SOURCES, make_source
from wgan_jax.data.source import is_plane, is_points
from wgan_jax.data.toys import TOYS
from wgan_jax.errors import UserError


@pytest.mark.parametrize(
    ('name', 'changes', 'message'),
    [
        ('digits', {'fraction': 0.0}, 'fraction=0.0 must be greater than 0 and at most 1'),
        ('digits', {'fraction': 1.5}, 'fraction=1.5 must be'),
        ('digits', {'crop': 140}, 'crop=140 does not apply to config.data.name=digits, which takes only split: set it to None'),
        ('celeba', {'crop': 179}, 'crop=179 must be from 1 to 178'),
        ('celeba', {'split': 'dev'}, "split='dev' is unknown; known: train, validation, test, all"),
        ('celeba', {'image_size': 0}, 'image_size=0 must be greater than 0'),
        ('folder', {'holdout': 1.0}, 'holdout=1.0 must be at least 0 and less than 1'),
        ('imagenet', {}, "name='imagenet' is unknown; known: array, celeba, digits, folder, lsun_bedroom"),
    ],
)
def test_values_are_checked_before_anything_is_read(name, changes, message):
    with pytest.raises(UserError, match=re.escape(f'config.data.{message}')):
        make_source(name, **changes)


def test_shapes_and_numbers_are_known_without_reading():
    assert make_source('mnist')[:2] == ((28, 28, 1), 60000)
    assert make_source('celeba')[:2] == ((64, 64, 3), 162770)
    assert make_source('celeba', split='all')[:2] == ((64, 64, 3), 202599)
    assert make_source('celeba', manual_dir='somewhere')[:2] == ((64, 64, 3), None)
    assert make_source('lsun_bedroom', image_size=128)[:2] == ((128, 128, 3), 3033042)
    assert make_source('folder', image_size=32, channels=1)[:2] == ((32, 32, 1), None)
    assert make_source('swiss_roll')[:2] == ((1, 1, 2), 65536)
    assert make_source('w1_funnels', dimension=32)[:2] == ((1, 1, 32), 65536)
    assert SOURCES.keys() == {'array', 'celeba', 'digits', 'folder', 'lsun_bedroom', 'mnist', 'w1_funnels', *TOYS}


@pytest.mark.parametrize(
    ('name', 'options', 'number'),
    [
        ('digits', {'split': 'train'}, 297),
        ('digits', {'split': 'train', 'fraction': 0.5}, 297),
        ('digits', {'split': 'test'}, 1500),
        ('mnist', {}, 10_000),
        ('celeba', {}, 19_867),
        ('lsun_bedroom', {'split': 'validation'}, 3_033_042),
        ('swiss_roll', {}, 8192),
        ('w1_funnels', {'dimension': 8, 'funnels': 64}, 8192),
        ('digits', {}, None),
        ('celeba', {'split': 'all'}, None),
        ('folder', {'holdout': 0.0}, None),
    ],
)
def test_the_held_out_images_do_not_depend_on_the_fraction(name, options, number):
    source = make_source(name, **options)
    assert (source.held_out and source.held_out()[:2]) == (number and (source.image_shape, number))


def test_points_are_told_from_images_by_their_shape():
    shapes = [(1, 1, 2), (1, 1, 32), (1, 1, 3), (1, 1, 1), (8, 8, 1), (1, 2, 2)]
    assert [is_points(shape) for shape in shapes] == [True, True, False, False, False, False]
    assert [is_plane(shape) for shape in shapes] == [True, False, False, False, False, False]
    assert {name for name in SOURCES if name not in ('array', 'folder', 'celeba') and is_points(make_source(name).image_shape)} == {
        *POINTS
    }
