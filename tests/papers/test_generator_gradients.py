import numpy as np
import pytest

from papers import generator_gradients
from papers.generator_gradients import Size
from papers.shared.output import Options
from tests.papers.rows import columns_of


@pytest.mark.slow
def test_one_gradient_vanishes_while_the_other_grows_and_gets_noisier(tmp_path, capsys):
    size = Size(num_features=32, num_updates=400, num_measurements=4, num_seeds=2, batch_size=32)
    generator_gradients.draw(Options(tmp_path, quick=True), size)
    columns = {name: column.reshape(2, 5) for name, column in columns_of(tmp_path / 'generator_gradients.csv').items()}
    np.testing.assert_array_equal(columns['seed'], [[0] * 5, [1] * 5])
    np.testing.assert_array_equal(columns['update'], [[0, 100, 200, 300, 400]] * 2)
    # An untrained discriminator is near 1/2 everywhere, where both losses have the same gradient.
    np.testing.assert_allclose(columns['minimax_norm'][:, 0], columns['non_saturating_norm'][:, 0], rtol=0.5)
    fell, grew = columns['minimax_norm'], columns['non_saturating_norm']
    assert np.all(fell[:, -1] < fell[:, 1] / 3)
    assert np.all(fell[:, -1] < fell[:, 0] / 3)
    assert np.all(grew[:, -1] > 10 * grew[:, 0])
    assert np.all(columns['non_saturating_variance'][:, -1] > 100 * columns['non_saturating_variance'][:, 0])
    assert np.all(columns['minimax_variance'][:, -1] < columns['minimax_variance'][:, 1] / 9)
    assert np.all(grew[0] != grew[1])  # another generator and another discriminator
    assert (tmp_path / 'generator_gradients.png').read_bytes().startswith(b'\x89PNG')
    assert 'In 400 updates' in capsys.readouterr().out
