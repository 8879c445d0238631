import itertools
import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import SEEDS, examples
from wgan_jax.algorithm.schedule import Schedule
from wgan_jax.data.plan import index_plan

SCHEDULES = [
    Schedule(5),
    *(Schedule(*values) for values in itertools.product((1, 5), (1, 3, 5, 100), (0, 1, 4, 6, 25, 60), (0, 1, 2, 3, 6, 25, 50))),
]


def brute_force(schedule, step):
    """The loop of the WGAN authors' main.py."""
    boosted = step < schedule.until or (schedule.every > 0 and step % schedule.every == 0)
    return schedule.boosted if boosted and schedule.boosted is not None else schedule.n_critic


def test_the_closed_form_of_a_schedule_is_the_loop():
    for schedule in SCHEDULES:
        updates = [brute_force(schedule, step) for step in range(60)]
        assert [schedule.critic_updates(step) for step in range(60)] == updates, schedule
        assert [schedule.updates_before(step) for step in range(61)] == [0, *itertools.accumulate(updates)], schedule
        for start, stop in itertools.product((0, 3, 26), (27, 60)):
            assert schedule.kinds(start, stop) == set(updates[start:stop]), schedule


def test_rounds_alike_are_alike_and_lead_to_the_end():
    for schedule in SCHEDULES:
        step = calls = 0
        while step < 60:
            rounds = schedule.rounds_alike(step, 60)
            assert rounds > 0
            assert step + rounds <= 60
            assert len({brute_force(schedule, step + i) for i in range(rounds)}) == 1, (schedule, step)
            step, calls = step + rounds, calls + 1
        if not schedule.every:
            assert calls <= 2  # as few as can be


def test_the_authors_schedule_far_out_is_instant():
    schedule = Schedule(5, 100, 25, 500)
    began = time.perf_counter()
    assert schedule.updates_before(10**9) == 5 * 10**9 + 95 * (25 + 10**9 // 500 - 1)
    assert schedule.rounds_alike(10**9 + 1, 2 * 10**9) == 499
    assert time.perf_counter() - began < 0.1


def test_plan_depends_on_the_seed_and_the_updates_before_alone():
    whole = index_plan(3, 0, 12, 2, 4, 25)
    parts = [index_plan(3, 2 * step, rounds, 2, 4, 25) for step, rounds in ((0, 5), (5, 1), (6, 6))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert (whole != index_plan(4, 0, 12, 2, 4, 25)).any()


def test_every_seed_and_every_epoch_has_an_order_of_its_own():
    """So no epoch of one seed is an epoch of another."""
    epochs = np.concatenate([index_plan(seed, 0, 4, 1, 30, 30)[:, 0] for seed in range(4)])
    assert epochs.shape == (16, 30)
    assert len(np.unique(epochs, axis=0)) == 16


@examples(100)
@given(
    schedule=st.builds(Schedule, st.integers(1, 6), st.none() | st.integers(1, 9), st.integers(0, 5), st.integers(0, 4)),
    batch_size=st.integers(1, 20),
    num_images=st.integers(1, 60),
    seed=SEEDS,
)
def test_an_epoch_has_every_image_once_and_runs_on_into_the_next(schedule, batch_size, num_images, seed):
    """Round by round, with whatever number of updates: one stream, cut nowhere."""
    rounds = 12
    parts = [
        index_plan(seed, schedule.updates_before(step), 1, schedule.critic_updates(step), batch_size, num_images)
        for step in range(rounds)
    ]
    stream = np.concatenate([part.reshape(-1) for part in parts])
    assert len(stream) == batch_size * sum(brute_force(schedule, step) for step in range(rounds))
    assert stream.dtype == np.int32
    whole = index_plan(seed, 0, 1, schedule.updates_before(rounds), batch_size, num_images)
    np.testing.assert_array_equal(stream, whole.reshape(-1))
    epochs = np.split(stream, np.arange(num_images, len(stream), num_images))
    for epoch in epochs[:-1]:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(num_images))
    assert len(np.unique(epochs[-1])) == len(epochs[-1])
    assert epochs[-1].min() >= 0
    assert epochs[-1].max() < num_images
    if num_images > 20:  # by chance two orders are the same once in 20! times
        assert len(np.unique(epochs[:-1], axis=0)) == len(epochs) - 1
