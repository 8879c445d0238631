import json

import pytest

from configs import default
from wgan_jax.errors import UserError
from wgan_jax.runs.config import check, flatten
from wgan_jax.runs.resume import check_resumable


def changed(**changes):
    """The default config with {'critic__norm': 'batch'} set at critic.norm."""
    config = default.get_config()
    config.update_from_flattened_dict({name.replace('__', '.'): value for name, value in changes.items()})
    return config


def test_the_default_is_valid_and_draws_no_warning():
    assert check(default.get_config(), num_devices=4) == []


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'dtype': 'float16'}, "config.dtype='float16' rounds the gradients of a critic to 0"),
        ({'dtype': 'float64'}, "config.dtype='float64' is unknown; known: float32, bfloat16."),
        ({'loss': 'hunge'}, "config.loss='hunge' is unknown; known: minimax, non_saturating, hinge, wasserstein."),
        ({'critic_optimizer__name': 'sgd'}, "config.critic_optimizer.name='sgd' is unknown; known: adam, amsgrad, rmsprop."),
        ({'critic__norm': 'group'}, "config.critic.norm='group' is unknown; known: None, batch, layer, none."),
        ({'interval_unit': 'hours'}, "config.interval_unit='hours' is unknown; known: rounds, epochs."),
        ({'gp_alpha': 'beta'}, "config.gp_alpha='beta' is unknown; known: uniform, normal."),
        ({'gp_alpha': 'normal', 'gp_weight': 0.0}, 'config.gp_alpha=normal needs a gradient penalty: set config.gp_weight=10'),
        ({'standing_batches': 1001}, 'config.standing_batches=1001 must be at most 1000, each of 64 latents.'),
        ({'standing_batches': -1}, 'config.standing_batches=-1 must be 0 or greater.'),
        ({'image_noise': -0.1}, 'config.image_noise=-0.1 must be 0 (no noise) or greater.'),
        ({'image_noise_until': 100}, 'config.image_noise_until=100 needs noise: set config.image_noise=0.1, or None.'),
        ({'critic_optimizer__eps': 0.0}, 'config.critic_optimizer.eps=0.0 must be greater than 0.'),
        (
            {'boost__n_critic': 9, 'boost__until': 3, 'shared_latents': True},
            'config.shared_latents=True needs rounds of equal length, and config.boost.n_critic=9 lengthens some: set',
        ),
        ({'num_steps': 0}, 'config.num_steps=0 must be greater than 0.'),
        ({'n_critic': -1}, 'config.n_critic=-1 must be greater than 0.'),
        ({'boost__n_critic': 0}, 'config.boost.n_critic=0 must be greater than 0.'),
        ({'boost__until': 0}, 'config.boost.until=0 must be greater than 0.'),
        ({'boost__every': -500}, 'config.boost.every=-500 must be greater than 0.'),
        (
            {'boost__n_critic': 100},
            'config.boost.n_critic=100 with config.boost.until=None and config.boost.every=None boosts no round: set',
        ),
        (
            {'boost__until': 25, 'boost__every': 500},
            'config.boost.n_critic=None with config.boost.until=25 and config.boost.every=500 boosts no round',
        ),
        ({'data__placement': 'gpu'}, "config.data.placement='gpu' is unknown; known: auto, device, host."),
        ({'clip_value': 0.0, 'gp_weight': 0.0}, 'config.clip_value=0.0 must be greater than 0.'),
        (
            {'generator_optimizer__learning_rate': float('nan')},
            'config.generator_optimizer.learning_rate=nan is outside float32: use 0, or a size from 1.2e-38 to',
        ),
        ({'generator__num_features': 0}, 'config.generator.num_features=0 must be greater than 0.'),
        ({'gp_weight': -1.0}, 'config.gp_weight=-1.0 must be 0 (no penalty) or greater; the paper uses 10.'),
        ({'critic_optimizer__b1': 1.0}, 'config.critic_optimizer.b1=1.0 must be at least 0 and less than 1.'),
        ({'ema_decay': 1.5}, 'config.ema_decay=1.5 must be at least 0 and less than 1.'),
        ({'critic_optimizer__b2': 0.99999999}, 'must be at least 0 and less than 1 in float32, where it is 1.0.'),
        (
            {'gp_weight': float('inf')},
            'config.gp_weight=inf is outside float32: use 0, or a size from 1.2e-38 to 3.4e+38.',
        ),
        ({'log_every': 2**31}, 'config.log_every=2147483648 must be less than 2^31.'),
        ({'critic__num_layers': 201}, 'config.critic.num_layers=201 must be at most 200: each layer is compiled separately.'),
        (
            {'n_critic': 10**6},
            'config.num_steps=10000 rounds with config.n_critic=1000000 are 10000000000 critic updates: there must be fewer than '
            '2^31.',
        ),
        (
            {'boost__n_critic': 10**6, 'boost__every': 1},
            'rounds with config.n_critic=5 or config.boost.n_critic=1000000 are 10000000000 critic updates',
        ),
        ({'seed': -1}, 'config.seed=-1 must be at least 0 and less than 2^32.'),
        (
            {'clip_value': 0.01},
            'config.clip_value=0.01 and config.gp_weight=10.0 bound the slopes of the critic in more than one way',
        ),
        (
            {'critic__weights': 'spectral'},
            'config.gp_weight=10.0 and config.critic.weights=spectral bound the slopes of the critic in',
        ),
        (
            {'clip_value': 0.01, 'gp_weight': 0.0, 'critic__weights': 'orthogonal'},
            'config.clip_value=0.01 and config.critic.weights=o',
        ),
        ({'critic__weights': 'weird'}, "config.critic.weights='weird' is unknown; known: None, plain, spectral, orthogonal."),
        (
            {'critic__activation': 'gelu'},
            "config.critic.activation='gelu' is unknown; known: None, relu, leaky_relu, max_min, full_sor",
        ),
        ({'critic__power_iterations': 2}, 'config.critic.power_iterations=2 needs config.critic.weights=spectral: set it to None.'),
        ({'critic__power_iterations': 0}, 'config.critic.power_iterations=0 must be greater than 0.'),
        ({'gp_weight': 0.0, 'gp_one_sided': True}, 'set config.gp_weight=10, or gp_one_sided=False.'),
        ({'batch_size': 66}, 'config.batch_size=66 cannot be shared evenly by 4 devices: use a multiple of 4, such as 64.'),
        (
            {'grad_accumulation': 3},
            'config.batch_size=64 cannot be shared evenly by 4 devices, in 3 parts each (config.grad_accumulation): '
            'use a multiple of 12, such as 60.',
        ),
        ({'grad_accumulation': 0}, 'config.grad_accumulation=0 must be greater than 0.'),
        ({'batch_size': 1}, 'config.batch_size=1 cannot be shared evenly by 4 devices: use a multiple of 4, such as 4.'),
    ],
)
def test_nonsense_is_refused_in_one_sentence(changes, message):
    with pytest.raises(UserError) as caught:
        check(changed(**changes), num_devices=4)
    assert message in str(caught.value)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'clip_value': 0.01, 'gp_weight': 0.0, 'critic_optimizer__b1': 0.5}, 'Clipping with adam and b1=0.5 for the critic'),
        ({'clip_value': 0.01, 'gp_weight': 0.0, 'critic_optimizer__learning_rate': 2e-4}, 'a learning rate of 0.0002'),
        ({'gp_weight': 0.0}, 'Nothing bounds the slopes'),
    ],
)
def test_questionable_choices_draw_a_warning(changes, message):
    (warning,) = check(changed(**changes), num_devices=1)
    assert message in warning


