"""Configs that cannot fit into memory are refused before anything is allocated."""

import jax
import pytest

from configs import digits_wgan_gp, folder_wgan_gp
from tests.tiny_runs import compile_once, images_of, prepared, tiny
from wgan_jax.devices import compiling, parallel
from wgan_jax.errors import UserError
from wgan_jax.runs import memory_limits
from wgan_jax.runs.build import build, prepare
from wgan_jax.training import programs, rounds
from wgan_jax.training.programs import compile_rounds
from wgan_jax.training.rounds import Rounds


@pytest.fixture(autouse=True)
def _a_small_machine(monkeypatch):
    monkeypatch.setattr(parallel, 'known_bytes_per_device', lambda: 2**30)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            {'batch_size': 2**24, 'n_critic': 1},  # 2 * 4 * 64 bytes for each of 2^21 images on a device
            'This config needs at least 1.32 GiB of memory per device, and there are 1.00 GiB (real and fake images '
            '1.00 GiB, latents 0.19 GiB, the images of a round 0.13 GiB): change config.batch_size=16777216.',
        ),
        (
            {'latent_dim': 2**26},
            'This config needs at least 3.00 GiB of memory per device, and there are 1.00 GiB (latents 2.00 GiB, '
            'samples 1.00 GiB): change config.latent_dim=67108864 or config.batch_size=8.',
        ),
        ({'n_critic': 2**24}, '(the images of a round 1.06 GiB): change config.n_critic=16777216 or config.batch_size=8.'),
        ({'num_samples': 2**22}, '(samples 1.05 GiB): change config.num_samples=4194304 or config.latent_dim=3.'),
    ],
)
def test_a_config_that_cannot_fit_is_refused(changes, message):
    with pytest.raises(UserError) as caught:
        prepare(tiny(digits_wgan_gp, **changes))
    assert str(caught.value).endswith(message)


def test_the_players_are_counted_with_optimizers_and_average():
    config = tiny(digits_wgan_gp)
    config.critic.num_features = 2**25
    with pytest.raises(UserError) as caught:
        prepare(config)
    # 64 weights, a bias, and a weight of the last layer for each unit; each number thrice
    assert f'the critic {66 * 3 * 4 / 2**5:.2f} GiB' in str(caught.value)
    assert str(caught.value).endswith('change config.critic.num_features=33554432 or config.critic.num_layers=1.')
    state = jax.eval_shape(build(tiny(digits_wgan_gp)).create_state)
    without = jax.eval_shape(build(tiny(digits_wgan_gp, ema_decay=None)).create_state)
    average = memory_limits.num_bytes(without.generator.params) + memory_limits.num_bytes(without.generator.batch_stats)
    assert memory_limits.num_bytes(state) == memory_limits.num_bytes(without) + average


def test_a_data_set_that_must_be_on_the_device_is_counted():
    config = folder_wgan_gp.get_config()
    config.data.update(name='celeba', holdout=None, image_size=128, placement='device')
    source = build(config).data.source
    with pytest.raises(
        UserError, match=r'the data set 7\.45 GiB\): change config\.data\.placement=device or config\.data\.fraction'
    ):
        memory_limits.check(config, source, num_devices=8)
    config.data.placement = 'auto'
    memory_limits.check(config, source, num_devices=8)


def test_a_program_that_does_not_fit_is_refused(monkeypatch):
    memory_limits.check_round(2**28, 2**28, 2**29)
    with pytest.raises(UserError) as caught:
        memory_limits.check_round(2**28, 2**28, 2**29 + 1)
    assert str(caught.value) == (
        'A round needs 0.50 GiB of working memory per device, 0.25 GiB for the state and 0.25 GiB for images, and there are '
        '1.00 GiB: set config.data.placement=host, use fewer or smaller images, or make config.batch_size '
        'smaller, or config.grad_accumulation larger.'
    )
    with pytest.raises(
        UserError, match=r'there are 1\.00 GiB: make config\.batch_size smaller, or config\.grad_accumulation larger\.'
    ):
        memory_limits.check_round(0, 1, 2**30 + 1)
    config = tiny(digits_wgan_gp)
    config.data.placement = 'device'
    experiment, images = prepared(config), images_of(config)
    monkeypatch.setattr(rounds, 'compile_rounds', compile_once)
    monkeypatch.setattr(parallel, 'known_bytes_per_device', lambda: images.nbytes)
    with pytest.raises(UserError, match='A round needs'):
        Rounds(experiment, images, 0)


def test_a_call_has_fewer_rounds_where_a_round_has_many_indices(monkeypatch):
    config = tiny(digits_wgan_gp, num_steps=100, log_every=100, sample_every=100, checkpoint_every=100)
    experiment = build(config)
    monkeypatch.setattr(compiling, 'compile_ahead', lambda run, arguments, deterministic: arguments)
    capacities = []
    for size in (2**24, 4 * 3 * 2 * 8 + 1, 1):  # for all 100 rounds, for three of 2 * 8 indices of 4 bytes, for none
        monkeypatch.setattr(programs, 'PLAN_BYTES', size)
        program = compile_rounds(experiment, (100, 8, 8, 1), 2, on_host=False)
        capacities.append((program.capacity, program.run[3].shape))
    assert capacities == [(rounds, (8, rounds, 2, 1)) for rounds in (100, 3, 1)]
