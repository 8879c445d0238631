"""How rounds are divided into calls, and the schedule and the placement of images in whole runs."""

import math
import signal
import threading
from contextlib import closing

import jax
import numpy as np
import pytest

from tests import tiny_runs
from tests.tiny_runs import assert_same_run, compile_once, final_state, lines, stop_at, tiny, train
from wgan_jax.algorithm import steps
from wgan_jax.algorithm.schedule import Schedule
from wgan_jax.data import feed
from wgan_jax.data.cache import cached
from wgan_jax.devices import parallel
from wgan_jax.errors import LocalError
from wgan_jax.runs import record
from wgan_jax.runs.build import build
from wgan_jax.training import rounds
from wgan_jax.training.rounds import CALL_SECONDS, MAX_ROUNDS_PER_CALL, Rounds, index_plan, rounds_per_call, rounds_to_boundary

CHUNK_BYTES = 3 * 2 * 8 * 64 + 1  # of three rounds of tiny()


@pytest.mark.parametrize(('step', 'expected'), [(0, 4), (3, 1), (4, 1), (5, 1), (6, 2), (8, 2), (10, 2), (12, 1)])
def test_calls_end_where_something_is_written(step, expected):
    """Every 4, 6 and 5 rounds, and at the end, after 13."""
    assert rounds_to_boundary(step, build(tiny(num_steps=13))) == expected


@pytest.mark.parametrize(('step', 'expected'), [(0, 3), (2, 1), (3, 4), (6, 1), (7, 1), (8, 6), (14, 1), (15, 5), (21, 1)])
def test_calls_end_where_the_number_of_critic_updates_changes(step, expected):
    """Boosted before 3 and at 7, 14 and 21; something is written at 20 and 40."""
    config = tiny(num_steps=40, log_every=20, sample_every=20, checkpoint_every=20)
    config.boost.update(n_critic=9, until=3, every=7)
    assert rounds_to_boundary(step, build(config)) == expected


@pytest.mark.parametrize('placement', ['device', 'host'])
def test_the_critic_updates_of_a_round_may_share_their_images(monkeypatch, placement):
    config = tiny(shared_images=True)
    config.data.placement = placement
    images = np.arange(29 * 64, dtype=np.uint8).reshape(29, 8, 8, 1)
    experiment = build(config)
    with closing(Rounds(experiment, images, 0)) as run:
        chunk, indices = (np.asarray(array) for array in run._prepare(3, 2, 2))
    assert experiment.epochs_before(29, 29) == 8.0
    chunks = [chunk] * len(indices) if placement == 'device' else chunk  # one per device, each with one image of a batch
    seen = np.concatenate([part[rows[:2]] for part, rows in zip(chunks, indices, strict=True)], axis=2)  # [2, 2, 8, 64]
    np.testing.assert_array_equal(seen[:, 0], seen[:, 1])
    np.testing.assert_array_equal(seen[:, 0], images.reshape(29, 64)[index_plan(0, 3, 2, 1, 8, 29)[:, 0]])


def test_calls_are_limited_by_their_time():
    assert rounds_per_call(math.inf) == 1
    assert rounds_per_call(10.0) == 1
    assert rounds_per_call(CALL_SECONDS / 7.5) == 7
    assert rounds_per_call(1e-9) == MAX_ROUNDS_PER_CALL


@pytest.mark.parametrize(
    ('placement', 'expected'),
    [('device', [1, 1, 4, 4, 2, 4, 4]), pytest.param('host', [1, 1, 3, 3, 3, 1, 3, 3, 2], marks=pytest.mark.slow)],
)
def test_calls_of_a_run(monkeypatch, placement, expected):
    """The size of a call is decided one call ahead; a chunk holds three rounds. Nothing moves between devices."""
    monkeypatch.setattr(feed, 'CHUNK_BYTES', CHUNK_BYTES)
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
    assert int(carry[0].critic.step) == experiment.images_before(20) // 8 == 40


def on_host(monkeypatch, **changes):
    """A config of a run whose images stay in host memory, in chunks of three rounds."""
    monkeypatch.setattr(feed, 'CHUNK_BYTES', CHUNK_BYTES)
    config = tiny(**changes)
    config.data.placement = 'host'
    return config


