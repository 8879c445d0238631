"""How rounds are cut into calls, and what the schedule and the placement do to whole runs."""

import math
import signal
import threading

import jax
import numpy as np
import pytest

from configs import digits_wgan
from tests.tiny_runs import assert_same_run, final_state, lines, stop_at, tiny, train
from wgan_jax.algorithm import steps
from wgan_jax.algorithm.schedule import Schedule
from wgan_jax.data import feed
from wgan_jax.devices import parallel
from wgan_jax.errors import LocalError
from wgan_jax.runs import record
from wgan_jax.runs.experiment import build
from wgan_jax.training import rounds
from wgan_jax.training.rounds import (
    CALL_SECONDS,
    MAX_ROUNDS_PER_CALL,
    Rounds,
    compile_rounds,
    index_plan,
    rounds_per_call,
    rounds_to_boundary,
)


@pytest.mark.parametrize(('step', 'expected'), [(0, 4), (3, 1), (4, 1), (5, 1), (6, 2), (8, 2), (10, 2), (12, 1)])
def test_calls_end_where_something_is_written(step, expected):
    """Intervals 4, 6 and 5, the end at 13."""
    assert rounds_to_boundary(step, build(tiny(num_steps=13))) == expected


@pytest.mark.parametrize(('step', 'expected'), [(0, 3), (2, 1), (3, 4), (6, 1), (7, 1), (8, 6), (14, 1), (15, 5), (21, 1)])
def test_calls_end_where_the_number_of_critic_updates_changes(step, expected):
    """Boosted before 3 and at 7, 14 and 21; something is written at 20 and 40."""
    config = tiny(num_steps=40, log_every=20, sample_every=20, checkpoint_every=20)
    config.boost.update(n_critic=9, until=3, every=7)
    assert rounds_to_boundary(step, build(config)) == expected


def test_calls_are_cut_by_their_time():
    assert rounds_per_call(math.inf) == 1
    assert rounds_per_call(10.0) == 1
    assert rounds_per_call(CALL_SECONDS / 7.5) == 7
    assert rounds_per_call(1e-9) == MAX_ROUNDS_PER_CALL


@pytest.mark.parametrize(('placement', 'expected'), [('device', [1, 1, 4, 4, 2, 4, 4]), ('host', [1, 1, 3, 3, 3, 1, 3, 3, 2])])
def test_calls_of_a_run(monkeypatch, placement, expected):
    """The size of a call is decided one call ahead; a chunk holds three rounds. On the devices nothing has to move."""
    monkeypatch.setattr(feed, 'CHUNK_BYTES', 3 * 2 * 8 * 64 + 1)
    monkeypatch.setattr(rounds, 'rounds_per_call', lambda seconds: 1 if seconds == math.inf else 4)
    config = tiny(num_steps=20, log_every=12, sample_every=12, checkpoint_every=12)
    config.data.placement = placement
    experiment = build(config)
    images = np.random.default_rng(0).integers(0, 256, (29, 8, 8, 1)).astype(np.uint8)
    run = Rounds(experiment, images, 0)
    carry = parallel.replicate((experiment.create_state(), steps.zero_sums(config.gp_weight)))
    sizes = []
    while run.step < config.num_steps:
        with jax.transfer_guard_device_to_device('disallow'):
            count, *carry = run.advance(*carry)
        sizes.append(count)
    run.close()
    assert sizes == expected
    assert int(carry[0].critic.step) == run.images_before(20) // 8 == 40


def test_where_the_images_live_changes_no_bit(tmp_path, monkeypatch):
    """Also when a run is stopped under one placement and continued under the other."""
    config, host = tiny(num_steps=12), tiny(num_steps=12)
    host.data.placement = 'host'
    monkeypatch.setattr(feed, 'CHUNK_BYTES', 3 * 2 * 8 * 64)  # three rounds
    train(config, str(tmp_path / 'device'))
    train(host, str(tmp_path / 'host'))
    assert_same_run(tmp_path / 'device', tmp_path / 'host', config)
    with monkeypatch.context() as stopping:
        stop_at(7, stopping)
        assert train(host, str(tmp_path / 'both')) == signal.SIGTERM
    assert train(config, str(tmp_path / 'both')) is None
    assert_same_run(tmp_path / 'device', tmp_path / 'both', config)


