import numpy as np
import pytest

from configs import digits_wgan, digits_wgan_gp
from configs.sweeps.lucic import get_space
from wgan_jax.errors import UserError
from wgan_jax.runs.settings import draw, grid, read_space

CONFIG = digits_wgan_gp.get_config()


def test_a_grid_has_all_combinations_with_values_of_the_keys_types():
    settings = grid(CONFIG, ['gp_weight=1,1e1', 'critic.norm=layer,None', 'gp_one_sided=true'])
    assert settings == {
        f'gp_weight={weight:g},critic.norm={norm},gp_one_sided=True': {
            'gp_weight': weight,
            'critic.norm': norm,
            'gp_one_sided': True,
        }
        for weight in (1.0, 10.0)
        for norm in ('layer', None)
    }


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['gp_weigt=1'], "there is no key 'gp_weigt' in the config; did you mean 'gp_weight'?"),
        (['critic=1'], 'config.critic is a section; set a key in it.'),
        (['n_critic.x=1'], "there is no key 'n_critic.x' in the config; configs/default.py lists every key."),
        (['gp_weight'], '--set=gp_weight must be KEY=VALUE,VALUE,...'),
        (['gp_weight=a'], '--set gp_weight=a: the values of this key are numbers.'),
        (['n_critic=1.5'], '--set n_critic=1.5: the values of this key are whole numbers.'),
        (['gp_one_sided=maybe'], '--set gp_one_sided=maybe: the values of this key are True or False.'),
        (['seed=1'], 'The seeds of a group are given with --seeds.'),
        (['gp_weight=1,1.0'], '--set gives gp_weight=1 twice: give each value once.'),
        (['gp_weight=1', 'gp_weight=2'], '--set names gp_weight twice: give all its values in one option.'),
    ],
)
def test_a_wrong_grid_is_answered_in_one_sentence(options, message):
    with pytest.raises(UserError) as caught:
        grid(CONFIG, options)
    assert str(caught.value).startswith(message)


def test_a_key_that_the_config_sets_may_be_unset():
    config = digits_wgan.get_config()
    assert config.clip_value is not None
    assert [one['clip_value'] for one in grid(config, ['clip_value=None,0.01'], ['clip_value']).values()] == [None, 0.01]
    assert draw(config, {'clip_value': ('choice', None)}, 1, 0, ['clip_value']) == {'draw_0': {'clip_value': None}}
    with pytest.raises(UserError, match=r'--set gp_weight=None: the values of this key are numbers'):
        grid(config, ['gp_weight=None'], ['clip_value'])


def test_numbers_that_rmsprop_does_not_have_are_refused():
    config = CONFIG.copy_and_resolve_references()
    config.critic_optimizer.name = 'rmsprop'
    with pytest.raises(UserError, match=r'--set critic_optimizer\.b2 changes nothing: rmsprop has no b1, and its decay is always'):
        grid(config, ['critic_optimizer.b2=0.9,0.99'])
    assert len(grid(config, ['critic_optimizer.learning_rate=1e-4,1e-3', 'generator_optimizer.b1=0,0.5'])) == 4
    with pytest.raises(UserError, match=r'The space of critic_optimizer\.b1 changes nothing: rmsprop has no b1'):
        draw(config, {'generator_optimizer.b1,critic_optimizer.b1': ('uniform', 0.0, 1.0)}, 1, 0)
    assert [len(draw(config, get_space(config), 1, 0)['draw_0']), len(draw(CONFIG, get_space(CONFIG), 1, 0)['draw_0'])] == [4, 6]


