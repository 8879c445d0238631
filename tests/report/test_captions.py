import pytest

from wgan_jax.report import captions


@pytest.mark.parametrize(
    ('config', 'expected'),
    [
        ({'data.name': 'swiss_roll'}, True),
        ({'data.name': 'digits', 'data.image_shape': None}, False),
        ({'data.name': 'array', 'data.image_shape': '1x1x5'}, True),
        ({'data.name': 'array', 'data.image_shape': '28x28x1'}, False),
        ({'data.name': 'array', 'data.image_shape': '<b>'}, False),
        ({}, False),
    ],
)
def test_the_data_are_points(config, expected):
    assert captions.are_points(config) == expected