def test_a_boosted_run_does_what_its_schedule_says_and_resumes(tmp_path, monkeypatch):
    """Stopped at step 3, in the middle of the first boosted rounds; on four devices and with images in host memory."""
    config = tiny(num_steps=14)
    config.boost.update(n_critic=5, until=6, every=4)
    train(config, str(tmp_path / 'straight'))
    _, leaves = final_state(tmp_path / 'straight', config)
    template = jax.eval_shape(build(config).create_state), steps.zero_sums(config.gp_weight)
    state, _ = jax.tree.unflatten(jax.tree.structure(template), leaves)
    assert int(state.step) == 14
    assert int(state.critic.step) == Schedule(2, 5, 6, 4).updates_before(14) == 8 * 5 + 6 * 2  # rounds 0-5, 8 and 12
    with monkeypatch.context() as stopping:
        stop_at(3, stopping)
        assert train(config, str(tmp_path / 'stopped')) == signal.SIGTERM
    config.data.placement = 'host'
    assert train(config, str(tmp_path / 'stopped')) is None
    assert_same_run(tmp_path / 'straight', tmp_path / 'stopped', config)


def test_images_per_second_counts_every_critic_update(tmp_path, monkeypatch):
    config = tiny(digits_wgan, num_steps=10)
    config.boost.update(n_critic=5, until=3, every=9)
    counts = []
    monkeypatch.setattr(record.RunWriter, 'metrics', lambda self, step, means, images_seen: counts.append((step, images_seen)))
    train(config, str(tmp_path))
    assert counts == [(4, (3 * 5 + 2) * 8), (8, 4 * 2 * 8), (10, (2 + 5) * 8)]


def test_nothing_is_compiled_in_the_middle_of_a_run(tmp_path, monkeypatch):
    """A kind of round that comes late is compiled before; one that is over is not compiled at all."""
    compiled, steps_then = [], []
    original, advance = compile_rounds, Rounds.advance

    def count(experiment, shape, n_critic, **settings):
        compiled.append(n_critic)
        return original(experiment, shape, n_critic, **settings)

    def note(self, *carry):
        steps_then.append((self.step, tuple(compiled)))
        return advance(self, *carry)

    monkeypatch.setattr(rounds, 'compile_rounds', count)
    monkeypatch.setattr(Rounds, 'advance', note)
    config = tiny(digits_wgan, num_steps=6)
    config.boost.update(n_critic=3, until=2)
    train(config, str(tmp_path))
    assert {kinds for _, kinds in steps_then} == {(2, 3)}
    compiled.clear()
    config.num_steps = 8
    train(config, str(tmp_path))
    assert compiled == [2]


@pytest.mark.parametrize('placement', ['device', 'host'])
def test_an_error_on_the_thread_is_told_and_the_thread_ends(tmp_path, monkeypatch, placement):
    original = index_plan

    def fail_late(seed, updates, *others):
        if updates >= 8:
            raise OSError('the disk is gone')
        return original(seed, updates, *others)

    monkeypatch.setattr(rounds, 'index_plan', fail_late)
    config = tiny(digits_wgan, num_steps=12)
    config.data.placement = placement
    with pytest.raises(LocalError, match=r'The images cannot be read \(the disk is gone\). Restore them, and give the same'):
        train(config, str(tmp_path))
    assert not any(thread.name.startswith('feed') for thread in threading.enumerate())
    assert [line['step'] for line in lines(tmp_path)] == [4]  # what came before it is written
