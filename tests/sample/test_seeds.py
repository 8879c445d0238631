import argparse

import pytest

from wgan_jax.sample.seeds import parse


def test_numbers_and_ranges_in_their_order():
    assert parse('7') == [7]
    assert parse('0,1,5-9') == [0, 1, 5, 6, 7, 8, 9]
    assert parse('9, 3-3,4294967295') == [9, 3, 4294967295]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', "'' is not a seed: give numbers and ranges, such as 0,1,5-9"),
        ('1,,2', "'' is not a seed"),
        ('-1', "'-1' is not a seed"),
        ('1.5', "'1.5' is not a seed"),
        ('1-2-3', "'1-2-3' is not a seed"),
        ('\u0663', 'is not a seed'),
        ('9-5', "'9-5' is not a range: give the smaller seed first"),
        ('4294967296', r'4294967296 is too large: seeds are less than 2\^32'),
        ('0-4294967295', '4294967296 seeds are too many: at most 1000000'),
    ],
)
def test_invalid_seeds_are_named(text, message):
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        parse(text)