def test_the_optimizer_of_the_setting_decides_which_numbers_there_are():
    rmsprop = digits_wgan.get_config()
    assert rmsprop.critic_optimizer.name == 'rmsprop'
    adam = ['critic_optimizer.name=adam', 'critic_optimizer.b1=0,0.5']
    assert [one['critic_optimizer.b1'] for one in grid(rmsprop, adam).values()] == [0.0, 0.5]
    with pytest.raises(UserError, match=r'--set critic_optimizer\.b1 changes nothing: rmsprop has no b1'):
        grid(CONFIG, ['critic_optimizer.name=adam,rmsprop', 'critic_optimizer.b1=0,0.5'])
    space = {'critic_optimizer.name': ('choice', 'adam', 'rmsprop'), 'critic_optimizer.b1': ('uniform', 0.0, 1.0)}
    assert {one['critic_optimizer.name'] for one in draw(rmsprop, space, 20, 0).values()} == {'adam', 'rmsprop'}


def test_a_seed_of_the_draws_must_be_one():
    with pytest.raises(UserError, match=r'^config\.seed=9+ must be at least 0 and less than 2\^32\.$'):
        draw(CONFIG, get_space(CONFIG), 1, 99999999999999999999)


def test_random_settings_depend_on_the_seed_only():
    few, more, other = (list(draw(CONFIG, get_space(CONFIG), *args).values()) for args in ((3, 0), (200, 0), (3, 1)))
    assert few == more[:3] != other
    rates = np.array([one['critic_optimizer.learning_rate'] for one in more])
    assert all(one['generator_optimizer.learning_rate'] == one['critic_optimizer.learning_rate'] for one in more)
    assert 1e-5 < rates.min() < 2e-5 < 5e-3 < rates.max() < 1e-2
    np.testing.assert_allclose(np.median(np.log10(rates)), -3.5, atol=0.3)  # the standard error is 0.08
    assert {one['n_critic'] for one in more} == {1, 5}
    assert set(more[0]) == {
        'n_critic',
        'gp_weight',
        *(f'{p}_optimizer.{k}' for p in ('generator', 'critic') for k in ('learning_rate', 'b1')),
    }
    assert 'clip_value' in get_space(digits_wgan.get_config())


@pytest.mark.parametrize(
    ('space', 'message'),
    [
        ({'gp_weight': ('uniform', 2.0, 1.0)}, "The space of gp_weight is ('uniform', 2.0, 1.0): give (uniform, low, high)"),
        ({'gp_weight': ('log_uniform', 0.0, 1.0)}, 'with low above 0'),
        ({'gp_weight': ('normal', 0.0, 1.0)}, 'The space of gp_weight is'),
        ({'gp_weight': ('choice',)}, 'The space of gp_weight is'),
        ({'gp_weight': ('uniform', None, 1)}, "The space of gp_weight is ('uniform', None, 1): give (uniform, low, high)"),
        ({'gp_weight': ('uniform', '1', '2')}, "The space of gp_weight is ('uniform', '1', '2')"),
        ({'gp_weight': ('uniform', 0, float('inf'))}, "The space of gp_weight is ('uniform', 0, inf)"),
        ({'gp_weight': ('choice', None)}, 'The space of gp_weight has the value None, and the values of this key have the type'),
        ({'nothing': ('choice', 1)}, "there is no key 'nothing' in the config; configs/default.py lists every key."),
        ({'n_critic': ('choice', 'a')}, "The space of n_critic has the value 'a', and the values of this key have the type int."),
    ],
)
def test_a_wrong_space_is_answered_in_one_sentence(space, message):
    with pytest.raises(UserError) as caught:
        draw(CONFIG, space, 1, 0)
    assert message in str(caught.value)


def test_whole_numbers_may_stand_for_numbers():
    assert 1 < draw(CONFIG, {'gp_weight': ('uniform', np.int64(1), np.float32(5))}, 1, 0)['draw_0']['gp_weight'] < 5
    assert draw(CONFIG, {'gp_weight': ('choice', 3)}, 1, 0) == {'draw_0': {'gp_weight': 3.0}}


def test_a_file_that_has_no_space_is_answered_in_one_sentence(tmp_path):
    (tmp_path / 'space.py').write_text('def get_space():\n    return {}\n')
    with pytest.raises(UserError, match=r'space\.py cannot be loaded \(TypeError: .*\); see configs/sweeps/lucic\.py'):
        read_space(str(tmp_path / 'space.py'), CONFIG)
