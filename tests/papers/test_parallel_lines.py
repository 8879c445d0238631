import math

import numpy as np
import pytest

from papers import parallel_lines
from papers.parallel_lines import Size
from papers.shared.output import Options
from tests.papers.rows import columns_of


@pytest.mark.slow
def test_the_estimates_are_the_distances_and_only_one_has_a_gradient(tmp_path, capsys):
    parallel_lines.draw(Options(tmp_path, quick=True), Size(num_thetas=1, num_features=32, num_updates=300, batch_size=64))
    columns = columns_of(tmp_path / 'parallel_lines.csv')
    left, middle, right = ({name: column[i] for name, column in columns.items()} for i in range(3))
    assert (left['theta'], middle['theta'], right['theta']) == (-1, 0, 1)
    for row in (left, right):
        np.testing.assert_allclose([row['em'], row['js']], [1, math.log(2)])
        np.testing.assert_allclose(row['em_estimate'], 1 + 1 / 20, atol=0.05)  # the penalty's weight of 10 allows a slope of 1.05
        np.testing.assert_allclose(row['em_gradient'], 1.05 * row['theta'], atol=0.08)
        np.testing.assert_allclose(row['js_estimate'], math.log(2), atol=1e-3)
        np.testing.assert_allclose(row['js_gradient'], 0, atol=1e-3)
    assert middle['em'] == middle['js'] == 0
    np.testing.assert_allclose([middle['em_estimate'], middle['js_estimate']], 0, atol=0.03)
    assert (tmp_path / 'parallel_lines.png').read_bytes().startswith(b'\x89PNG')
    assert 'log 2 = 0.693' in capsys.readouterr().out
