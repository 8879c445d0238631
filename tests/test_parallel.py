import functools
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.test_steps import GAME, KEY, leaves, make_state
from wgan_jax import parallel, steps
from wgan_jax.data import feed
from wgan_jax.data.plan import index_plan

ROUNDS = {'image_shape': (4, 4, 1), **GAME}


def arguments(state, rounds, gp_weight):
    images = np.random.default_rng(0).integers(0, 256, (24, 16)).astype(np.uint8)
    return state, steps.zero_sums(gp_weight), images, index_plan(0, 0, rounds, 2, 8, 24), np.int32(rounds), KEY


def test_four_devices_are_what_the_tests_run_on():
    assert jax.device_count() == 4


@pytest.mark.parametrize(('batch_norm', 'gp_weight'), [(False, 10.0), (True, 0.0)])
def test_one_device_equals_four(players, double_precision, batch_norm, gp_weight):
    """Same global batch: the same latents, alphas, averaged gradients and batch statistics.

    In float64, for RMSProp and Adam blow up float32's rounding in their first steps.
    """
    state = jax.tree.map(
        lambda leaf: leaf.astype(jnp.float64) if leaf.dtype == jnp.float32 else leaf,
        make_state(players, batch_norm=batch_norm, use_ema=True),
    )
    settings = {'gp_weight': gp_weight, 'ema_decay': 0.9, **ROUNDS}
    state, sums, images, indices, rounds, key = arguments(state, 3, gp_weight)
    one = jax.jit(functools.partial(steps.train_rounds, **settings))(state, sums, images, indices, rounds, key)
    four = parallel.map_rounds(steps.train_rounds, **settings)(
        *parallel.replicate((state, sums, images)), parallel.split_batch(indices), rounds, key
    )
    for x, y in zip(leaves(one), leaves(four), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7)


def test_one_compilation_serves_calls_of_any_number_of_rounds(players):
    traces = []

    def counted(*args, **settings):
        traces.append(1)
        return steps.train_rounds(*args, **settings)

    state, sums, images, indices, _, key = arguments(make_state(players), 4, 0.0)
    run = parallel.map_rounds(counted, **ROUNDS)
    state, sums, images, key = parallel.replicate((state, sums, images, key))
    for rounds in (4, 1, 3):
        state, sums = run(state, sums, images, parallel.split_batch(indices), np.int32(rounds), key)
        jax.block_until_ready(sums)
    assert len(traces) == 1
    assert int(state.step) == 8


def test_the_state_is_donated_and_stays_replicated(players):
    state, sums, images, indices, rounds, key = arguments(make_state(players), 2, 0.0)
    state, sums, images, key = parallel.replicate((state, sums, images, key))
    after, _ = parallel.map_rounds(steps.train_rounds, **ROUNDS)(state, sums, images, parallel.split_batch(indices), rounds, key)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.critic.params))
    for leaf in jax.tree.leaves(after):
        assert leaf.sharding.is_fully_replicated
        assert len(leaf.sharding.device_set) == 4


def test_a_chunk_from_the_host_is_used_where_it_lies_and_gives_the_same_bits(players):
    """Three of five rounds, on four devices; the program gets each argument as it expects it, so that nothing is moved."""
    state, sums, images, indices, _, key = arguments(make_state(players, use_ema=True), 5, 10.0)
    settings = {'gp_weight': 10.0, 'ema_decay': 0.9, **ROUNDS}
    parts = parallel.split_batch(indices)
    chunk = feed.Gatherer(images).gather(parts[:, :3], capacity=5)
    split_images, split_indices = parallel.scatter((chunk, feed.renumbered(parts)))
    rounds = np.int32(3)
    placed = (*parallel.replicate((state, sums)), split_images, split_indices)
    program = parallel.map_rounds(steps.train_rounds, split_images=True, **settings).lower(*placed, rounds, key).compile()
    expected = jax.tree.leaves(program.input_shardings[0][:4])
    for got, wanted in zip(jax.tree.leaves(placed), expected, strict=True):
        assert got.sharding.is_equivalent_to(wanted, got.ndim)
    assert split_images.addressable_shards[0].data.shape == (1, 5 * 2 * 2, 16)
    host = jax.device_get(program(*placed, rounds, parallel.replicate(key)))
    state = make_state(players, use_ema=True)  # the other was donated
    device = parallel.map_rounds(steps.train_rounds, **settings)(
        *parallel.replicate((state, sums, images)), parallel.scatter(parts), rounds, key
    )
    for x, y in zip(leaves(host), leaves(device), strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_cpu_counts_with_its_share_of_the_memory(monkeypatch):
    assert parallel.bytes_per_device() == os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 4

    class Accelerator:
        def memory_stats(self):
            return {'bytes_limit': 80, 'bytes_in_use': 1}

    monkeypatch.setattr(jax, 'local_devices', lambda: [Accelerator()])
    assert parallel.bytes_per_device() == 80


def test_the_batch_is_cut_into_one_part_per_device():
    indices = np.arange(2 * 3 * 8).reshape(2, 3, 8)
    parts = parallel.split_batch(indices)
    assert parts.shape == (4, 2, 3, 2)
    np.testing.assert_array_equal(np.concatenate(parts, axis=-1), indices)
