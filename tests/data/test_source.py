import numpy as np
import pytest

from wgan_jax.data import SOURCES, make_source
from wgan_jax.data.toys import TOYS
from wgan_jax.errors import UserError


def test_a_fraction_is_the_first_part():
    whole, part = (make_source('digits', fraction) for fraction in (1.0, 0.01))
    assert (whole.num_images, part.num_images) == (1797, 18)
    np.testing.assert_array_equal(part.load(), whole.load()[:18])


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'fraction': 0.0}, r'config\.data\.fraction=0\.0 must be greater than 0 and at most 1'),
        ({'fraction': 1.5}, r'config\.data\.fraction=1\.5 must be'),
        (
            {'crop': 140},
            r'config\.data\.crop=140 does not apply to config\.data\.name=digits, which takes only split: set it to None',
        ),
    ],
)
def test_options_that_make_no_sense(changes, message):
    with pytest.raises(UserError, match=message):
        make_source('digits', **changes)


@pytest.mark.parametrize(
    ('name', 'changes', 'message'),
    [
        ('celeba', {'crop': 179}, r'config\.data\.crop=179 must be from 1 to 178'),
        ('celeba', {'split': 'dev'}, r"config\.data\.split='dev' is unknown; known: train, validation, test, all"),
        ('celeba', {'image_size': 0}, r'config\.data\.image_size=0 must be greater than 0'),
        ('folder', {'channels': 4}, r'config\.data\.channels=4 is unknown; known: 1, 3'),
        ('folder', {'holdout': 1.0}, r'config\.data\.holdout=1\.0 must be at least 0 and less than 1'),
        (
            'mnist',
            {'image_size': 32},
            r'config\.data\.image_size=32 does not apply to config\.data\.name=mnist, which takes only dir, manual_dir, split',
        ),
    ],
)
def test_values_are_checked_before_anything_is_read(name, changes, message):
    with pytest.raises(UserError, match=message):
        make_source(name, **changes)


def test_an_unknown_data_set():
    with pytest.raises(UserError, match=r"config\.data\.name='imagenet' is unknown; known: celeba, digits, folder, lsun_bedroom"):
        make_source('imagenet')


def test_shapes_and_numbers_are_known_without_reading():
    assert make_source('mnist')[:2] == ((28, 28, 1), 60000)
    assert make_source('mnist', split='test')[:2] == ((28, 28, 1), 10000)
    assert make_source('celeba')[:2] == ((64, 64, 3), 162770)
    assert make_source('celeba', split='all')[:2] == ((64, 64, 3), 202599)
    assert make_source('celeba', manual_dir='somewhere')[:2] == ((64, 64, 3), None)
    assert make_source('lsun_bedroom', image_size=128)[:2] == ((128, 128, 3), 3033042)
    assert make_source('folder', image_size=32, channels=1)[:2] == ((32, 32, 1), None)
    assert make_source('swiss_roll')[:2] == ((1, 1, 2), 65536)
    assert SOURCES.keys() == {'celeba', 'digits', 'folder', 'lsun_bedroom', 'mnist', *TOYS}


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
        ('folder', {'holdout': 0.2, 'image_size': 32}, None),
    ],
)
def test_the_held_out_images_do_not_depend_on_the_fraction(name, options, number):
    source = make_source(name, **options)
    assert source.held_out()[:2] == (source.image_shape, number)


def test_splits_without_held_out_images():
    assert make_source('digits').held_out is None
    assert make_source('celeba', split='all').held_out is None
    assert make_source('folder', holdout=0.0).held_out is None
