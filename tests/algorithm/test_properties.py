"""Rounds of random configurations, seen from outside: by players that record their inputs."""

import functools
import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.algorithm.test_steps import leaves
from tests.conftest import SEEDS, examples
from tests.data.test_plan import brute_force
from wgan_jax.algorithm import steps
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.schedule import Schedule
from wgan_jax.algorithm.state import GANState, PlayerState
from wgan_jax.data.plan import index_plan

LATENT_DIM = 3
SIZES = st.integers(1, 4)
CAPACITY = 6
pytestmark = pytest.mark.usefixtures('module_in_double_precision')


class Pass(NamedTuple):
    """One forward pass on one device: the player's number of updates so far, and its inputs and outputs as rows."""

    device: int
    clock: int
    inputs: np.ndarray
    outputs: np.ndarray


def ticking(rate):
    """Gradient descent on `weights`, and a clock in the parameters that counts updates, independently of the program's counters."""

    def update(gradients, state, params=None):
        return {'weights': -rate * gradients['weights'], 'clock': jnp.ones(())}, state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def generate(weights, latents):
    return (latents @ weights).reshape(-1, 2, 2, 1)


def score(weights, images):
    return jnp.sum(jnp.tanh(images.reshape(images.shape[0], -1) @ weights), axis=-1)


def make_player(function, weights, passes):
    """A player of one matrix; its forward passes are appended to `passes`, in no particular order, unless that is None."""

    def note(device, clock, inputs, outputs):
        rows = [np.array(part).reshape(len(part), -1) for part in (inputs, outputs)]
        passes.append(Pass(int(device), int(clock), *rows))

    def apply_fn(variables, inputs, *, train, axis_name, rngs, mutable):
        outputs = function(variables['params']['weights'], inputs)
        if passes is not None:
            device = 0 if axis_name is None else jax.lax.axis_index(axis_name)
            jax.debug.callback(note, device, variables['params']['clock'], inputs, outputs)
        return outputs, {}

    params = {'weights': weights, 'clock': jnp.zeros(())}
    player = PlayerState.create(apply_fn=apply_fn, params=params, tx=ticking(1e-2), batch_stats={})
    return player.replace(step=jnp.zeros((), jnp.int32))


def make_state(seed, generator_passes=None, critic_passes=None):
    keys = jax.random.split(jax.random.key(seed))
    generator = make_player(generate, jax.random.normal(keys[0], (LATENT_DIM, 4)), generator_passes)
    critic = make_player(score, jax.random.normal(keys[1], (4, 2)), critic_passes)
    return GANState(jnp.zeros((), jnp.int32), critic, generator, None)


def dataset(seed, num_images):
    return np.random.default_rng(seed).integers(0, 256, (num_images, 4)).astype(np.uint8)


def compile_rounds(devices, loss='wasserstein', gp_weight=10.0):
    """train_rounds on several devices, replaced by vmap: (state, images, plan, rounds, key) -> the state of each."""
    game = {'image_shape': (2, 2, 1), 'loss': LOSSES[loss], 'latent_dim': LATENT_DIM, 'gp_weight': gp_weight}
    mapped = jax.jit(
        jax.vmap(
            functools.partial(steps.train_rounds, axis_name='devices', **game),
            in_axes=(None, None, None, 0, None, None),
            axis_name='devices',
            axis_size=devices,
        )
    )

    def run(state, images, plan, rounds, key):
        parts = np.stack(np.split(plan, devices, axis=-1))
        replicas, _ = mapped(state, steps.zero_sums(gp_weight), images, parts, rounds, key)
        jax.effects_barrier()
        return replicas

    return run


def one_of(replicas):
    """The state, which must have the same bits on all devices."""
    for leaf in leaves(replicas):
        np.testing.assert_array_equal(leaf, np.broadcast_to(leaf[:1], leaf.shape))
    return jax.tree.map(lambda leaf: leaf[0], replicas)


@examples(3)
@given(
    schedule=st.builds(Schedule, SIZES, st.none() | SIZES, st.integers(0, 3), st.integers(0, 3)),
    rounds=st.integers(1, CAPACITY),
    batch_size=SIZES,
    devices=SIZES,
    seed=SEEDS,
)
def test_updates_are_as_many_as_the_schedule_says_and_devices_stay_alike(schedule, rounds, batch_size, devices, seed):
    state, images, run = make_state(seed), dataset(seed, 10), compile_rounds(devices, gp_weight=0.0)
    step = 0
    while step < rounds:
        alike = schedule.rounds_alike(step, rounds)
        updates, n_critic = schedule.updates_before(step), schedule.critic_updates(step)
        plan = index_plan(seed, updates, CAPACITY, n_critic, batch_size * devices, len(images))
        state, step = one_of(run(state, images, plan, alike, jax.random.key(seed))), step + alike
    expected = sum(brute_force(schedule, step) for step in range(rounds))
    assert int(state.critic.params['clock']) == int(state.critic.step) == expected
    assert int(state.generator.params['clock']) == int(state.generator.step) == int(state.step) == rounds


