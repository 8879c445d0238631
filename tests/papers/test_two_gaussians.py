import numpy as np
import pytest

from papers import two_gaussians
from papers.shared.output import Options
from papers.two_gaussians import Size
from tests.papers.rows import columns_of


@pytest.mark.slow
def test_the_discriminator_is_flat_where_generated_points_are_and_the_critics_are_not(tmp_path, capsys):
    two_gaussians.draw(Options(tmp_path, quick=True), Size(num_features=32, num_updates=600, batch_size=128))
    columns = columns_of(tmp_path / 'two_gaussians.csv')
    x, step = columns['x'], np.diff(columns['x'])[0]
    for name, mean in (('real', -3), ('generated', 3)):
        np.testing.assert_allclose([np.sum(columns[name]) * step, np.sum(x * columns[name]) * step], [1, mean], rtol=1e-4)
    np.testing.assert_allclose(
        columns['discriminator_exact'], columns['real'] / (columns['real'] + columns['generated']), atol=1e-12
    )
    np.testing.assert_allclose(columns['discriminator'], columns['discriminator_exact'], atol=0.15)
    inner = slice(1, -1)
    exact = np.abs(np.gradient(np.log1p(-columns['discriminator_exact'][x > -2]), step))[inner]
    np.testing.assert_allclose(columns['discriminator_gradient_exact'][x > -2][inner], exact, rtol=0.02, atol=1e-9)
    for name in ('clipped', 'penalised'):
        error = columns[f'{name}_gradient'] + np.gradient(columns[name], step)
        np.testing.assert_allclose(np.median(np.abs(error)), 0, atol=1e-3)  # the median leaves out the kinks
        assert np.all(np.diff(columns[name]) < 0)  # the real points, on the left, score higher
    there = (x > 1) & (x < 5)
    assert columns['discriminator_gradient'][x == 3] < 1e-4
    assert columns['clipped_gradient'][there].min() > 0.2
    # distance * slope - 10 (slope - 1)^2 is largest at a slope of 1 + 6 / 20.
    np.testing.assert_allclose(columns['penalised_gradient'][there].mean(), 1.3, atol=0.1)
    np.testing.assert_allclose(columns['clipped'][x == -3] - columns['clipped'][x == 3], 6)
    assert (tmp_path / 'two_gaussians.png').read_bytes().startswith(b'\x89PNG')
    assert 'exactly 9e-08' in capsys.readouterr().out
