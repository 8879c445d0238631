import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.algorithm.test_steps import GAME, KEY, leaves, make_state
from tests.conftest import in_float64
from wgan_jax.algorithm import steps
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.optimizers import make_optimizer
from wgan_jax.algorithm.state import create_state
from wgan_jax.data import feed
from wgan_jax.data.plan import index_plan
from wgan_jax.devices import compiling, parallel
from wgan_jax.models import make_network

ROUNDS = {'image_shape': (4, 4, 1), **GAME}
# GAN and WGAN with batch norm over all devices; WGAN-GP with layer norm and an average of the generator. No network has a bias
# before a batch norm, as the MLP would: its gradient is rounding error only, which Adam turns into steps.
GAMES = {
    'gan': ({'loss': 'non_saturating'}, 'dcgan', 'batch', {'name': 'adam', 'learning_rate': 1e-2, 'b1': 0.5, 'b2': 0.999}),
    'wgan': (
        {'loss': 'wasserstein'},
        'dcgan',
        'batch',
        {'name': 'rmsprop', 'learning_rate': 1e-2, 'b1': 0.0, 'b2': 0.9, 'clip_value': 0.05},
    ),
    'wgan_gp': (
        {'loss': 'wasserstein', 'gp_weight': 10.0, 'ema_decay': 0.9},
        'mlp',
        'layer',
        {'name': 'adam', 'learning_rate': 1e-2, 'b1': 0.0, 'b2': 0.9},
    ),
    'hinge': ({'loss': 'hinge'}, 'mlp', 'none', {'name': 'adam', 'learning_rate': 1e-3, 'b1': 0.5, 'b2': 0.999}),
}
OF_CRITIC = {'hinge': {'weights': 'spectral', 'activation': 'leaky_relu'}}


def arguments(state, rounds, gp_weight):
    images = np.random.default_rng(0).integers(0, 256, (24, 16)).astype(np.uint8)
    return state, steps.zero_sums(gp_weight), images, index_plan(0, 0, rounds, 2, 8, 24), np.int32(rounds), KEY


