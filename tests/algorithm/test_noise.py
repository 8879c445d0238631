import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from wgan_jax.algorithm import noise

KEY = jax.random.key(7)
LARGE = 20_000  # examples: a wrong distribution shows at this size
RARE = 1e-4  # a right one is refused once in 10,000 keys; this key is not one of them


def draw(key=KEY, player='critic', update=0, batch_size=4, latent_dim=3):
    return noise.draw(key, player, jnp.int32(update), batch_size, latent_dim, None)


def numbers(drawn):
    """All that is drawn, as numbers: latents, alpha, and the data of the key."""
    return [np.asarray(part) for part in (drawn.latents, drawn.alpha, jax.random.key_data(drawn.dropout_key))]


def draws_on_devices(devices, batch_size, latent_dim=3):
    """What each of some devices draws, stacked; vmap stands in for them, as noise asks only for the axis' size and index."""
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
    # What tells the two tests apart must tell a normal from a uniform: Gulrajani et al. 2017 leave no choice of the law.
    assert stats.kstest((alpha - alpha.mean()) / alpha.std(), 'norm').pvalue < RARE


def test_alpha_is_independent_of_the_latents():
    """From one key both would be the same bits in two guises, and their ranks the same."""
    drawn = draw(batch_size=LARGE, latent_dim=1)
    assert abs(stats.spearmanr(drawn.latents[:, 0], drawn.alpha).statistic) < 4 / np.sqrt(LARGE)


def test_the_same_arguments_draw_the_same():
    """What resuming rests on."""
    for x, y in zip(numbers(draw(update=3)), numbers(draw(update=3)), strict=True):
        np.testing.assert_array_equal(x, y)


def test_keys_players_and_updates_draw_their_own():
    """No number comes twice: not from another key, not for the other player, not in the next updates."""
    drawn = [
        numbers(draw(key, player, update))
        for key in (KEY, jax.random.key(8))
        for player in ('critic', 'generator')
        for update in (0, 1, 2, 10**6)
    ]
    for values in zip(*drawn, strict=True):
        assert len(np.unique(np.stack(values))) == np.stack(values).size


@pytest.mark.parametrize('devices', [1, 2, 3, 8])
@pytest.mark.parametrize('batch_size', [1, 4])
def test_devices_share_out_the_global_draw(devices, batch_size):
    """To the bit and in order, so that the number of devices changes nothing but rounding."""
    drawn = draws_on_devices(devices, batch_size)
    alone = draw(update=5, batch_size=devices * batch_size)
    assert drawn.latents.shape == (devices, batch_size, 3)
    np.testing.assert_array_equal(drawn.latents.reshape(-1, 3), alone.latents)
    np.testing.assert_array_equal(drawn.alpha.reshape(-1), alone.alpha)


def test_each_device_has_its_own_dropout():
    keys = np.asarray(jax.random.key_data(draws_on_devices(8, 4).dropout_key))
    assert len(np.unique(keys, axis=0)) == 8
