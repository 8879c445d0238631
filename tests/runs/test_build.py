import jax
import numpy as np
import pytest

from configs import digits_wgan_gp, toy_wgan_gp
from tests.tiny_runs import tiny
from wgan_jax.devices import compiling
from wgan_jax.errors import UserError
from wgan_jax.runs.build import build, prepare


def changed(generator_norm=None, critic_norm=None, **changes):
    config = digits_wgan_gp.get_config()
    config.update(changes)
    config.generator.norm, config.critic.norm = generator_norm, critic_norm
    return config


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'critic_norm': 'batch'},
            'A gradient penalty is per example, and batch norm in the critic mixes examples: use config.critic',
        ),
        (
            {'grad_accumulation': 2, 'generator_norm': 'batch'},
            'config.grad_accumulation=2 processes a batch in parts, and batch norm',
        ),
        (
            {'grad_accumulation': 2, 'critic_norm': 'batch', 'gp_weight': 0.0},
            'config.grad_accumulation=2 processes a batch in parts',
        ),
    ],
)
def test_batch_norm_is_refused_where_it_changes_the_mathematics(changes, message):
    with pytest.raises(UserError) as caught:
        build(changed(**changes))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize('changes', [{'batch_size': 1}, {'batch_size': 4, 'grad_accumulation': 4, 'batch_norm_per_part': True}])
def test_batch_norm_of_one_example_draws_a_warning(changes, monkeypatch, capsys):
    monkeypatch.setattr(jax, 'device_count', lambda: 1)
    said = {}
    for norm in ('batch', 'layer'):
        prepare(changed(**changes, generator_norm=norm))
        said[norm] = 'Warning: Batch norm of a single example removes most of what' in capsys.readouterr().out
    assert said == {'batch': True, 'layer': False}


def test_the_config_of_the_caller_stays_as_it_is(tmp_path):
    config = digits_wgan_gp.get_config()
    for number, side in enumerate((8, 12)):
        np.save(tmp_path / f'{number}.npy', np.zeros((64, side, side, 1), np.uint8))
        config.data.update(name='array', file=str(tmp_path / f'{number}.npy'), dir=str(tmp_path))
        config.eval_every = None
        assert prepare(config).data.source.image_shape == (side, side, 1)
        assert config.data.image_shape is None


def test_batch_norm_per_part_can_be_requested():
    settings = build(
        changed(generator_norm='batch', critic_norm='layer', grad_accumulation=2, batch_norm_per_part=True)
    ).round_settings
    assert settings['grad_accumulation'] == 2
    state = jax.eval_shape(build(changed(grad_accumulation=2, generator_norm='none', critic_norm='layer')).create_state)
    assert not state.generator.batch_stats


def test_a_generator_that_cannot_reach_its_points_draws_a_warning(capsys):
    config = toy_wgan_gp.get_config()
    prepare(config)
    assert capsys.readouterr().out == ''
    config.generator.bounded = None
    prepare(config)
    assert capsys.readouterr().out == (
        'Warning: This generator ends in tanh and cannot reach all points: set config.generator.bounded=False.\n'
    )


@pytest.mark.parametrize(
    ('flags', 'warns'), [('flags : avx2 avx512_bf16', True), ('flags : avx2 amx_bf16 amx_tile', False), ('', False)]
)
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_bfloat16_on_a_processor_that_gains_nothing_by_it_draws_a_warning(flags, warns, dtype, monkeypatch, capsys):
    monkeypatch.setattr(compiling, '_processor_flags', lambda: flags)
    prepare(tiny(dtype=dtype))
    expected = 'Warning: config.dtype=bfloat16 is not faster than float32 on this processor, which has no AMX, and rounds more: '
    assert capsys.readouterr().out == (f'{expected}set config.dtype=float32.\n' if warns and dtype == 'bfloat16' else '')


def test_intervals_in_epochs_become_rounds():
    """1,797 digits, 16 per round: 113 rounds per epoch. With shared images, 8 per round: 225."""
    changes = {'interval_unit': 'epochs', 'num_steps': 3, 'log_every': 1, 'sample_every': 2, 'checkpoint_every': 1, 'eval_every': 3}
    run = build(tiny(**changes)).in_rounds(1797)
    assert (run.num_steps, *run.outputs[:2], run.outputs.checkpoint_every, run.outputs.eval_every) == (339, 113, 226, 113, 339)
    assert run.in_rounds(1797) == run
    assert build(tiny(**changes, shared_images=True)).in_rounds(1797).num_steps == 3 * 225
    boosted = tiny()
    boosted.boost.update(n_critic=9, until=3)
    assert build(boosted).rounds_per_epoch(1797) == 113
    assert build(boosted).epochs_before(12, 1797) == (3 * 9 + 9 * 2) * 8 / 1797
    assert build(tiny()).in_rounds(1797).num_steps == 12
    with pytest.raises(UserError, match=r'config\.num_steps=\d+ rounds with config\.n_critic=2 are \d+ critic updates'):
        build(tiny(**changes | {'num_steps': 10**8})).in_rounds(1797)
