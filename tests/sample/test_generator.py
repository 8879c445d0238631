import jax
import numpy as np
import pytest

from tests.algorithm.test_steps import make_state
from wgan_jax.algorithm import steps
from wgan_jax.algorithm.state import generate
from wgan_jax.sample import grid
from wgan_jax.sample.generator import latents, to_uint8


def test_pixels_survive_a_round_trip():
    pixels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(np.asarray(steps.to_float(pixels))), pixels)
    np.testing.assert_array_equal(to_uint8(np.array([-3.0, 3.0])), [0, 255])


@pytest.mark.parametrize(('count', 'rows', 'columns'), [(1, 1, 1), (4, 2, 2), (5, 2, 3), (64, 8, 8)])
@pytest.mark.parametrize('channels', [1, 3])
def test_grid_places_every_image(count, rows, columns, channels):
    values = np.arange(1, count + 1, dtype=np.uint8)
    images = np.broadcast_to(values[:, None, None, None], (count, 8, 16, channels))  # enlarged 6 times
    picture = grid.grid(images)
    assert picture.shape == (rows * 50 - 2, columns * 98 - 2, channels)
    for i in range(count):
        row, column = divmod(i, columns)
        cell = picture[row * 50 : row * 50 + 48, column * 98 : column * 98 + 96]
        np.testing.assert_array_equal(cell, np.full((48, 96, channels), i + 1))


def test_more_than_three_channels_are_drawn_side_by_side():
    images = np.broadcast_to(np.arange(4, dtype=np.uint8), (1, 48, 48, 4))
    picture = grid.grid(images)
    assert picture.shape == (48, 192, 1)
    np.testing.assert_array_equal(picture[0, ::48, 0], [0, 1, 2, 3])


def test_large_images_are_not_enlarged():
    assert grid.grid(np.zeros((1, 64, 64, 3), np.uint8)).shape == (64, 64, 3)


def test_samples_come_from_the_average_with_its_own_statistics(players):
    state = make_state(players, batch_norm=True, use_ema=True)
    ema = jax.tree.map(lambda leaf: leaf + 0.5, state.ema)
    latents = jax.random.normal(jax.random.key(0), (4, 3))
    averaged = generate(state.replace(ema=ema), latents)
    generator = state.generator.replace(params=ema['params'], batch_stats=ema['batch_stats'])
    np.testing.assert_array_equal(averaged, generate(state.replace(generator=generator, ema=None), latents))
    assert np.abs(np.asarray(averaged - generate(state, latents))).max() > 1e-3


def test_an_image_depends_on_its_own_latents_alone(players):
    state = make_state(players, batch_norm=True)
    latents = jax.random.normal(jax.random.key(0), (4, 3))
    np.testing.assert_allclose(generate(state, latents)[:1], generate(state, latents[:1]), rtol=1e-5)


def test_the_latent_vector_of_a_seed_does_not_depend_on_other_seeds():
    seeds = np.array([5, 0, 2**32 - 1, 5], np.uint32)
    drawn = latents(seeds, 7)
    for seed, latent in zip(seeds, drawn, strict=True):
        np.testing.assert_array_equal(latent, jax.random.normal(jax.random.key(seed), (7,)))
    np.testing.assert_array_equal(latents(seeds[1:2], 7), drawn[1:2])


@pytest.mark.parametrize('truncation', [None, 0.8])
@pytest.mark.parametrize(('name', 'value'), [('jax_default_prng_impl', 'rbg'), ('jax_enable_x64', True)])
def test_the_latent_vector_of_a_seed_does_not_depend_on_settings_of_jax(truncation, name, value):
    seeds = np.arange(4, dtype=np.uint32)
    expected, before = np.asarray(latents(seeds, 7, truncation)), getattr(jax.config, name)
    jax.config.update(name, value)
    try:
        drawn = latents(seeds, 7, truncation)
    finally:
        jax.config.update(name, before)
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(drawn, expected)


def test_truncated_latents_follow_the_truncated_normal_and_resemble_the_others():
    seeds = np.arange(200, dtype=np.uint32)
    whole, truncated = (np.asarray(latents(seeds, 100, bound)) for bound in (None, 0.8))
    assert np.abs(truncated).max() <= 0.8
    assert (np.abs(truncated) > 0.75).mean() > 0.02
    # 1 - 2 T phi(T) / (2 Phi(T) - 1) is the variance; phi(0.8) = 0.28969, Phi(0.8) = 0.78814
    np.testing.assert_allclose(truncated.var(), 1 - 1.6 * 0.28969 / (2 * 0.78814 - 1), rtol=0.02)
    assert np.corrcoef(whole.ravel(), truncated.ravel())[0, 1] > 0.9
    np.testing.assert_allclose(latents(seeds, 100, 30.0), whole, atol=1e-3)
