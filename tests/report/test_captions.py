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


def test_an_own_loss_is_not_called_cross_entropy():
    for name in ('critic_loss', 'generator_loss', 'real_score'):
        assert 'ross-entropy' not in captions.quantity(name, {'loss': 'least_squares'})
        assert 'log' not in captions.quantity(name, {'loss': 'least_squares'})
    assert captions.quantity('critic_loss', {'loss': 'minimax'}).startswith('Cross-entropy')


def test_an_own_score_whose_name_begins_like_a_known_one_is_not_that_one():
    assert captions.score_in_words('fidelity_1k') == 'fidelity_1k'
    assert captions.score_in_words('fid_10k') == 'FID'
    assert captions.score_in_words('fd_mnist_cnn_10k') == 'Fréchet distance'