def ten_rounds(game, devices=None, **more):
    """Ten rounds in float64: the leaves of the state and the sums. `devices` None: all, compiled ahead as in a run.

    In float32, RMSProp and Adam amplify rounding too much in their first steps.
    """
    settings, network, norm, optimizer = GAMES[game]
    width = 8 if network == 'mlp' else 2
    critic, generator = (
        make_network(player, (16, 16, 1), network, num_features=width, norm=norm, dtype=jnp.float64, **options)
        for player, options in (('critic', OF_CRITIC.get(game, {})), ('generator', {}))
    )
    plain = {name: value for name, value in optimizer.items() if name != 'clip_value'}
    state = create_state(
        KEY,
        generator,
        critic,
        make_optimizer(**plain),
        make_optimizer(**optimizer),
        latent_dim=3,
        use_ema='ema_decay' in settings,
    )
    state = in_float64(state)
    images = np.random.default_rng(0).integers(0, 256, (24, 256)).astype(np.uint8)
    settings = settings | {'loss': LOSSES[settings['loss']], 'latent_dim': 3, 'image_shape': (16, 16, 1), **more}
    mapped = parallel.map_rounds(steps.train_rounds, devices=devices, **settings)
    indices = index_plan(0, 0, 10, 2, 16, 24)
    sums = steps.zero_sums(settings.get('gp_weight', 0.0))
    if devices is not None:
        parts = np.stack(np.split(indices, len(devices), axis=-1))
        return leaves(mapped(state, sums, images, parts, np.int32(10), KEY))
    whole = jax.ShapeDtypeStruct((jax.device_count(), 10, 2, 16 // jax.device_count()), jnp.int32)
    compiled = compiling.compile_ahead(mapped, (state, sums, images, whole, np.int32(10), KEY))
    state, sums, images, key = parallel.replicate((state, sums, images, KEY))
    return leaves(compiled(state, sums, images, parallel.scatter(parallel.split_batch(indices)), np.int32(10), key))


def assert_close(these, those):
    """Compares two results of ten_rounds."""
    for x, y in zip(these, those, strict=True):
        tolerance = 1e-10 if x.dtype == np.float64 else 1e-6  # sums are float32
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def test_eight_devices_are_what_the_tests_run_on():
    assert jax.device_count() == 8


@pytest.mark.parametrize('game', ['wgan_gp', *(pytest.param(game, marks=pytest.mark.slow) for game in ('gan', 'wgan'))])
def test_one_device_equals_eight(double_precision, game):
    """Same global batch: the same images, latents, alphas, averaged gradients and batch statistics."""
    assert_close(ten_rounds(game), ten_rounds(game, jax.devices()[:1]))


@pytest.mark.slow
@pytest.mark.parametrize('game', GAMES)
def test_one_device_equals_two_and_four(double_precision, game):
    one = ten_rounds(game, jax.devices()[:1])
    for number in (2, 4):
        assert_close(ten_rounds(game, jax.devices()[:number]), one)
    if game == 'wgan_gp':  # no batch norm
        assert_close(ten_rounds(game, jax.devices()[:2], grad_accumulation=4), one)


def test_one_compilation_serves_all_calls_and_the_state_is_donated_and_stays_replicated(players):
    traces = []

    def counted(*args, **settings):
        traces.append(1)
        return steps.train_rounds(*args, **settings)

    state, sums, images, indices, _, key = arguments(make_state(players), 4, 0.0)
    run = parallel.map_rounds(counted, **ROUNDS)
    state, sums, images, key = parallel.replicate((state, sums, images, key))
    for rounds in (4, 1, 3):
        before = state
        state, sums = run(state, sums, images, parallel.split_batch(indices), np.int32(rounds), key)
        jax.block_until_ready(sums)
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(before.critic.params))
    assert len(traces) == 1
    assert int(state.step) == 8
    for leaf in jax.tree.leaves(state):
        assert leaf.sharding.is_fully_replicated
        assert len(leaf.sharding.device_set) == 8


def test_images_from_the_host_give_the_same_bits_and_are_not_moved(players):
    """Three of five rounds, on eight devices; each argument already has the sharding that the program expects."""
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
    assert split_images.addressable_shards[0].data.shape == (1, 5 * 2 * 1, 16)
    host = jax.device_get(program(*placed, rounds, parallel.replicate(key)))
    state = make_state(players, use_ema=True)  # the first one was donated
    device = parallel.map_rounds(steps.train_rounds, **settings)(
        *parallel.replicate((state, sums, images)), parallel.scatter(parts), rounds, key
    )
    for x, y in zip(leaves(host), leaves(device), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_a_copy_of_a_mapped_file_does_not_change_with_the_file(tmp_path, dtype):
    """jax.device_put uses memory that is aligned, as a mapped file is, without a copy, even with may_alias=False."""
    written = np.lib.format.open_memmap(tmp_path / 'a.npy', 'w+', dtype, (300, 64))
    written[:] = 1
    placed = parallel.replicate_copy(np.load(tmp_path / 'a.npy', mmap_mode='r')[1:])
    written[:] = 2
    assert placed.sharding.is_fully_replicated
    assert len(placed.addressable_shards) == 8
    for shard in placed.addressable_shards:
        np.testing.assert_array_equal(np.asarray(shard.data), np.ones((299, 64), dtype))


def test_a_cpu_device_has_its_share_of_the_memory(monkeypatch):
    share = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 8
    assert parallel.bytes_per_device() == share

    class Accelerator:
        def memory_stats(self):
            return {'bytes_limit': 80, 'bytes_in_use': 1}

    monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
    monkeypatch.setattr(jax, 'local_devices', lambda: [Accelerator()])
    assert parallel.bytes_per_device() == parallel.known_bytes_per_device() == 80
    Accelerator.memory_stats = lambda self: None  # as with XLA_PYTHON_CLIENT_ALLOCATOR=platform
    assert parallel.known_bytes_per_device() is None
    assert parallel.bytes_per_device() == share


def test_the_batch_is_cut_into_one_part_per_device():
    indices = np.arange(2 * 3 * 8).reshape(2, 3, 8)
    parts = parallel.split_batch(indices)
    assert parts.shape == (8, 2, 3, 1)
    np.testing.assert_array_equal(np.concatenate(parts, axis=-1), indices)


def test_deterministic_sets_the_compiler_option(monkeypatch):
    """The CPU compiler accepts the option, so its name is right; it has an effect only on a GPU."""
    options = []
    monkeypatch.setattr(jax, 'jit', lambda function, compiler_options: options.append(compiler_options) or function)
    compiling.compiled(len)
    compiling.compiled(len, deterministic=True)
    assert options == [{}, {'xla_gpu_deterministic_ops': True}]
    monkeypatch.undo()
    assert compiling.compiled(lambda x: x + 1, deterministic=True)(1) == 2
    mapped = parallel.map_rounds(lambda state, sums, images, indices, rounds, key, axis_name: (state, sums))
    arguments = [np.zeros(()), np.zeros(()), np.zeros(()), np.zeros((8, 1)), np.zeros(()), np.zeros(())]
    assert compiling.compile_ahead(mapped, arguments, deterministic=True) is not None


def test_independent_calls_are_mapped_over_devices_and_what_each_has():
    numbers = np.arange(2 * jax.device_count(), dtype=np.float32).reshape(jax.device_count(), 2)
    doubled, total = parallel.map_independent(lambda x, y: (2 * x, jnp.sum(y)))(numbers, np.ones((*numbers.shape, 3), np.float32))
    np.testing.assert_array_equal(doubled, 2 * numbers)
    np.testing.assert_array_equal(total, np.full(numbers.shape, 3))


@pytest.mark.parametrize(
    ('quota', 'most', 'expected'), [(None, None, 64), (None, 2, 2), ('max 100000', 99, 64), ('250000 100000', None, 3)]
)
def test_there_are_not_more_devices_than_members_and_cores_that_the_container_may_use(tmp_path, monkeypatch, quota, most, expected):
    if quota is not None:
        (tmp_path / 'cpu.max').write_text(f'{quota}\n')
    chosen = {}
    monkeypatch.setattr(os, 'sched_getaffinity', lambda process: set(range(64)))
    monkeypatch.setattr(parallel, '_QUOTA', tmp_path / 'cpu.max')
    monkeypatch.setattr(jax.config, 'update', chosen.__setitem__)
    monkeypatch.setenv('XLA_FLAGS', '')
    parallel.use_a_device_per_core(most)
    assert chosen == {'jax_num_cpu_devices': expected}
    chosen.clear()
    monkeypatch.setenv('JAX_NUM_CPU_DEVICES', '1')  # the user's own number
    parallel.use_a_device_per_core(most)
    assert chosen == {}