def test_the_papers_wgan_draws_no_warning():
    changes = {'clip_value': 0.01, 'gp_weight': 0.0, 'critic_optimizer__name': 'rmsprop', 'critic_optimizer__learning_rate': 5e-5}
    assert check(changed(**changes, critic_optimizer__b1=0.9), num_devices=1) == []


def test_a_resumed_run_may_change_its_outputs_but_not_its_mathematics():
    saved = default.get_config().to_dict()
    check_resumable(
        saved,
        changed(num_steps=5, log_every=7, data__dir='elsewhere', data__placement='host', checkpoints_to_keep=1).to_dict(),
        'runs/x',
    )
    check_resumable(saved, changed(grad_accumulation=2, deterministic=True).to_dict(), 'runs/x')
    with pytest.raises(UserError) as caught:
        check_resumable(saved, changed(seed=2, critic__network='keras_cnn').to_dict(), 'runs/x')
    assert str(caught.value).startswith('runs/x holds a run with another config (critic.network: mlp -> keras_cnn; seed: 0 -> 2):')
    saved['batch_norm_per_part'] = True
    with pytest.raises(UserError, match=r'\(grad_accumulation: 1 -> 2\)'):
        check_resumable(saved, changed(grad_accumulation=2, batch_norm_per_part=True).to_dict(), 'runs/x')


def test_a_tuple_is_saved_as_a_list_and_is_the_same_value():
    now = default.get_config().to_dict()
    now['generator']['widths'] = (64, 32)
    check_resumable(json.loads(json.dumps(now)), now, 'runs/x')
    with pytest.raises(UserError, match=r'generator\.widths: \[64, 32\] -> \[64, 16\]'):
        check_resumable(json.loads(json.dumps(now)), {**now, 'generator': {**now['generator'], 'widths': (64, 16)}}, 'runs/x')


def test_other_flags_draw_a_warning(capsys):
    config = default.get_config().to_dict()
    before, now = ({**config, 'rounding': {'XLA_FLAGS': flags, 'num_devices': 2}} for flags in (None, '--xla_cpu_enable_fast_math'))
    check_resumable(before, now, 'runs/x')
    expected = 'other devices or with other flags (XLA_FLAGS: None -> --xla_cpu_enable_fast_math): the last bits may differ.\n'
    assert capsys.readouterr().out.endswith(expected)
    check_resumable(config, now, 'runs/x')  # a run of before these were recorded
    assert capsys.readouterr().out == ''


def test_flatten_joins_names():
    assert flatten({'a': 1, 'b': {'c': 2, 'd': {'e': None}}}) == {'a': 1, 'b.c': 2, 'b.d.e': None}