@pytest.mark.slow
@examples(2)
@given(n_critic=SIZES, batch_size=SIZES, devices=st.integers(2, 4), seed=SEEDS, loss=st.sampled_from(sorted(LOSSES)))
def test_the_number_of_devices_changes_nothing_but_rounding(n_critic, batch_size, devices, seed, loss):
    plan = index_plan(seed, 0, 2, n_critic, batch_size * devices, 10)
    arguments = make_state(seed), dataset(seed, 10), plan, 2, jax.random.key(seed)
    many, one = (one_of(compile_rounds(n, loss)(*arguments)) for n in (devices, 1))
    for x, y in zip(leaves(many), leaves(one), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-10)


def found_in(rows, pool):
    """For each row, the index of the equal row of `pool`, or -1."""
    distances = np.abs(rows[:, None] - pool[None]).max(axis=-1)
    return np.where(distances.min(axis=1) < 1e-6, distances.argmin(axis=1), -1)  # training reads images in float32


def the_batch(passes, clock, shown):
    """The only batch that a player made after `clock` updates and that is among the rows shown."""
    (batch,) = [one for one in passes if one.clock == clock and (found_in(one.outputs, shown) >= 0).all()]
    return batch


def alphas_of(points, real, fake):
    """The position of each point on its segment from real to fake."""
    towards, along = fake - real, points - real
    alphas = np.sum(along * towards, axis=1) / np.sum(towards**2, axis=1)
    np.testing.assert_allclose(along, alphas[:, None] * towards, atol=1e-9)
    return alphas


@examples(3)
@given(
    rounds=st.integers(1, 3),
    n_critic=SIZES,
    batch_size=SIZES,
    devices=st.integers(1, 3),
    num_images=st.integers(1, 30),
    seed=SEEDS,
)
def test_every_update_sees_latents_alphas_and_images_of_its_own(rounds, n_critic, batch_size, devices, num_images, seed):
    """Recorded by the players, so it does not matter how the program draws noise and passes it on."""
    generator_passes, critic_passes = [], []
    state, key, images = make_state(seed, generator_passes, critic_passes), jax.random.key(seed), dataset(seed, num_images)
    plan = index_plan(seed, 0, rounds, n_critic, batch_size * devices, num_images)
    compile_rounds(devices)(state, images, plan, rounds, key)
    updates = rounds * n_critic
    plan, real_rows = plan.reshape(updates, devices, batch_size), images / 127.5 - 1.0
    latents, alphas = [], []
    for device, update in itertools.product(range(devices), range(updates + 1)):
        made = [one for one in generator_passes if one.device == device]
        shown = np.concatenate([one.inputs for one in critic_passes if (one.device, one.clock) == (device, update)])
        image_numbers, fake_numbers = found_in(shown, real_rows), found_in(shown, np.concatenate([one.outputs for one in made]))
        critic_acts, generator_acted = update < updates, update > 0 and update % n_critic == 0
        if critic_acts:
            np.testing.assert_array_equal(image_numbers[image_numbers >= 0], plan[update, device])
            batch = the_batch(made, update // n_critic, shown)
            latents.append(batch.inputs)
            points = shown[(image_numbers < 0) & (fake_numbers < 0)]
            alphas.append(alphas_of(points, shown[image_numbers >= 0], batch.outputs))
        if generator_acted:  # the critic is the one that this round trained
            latents.append(the_batch(made, update // n_critic - 1, shown).inputs)
        assert len(shown) == batch_size * (3 * critic_acts + generator_acted)
    alphas, latents = np.concatenate(alphas), np.concatenate(latents)
    assert alphas.min() >= 0.0
    assert alphas.max() < 1.0
    assert np.diff(np.sort(alphas)).min(initial=1.0) > 1e-9
    assert latents.shape == (devices * rounds * (n_critic + 1) * batch_size, LATENT_DIM)
    assert len(np.unique(latents)) == latents.size
    assert len(generator_passes) == devices * rounds * (n_critic + 1)