def test_on_the_device_a_changed_file_matters_only_when_it_is_read_again(tmp_path, monkeypatch):
    """A run that goes back after divergence reads it again."""
    monkeypatch.setattr(rounds, 'compile_rounds', compile_once)
    monkeypatch.setattr(rounds, 'rounds_per_call', lambda seconds: 4)
    images = np.random.default_rng(0).integers(0, 256, (29, 8, 8, 1)).astype(np.uint8)
    mapped = cached(tmp_path, 'set', (8, 8, 1), 29, lambda: [images])
    experiment = build(tiny(num_steps=8))

    def trained(run):
        carry = parallel.replicate((experiment.create_state(), steps.zero_sums(10.0)))
        while run.step < 8:
            _, *carry = run.advance(*carry)
        return jax.tree.leaves(carry)

    with closing(Rounds(experiment, images, 0)) as run:
        expected = trained(run)
    with closing(Rounds(experiment, mapped, 0)) as run:
        (tmp_path / 'wgan_jax' / 'set.npy').write_bytes(bytes(128 + 29 * 64 + 4))
        changed = trained(run)
    for x, y in zip(expected, changed, strict=True):
        np.testing.assert_array_equal(x, y)
    with pytest.raises(LocalError, match=r'set\.npy was changed while this run was using it'):
        Rounds(experiment, mapped, 4)


def test_the_placement_of_images_changes_no_bit(tmp_path, straight, monkeypatch):
    """Also if a run is stopped with one placement and continued with the other."""
    host = on_host(monkeypatch)
    train(host, tmp_path / 'host')
    assert_same_run(straight, tmp_path / 'host', host)
    with monkeypatch.context() as stopping:
        stop_at(7, stopping)
        assert train(host, tmp_path / 'both') == signal.SIGTERM
    assert train(tiny(), tmp_path / 'both') is None
    assert_same_run(straight, tmp_path / 'both', tiny())


def boosted(**changes):
    config = tiny(**changes)
    config.boost.update(n_critic=5, until=6, every=4)
    return config


@pytest.mark.slow
def test_a_boosted_run_follows_its_schedule_and_resumes(tmp_path, monkeypatch):
    """Stopped at step 3, among the first boosted rounds. Images per second count every critic update."""
    config, counts, write = boosted(num_steps=14), [], record.RunWriter.metrics

    def metrics(self, step, epoch, means, images_seen, **options):
        counts.append((step, images_seen))
        return write(self, step, epoch, means, images_seen, **options)

    with monkeypatch.context() as patch:
        patch.setattr(record.RunWriter, 'metrics', metrics)
        train(config, tmp_path / 'straight')
    assert counts == [(4, 4 * 5 * 8), (8, (2 * 5 + 2 * 2) * 8), (12, (5 + 3 * 2) * 8), (14, (5 + 2) * 8)]
    _, leaves = final_state(tmp_path / 'straight', config)
    template = jax.eval_shape(build(config).create_state), steps.zero_sums(config.gp_weight)
    state, _ = jax.tree.unflatten(jax.tree.structure(template), leaves)
    assert int(state.step) == 14
    assert int(state.critic.step) == Schedule(2, 5, 6, 4).updates_before(14) == 8 * 5 + 6 * 2  # rounds 0-5, 8 and 12
    with monkeypatch.context() as stopping:
        stop_at(3, stopping)
        assert train(config, tmp_path / 'stopped') == signal.SIGTERM
    assert train(config, tmp_path / 'stopped') is None
    assert_same_run(tmp_path / 'straight', tmp_path / 'stopped', config)


def test_nothing_is_compiled_in_the_middle_of_a_run(tmp_path, monkeypatch):
    """The program of a later kind of round is compiled at the start; that of a kind which is over is not compiled."""
    compiled, compiled_before, advance = [], [], Rounds.advance

    def count(experiment, shape, n_critic, **settings):
        compiled.append(n_critic)
        return compile_once(experiment, shape, n_critic, **settings)

    def note(self, *carry):
        compiled_before.append(tuple(compiled))
        return advance(self, *carry)

    monkeypatch.setattr(tiny_runs, 'compile_once', count)
    monkeypatch.setattr(Rounds, 'advance', note)
    for config in (boosted(num_steps=8), boosted(num_steps=10)):
        config.boost.every = None
        train(config, tmp_path)
    assert set(compiled_before) == {(2, 5), (2, 5, 2)}


@pytest.mark.parametrize('placement', ['device', 'host'])
def test_an_error_on_the_thread_is_raised_and_the_thread_ends(tmp_path, monkeypatch, placement):
    original = index_plan

    def fail_late(seed, updates, *others):
        if updates >= 8:
            raise OSError('the disk is gone')
        return original(seed, updates, *others)

    monkeypatch.setattr(rounds, 'index_plan', fail_late)
    config = tiny() if placement == 'device' else on_host(monkeypatch)
    with pytest.raises(LocalError, match=r'The images cannot be read \(the disk is gone\). Restore them, and give the same'):
        train(config, tmp_path)
    assert not any(thread.name.startswith('feed') for thread in threading.enumerate())
    assert [line['step'] for line in lines(tmp_path)] == [4]  # the lines before the error are written
