import math

import numpy as np
import pytest
import scipy.stats

from papers import image_noise
from papers.image_noise import divergence
from papers.parallel_lines import Size
from papers.shared.output import Options
from tests.papers.rows import columns_of
from wgan_jax.metrics.distances import jensen_shannon


@pytest.mark.parametrize(('theta', 'std'), [(0.2, 0.1), (1.0, 0.3), (0.5, 1.0), (2.0, 1.0)])
def test_the_divergence_is_that_of_two_normal_distributions_and_the_slope_its_derivative(theta, std):
    points = np.linspace(-12, 12, 50_001)
    near, far = (scipy.stats.norm.pdf(points, mean, std) for mean in (0, theta))
    (value,), (slope,) = divergence(np.array([theta]), np.array([std]))
    np.testing.assert_allclose(value, jensen_shannon(near / near.sum(), far / far.sum()), rtol=1e-9)
    (below, above), _ = divergence(np.array([theta - 1e-4, theta + 1e-4]), np.array([std, std]))
    np.testing.assert_allclose(slope, (above - below) / 2e-4, rtol=1e-4)


def test_without_noise_the_divergence_is_log_2_and_has_no_slope():
    np.testing.assert_array_equal(divergence(np.array([0.1, 2.0]), np.zeros(2)), [[math.log(2)] * 2, [0.0] * 2])


@pytest.mark.slow
def test_discriminators_find_the_divergence_and_its_slope(tmp_path, capsys):
    image_noise.draw(Options(tmp_path, quick=True), Size(num_thetas=2, num_features=32, num_updates=400, batch_size=128))
    columns = columns_of(tmp_path / 'image_noise.csv')
    assert columns['noise'].tolist() == [0, 0, 0.1, 0.1, 0.3, 0.3, 1, 1]
    assert columns['theta'].tolist() == [1, 2] * 4
    np.testing.assert_allclose(columns['js_estimate'], columns['js'], atol=0.02)
    np.testing.assert_allclose(columns['js_estimate_slope'], columns['js_slope'], atol=0.06)
    assert np.all(columns['js_estimate_slope'][:2] < 1e-3)  # no noise
    assert np.all(columns['js_estimate_slope'][-2:] > 0.1)  # noise of 1
    assert (tmp_path / 'image_noise.png').read_bytes().startswith(b'\x89PNG')
    assert 'noise 0: slope' in capsys.readouterr().out
