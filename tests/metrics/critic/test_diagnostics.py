import json

import jax
import numpy as np
import pytest

from tests.algorithm.test_steps import assert_same
from tests.conftest import TinyCritic, TinyGenerator
from tests.metrics.critic.test_estimates import KEY, make_state, random_images
from wgan_jax.algorithm import steps
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.metrics.critic.diagnostics import make_diagnostics
from wgan_jax.metrics.critic.estimates import estimates, program, score
from wgan_jax.metrics.critic.lipschitz import lipschitz
from wgan_jax.metrics.critic.probe import optimality
from wgan_jax.models import make_network

ROUND = {'loss': LOSSES['wasserstein'], 'latent_dim': 3, 'gp_weight': 0.0, 'gp_one_sided': False, 'ema_decay': 0.9}


def finite(value):
    return np.isfinite(np.asarray(value)).all()


def test_a_report_is_all_of_it_and_changes_nothing():
    state = make_state(TinyCritic(batch_norm=True), TinyGenerator(batch_norm=True), clip_value=0.01, use_ema=True)
    train, held_out = random_images(17), random_images(9, seed=1)
    before = jax.tree.map(np.array, state)
    diagnose = make_diagnostics(batch_size=4, clip_value=0.01, num_updates=2, grad_accumulation=1, **ROUND)
    report = diagnose(state, train, held_out, KEY)
    assert_same(state, before)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert diagnose(state, train, held_out, KEY) == report
    game = {'loss': ROUND['loss'], 'latent_dim': 3}
    expected = {
        **estimates(state, train, held_out, KEY, batch_size=4, latent_dim=3),
        **optimality(state, train, KEY, num_updates=2, batch_size=4, **game),
        **lipschitz(state, train, KEY, batch_size=4, clip_value=0.01, **game),
    }
    assert report.pop('layers') == ['Dense_1', 'Dense_0']
    assert report.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(report[name], value)


def test_a_later_state_needs_no_other_program():
    state, train = make_state(TinyCritic()), random_images(16)
    diagnose = make_diagnostics(batch_size=4, clip_value=None, num_updates=1, **ROUND)
    diagnose(state, train, None, KEY)
    compiled = program(score, False)._cache_size()
    later, _ = jax.jit(lambda state: steps.critic_step(state, train[:4], KEY, loss=ROUND['loss'], latent_dim=3))(state)
    diagnose(later, train[:13], train, KEY)
    assert program(score, False)._cache_size() == compiled


@pytest.mark.parametrize(
    ('name', 'side', 'loss'),
    [
        pytest.param('dcgan', 16, 'wasserstein', marks=pytest.mark.slow),
        pytest.param('keras_cnn', 8, 'wasserstein', marks=pytest.mark.slow),
        ('mlp', 4, 'minimax'),
        pytest.param('resnet', 16, 'wasserstein', marks=pytest.mark.slow),
        pytest.param('upsample_cnn', 8, 'non_saturating', marks=pytest.mark.slow),
    ],
)
def test_every_network_can_be_diagnosed(name, side, loss):
    shape = (side, side, 1)
    critic = make_network('critic', shape, name, num_features=2)
    state = make_state(critic, make_network('generator', shape, 'mlp', num_features=2))
    images = random_images(8, shape)
    diagnose = make_diagnostics(batch_size=4, clip_value=0.01, num_updates=1, **{**ROUND, 'loss': LOSSES[loss]})
    report = diagnose(state, images, images, KEY)
    names = report.pop('layers')
    assert names[0] == {'mlp': 'Dense_3'}.get(name, 'Dense_0')
    assert names[-1] == {'mlp': 'Dense_0'}.get(name, 'Conv_0')
    assert len(report['gradient_norms']) == len(names) + 1
    assert len(report['spectral_norms']) == len(report['clipped_shares']) == len(names)
    assert all(finite(value) for value in report.values())
    assert min(report['gradient_norms']) > 0
