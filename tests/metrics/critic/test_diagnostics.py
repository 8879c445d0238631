import json

import jax
import numpy as np
import pytest

from tests.algorithm.test_steps import assert_same
from tests.conftest import TinyGenerator
from tests.metrics.critic.test_estimates import KEY, TrainModeCritic, critic_step, make_state, random_images
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.metrics.critic.diagnostics import make_diagnostics
from wgan_jax.metrics.critic.estimates import estimates, program, score
from wgan_jax.metrics.critic.lipschitz import lipschitz
from wgan_jax.metrics.critic.probe import optimality
from wgan_jax.models import make_network

ROUND = {'loss': LOSSES['wasserstein'], 'latent_dim': 3, 'gp_weight': 0.0, 'gp_one_sided': False}


@pytest.mark.slow
def test_a_report_has_all_results_and_changes_nothing():
    state = make_state(TrainModeCritic(), TinyGenerator(batch_norm=True))
    train, held_out = random_images(17), random_images(9, seed=1)
    before = jax.tree.map(np.array, state)
    diagnose = make_diagnostics(batch_size=4, clip_value=0.01, num_updates=2, grad_accumulation=1, **ROUND)
    report = diagnose(state, train, held_out, KEY)
    assert_same(state, before)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    game = {'loss': ROUND['loss'], 'latent_dim': 3}
    expected = {
        **estimates(state, train, held_out, KEY, batch_size=4, latent_dim=3),
        **optimality(state, train, KEY, num_updates=2, batch_size=4, **game),
        **lipschitz(state, train, KEY, batch_size=4, clip_value=0.01, **game),
    }
    compiled = program(score, False)._cache_size()
    later, _ = critic_step(**game)(state, train[:4], KEY)
    assert diagnose(later, train[:13], train, KEY) != report
    assert program(score, False)._cache_size() == compiled, 'a later state needs another program'
    assert report.pop('layers') == ['Dense_1', 'Dense_0']
    assert report.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(report[name], value)


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'side'), [('dcgan', 16), ('keras_cnn', 8), ('mlp', 4), ('resnet', 16), ('upsample_cnn', 8)])
def test_every_network_can_be_diagnosed(name, side):
    shape = (side, side, 1)
    critic = make_network('critic', shape, name, num_features=2)
    state = make_state(critic, make_network('generator', shape, 'mlp', num_features=2))
    images = random_images(8, shape)
    diagnose = make_diagnostics(batch_size=4, clip_value=0.01, num_updates=1, **{**ROUND, 'loss': LOSSES['minimax']})
    report = diagnose(state, images, images, KEY)
    names = report.pop('layers')
    assert len(report['gradient_norms']) == len(names) + 1
    assert len(report['spectral_norms']) == len(report['clipped_shares']) == len(names)
    assert all(np.isfinite(np.asarray(value)).all() for value in report.values())
    assert min(report['gradient_norms']) > 0
