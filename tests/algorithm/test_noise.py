import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from tests.algorithm.test_properties import LATENT_DIM, dataset, make_state
from wgan_jax.algorithm import noise, steps
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.noise import ImageNoise

KEY = jax.random.key(7)
LARGE = 20_000  # examples, enough to notice a wrong distribution
RARE = 1e-4  # p-value: the right distribution is refused for one key in 10,000, and not for this one


def draw(key=KEY, player='critic', update=0, batch_size=4, latent_dim=3):
    return noise.draw(key, player, jnp.int32(update), batch_size, latent_dim, None)


def numbers(drawn):
    """Everything that is drawn: latents, alpha, and the data of the key."""
    return [np.asarray(part) for part in (drawn.latents, drawn.alpha, jax.random.key_data(drawn.dropout_key))]


def draws_on_devices(devices, batch_size, latent_dim=3):
    """What each device draws, stacked. vmap stands in for devices: noise uses only the size and the index of the axis."""
    return jax.vmap(
        lambda key: noise.draw(key, 'critic', jnp.int32(5), batch_size, latent_dim, 'devices'),
        in_axes=None,
        axis_name='devices',
        axis_size=devices,
    )(KEY)


def test_latents_are_standard_normal():
    latents = np.asarray(draw(batch_size=LARGE).latents, np.float64)
    assert latents.shape == (LARGE, 3)
    for column in latents.T:
        assert stats.kstest(column, 'norm').pvalue > RARE
        assert abs(column.mean()) < 4 / np.sqrt(LARGE)
        assert abs(column.var() - 1.0) < 4 * np.sqrt(2 / LARGE)
    correlations = np.corrcoef(latents, rowvar=False)[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 4 / np.sqrt(LARGE)


def test_alpha_is_one_uniform_number_per_example():
    alpha = np.asarray(draw(batch_size=LARGE).alpha, np.float64)
    assert alpha.shape == (LARGE,)
    assert alpha.min() >= 0.0
    assert alpha.max() < 1.0
    assert alpha.min() < 10 / LARGE  # the whole interval
    assert alpha.max() > 1 - 10 / LARGE
    assert stats.kstest(alpha, 'uniform').pvalue > RARE
    # The test is able to tell a normal from a uniform distribution; Gulrajani et al. 2017 prescribe the uniform one.
    assert stats.kstest((alpha - alpha.mean()) / alpha.std(), 'norm').pvalue < RARE


def test_alpha_is_independent_of_the_latents():
    """Drawn with the same key, both would come from the same bits, and their ranks would agree."""
    drawn = draw(batch_size=LARGE, latent_dim=1)
    assert abs(stats.spearmanr(drawn.latents[:, 0], drawn.alpha).statistic) < 4 / np.sqrt(LARGE)


def test_the_same_arguments_draw_the_same():
    """Resuming needs this."""
    for x, y in zip(numbers(draw(update=3)), numbers(draw(update=3)), strict=True):
        np.testing.assert_array_equal(x, y)


def test_keys_players_and_updates_draw_their_own():
    """No number occurs twice: with another key, for the other player, or in a later update."""
    drawn = [
        numbers(draw(key, player, update))
        for key in (KEY, jax.random.key(8))
        for player in ('critic', 'generator')
        for update in (0, 1, 2, 10**6)
    ]
    for values in zip(*drawn, strict=True):
        assert len(np.unique(np.stack(values))) == np.stack(values).size


@pytest.mark.parametrize(('devices', 'batch_size'), [(1, 4), (2, 1), (8, 4)])
def test_devices_share_out_the_global_draw(devices, batch_size):
    """To the bit and in order, so that the number of devices changes only rounding."""
    drawn = draws_on_devices(devices, batch_size)
    alone = draw(update=5, batch_size=devices * batch_size)
    assert drawn.latents.shape == (devices, batch_size, 3)
    np.testing.assert_array_equal(drawn.latents.reshape(-1, 3), alone.latents)
    np.testing.assert_array_equal(drawn.alpha.reshape(-1), alone.alpha)


def test_each_device_has_its_own_dropout():
    keys = np.asarray(jax.random.key_data(draws_on_devices(8, 4).dropout_key))
    assert len(np.unique(keys, axis=0)) == 8


def test_normal_alpha_is_normal_and_leaves_the_latents():
    drawn = noise.draw(KEY, 'critic', jnp.int32(0), LARGE, 3, None, normal_alpha=True)
    assert stats.kstest(np.asarray(drawn.alpha, np.float64), 'norm').pvalue > RARE
    np.testing.assert_array_equal(drawn.latents, draw(batch_size=LARGE).latents)


def test_the_updates_of_a_round_share_latents_and_nothing_else():
    """Two critic updates per round."""
    of_critic = [noise.draw(KEY, 'critic', jnp.int32(update), 4, 3, None, sharing=2) for update in range(4)]
    of_generator = [noise.draw(KEY, 'generator', jnp.int32(update), 4, 3, None, sharing=2) for update in range(2)]
    for update, drawn in enumerate(of_critic):
        np.testing.assert_array_equal(drawn.latents, of_generator[update // 2].latents)
        np.testing.assert_array_equal(drawn.alpha, draw(update=update).alpha)
    np.testing.assert_array_equal(of_generator[1].latents, draw(player='generator', update=1).latents)
    assert (of_critic[1].latents != of_critic[2].latents).all()


def test_noise_on_images_is_normal_and_fades():
    image_noise = noise.ImageNoise(std=0.5, until=10)
    keys = draw(batch_size=5000).image_keys
    images = jnp.full((5000, 2, 2, 1), 3.0)
    for step, std in ((0, 0.5), (5, 0.25), (10, 0.0), (12, 0.0)):
        added = np.asarray(image_noise.add(images, keys, jnp.int32(step)) - 3.0, np.float64)
        np.testing.assert_allclose(added.std(), std, rtol=0.03)
        assert std == 0.0 or stats.kstest(added.ravel() / std, 'norm').pvalue > RARE
    np.testing.assert_allclose(noise.ImageNoise(0.5, None).add(images, keys, 10**6), image_noise.add(images, keys, 0))


@pytest.mark.parametrize('devices', [2, 4])
def test_devices_share_out_the_noise_on_images(devices):
    data = jax.random.key_data(draws_on_devices(devices, 2).image_keys)
    alone = jax.random.key_data(draw(update=5, batch_size=2 * devices).image_keys)
    np.testing.assert_array_equal(data.reshape(alone.shape), alone)
    assert len(np.unique(alone, axis=0)) == 2 * devices


def test_real_and_generated_images_have_noise_of_their_own_and_the_penalty_lies_between_the_noisy_ones():
    batch_size, deviation = 512, 0.01
    generator_passes, critic_passes = [], []
    state, images = make_state(0, generator_passes, critic_passes), dataset(0, batch_size)
    settings = {'loss': LOSSES['wasserstein'], 'latent_dim': LATENT_DIM, 'gp_weight': 10.0}
    steps.critic_step(state, images.reshape(-1, 2, 2, 1), jax.random.key(1), image_noise=ImageNoise(deviation, None), **settings)
    jax.effects_barrier()
    real_rows, fake_rows = (images / 127.5 - 1.0).reshape(batch_size, -1), generator_passes[0].outputs
    passes = {'real': [], 'fake': [], 'between': []}
    for one in critic_passes:
        near = [np.abs(one.inputs - rows).max() < 10 * deviation for rows in (real_rows, fake_rows)]
        passes['real' if near[0] else 'fake' if near[1] else 'between'].append(one.inputs)
    (real,), (fake,), (between, *_) = passes.values()
    noises = [(real - real_rows).ravel(), (fake - fake_rows).ravel()]
    np.testing.assert_allclose([noise.std() for noise in noises], deviation, rtol=0.1)
    assert abs(np.corrcoef(noises)[0, 1]) < 0.1
    towards = fake - real
    alphas = np.sum((between - real) * towards, axis=1) / np.sum(towards**2, axis=1)
    np.testing.assert_allclose(between, real + alphas[:, None] * towards, atol=1e-5)
