import pytest

from papers import value_surfaces
from papers.shared.output import Options
from papers.value_surfaces import Size
from tests.papers.rows import rows_of


@pytest.mark.slow
def test_the_penalised_critic_has_peaks_at_the_gaussians_and_the_clipped_one_a_hill_in_the_middle(tmp_path, capsys):
    value_surfaces.draw(Options(tmp_path, quick=True), Size(num_features=64, num_updates=500, batch_size=64, rate_factor=20))
    rows = {(row['data'], row['critic']): row for row in rows_of(tmp_path / 'value_surfaces.csv')}
    assert len(rows) == 6
    for row in rows.values():
        assert float(row['span']) == float(row['high']) - float(row['low'])
        assert float(row['estimate']) > 0
        assert 0.5 < float(row['told_apart']) < 1
    for data in ('gaussians_8', 'gaussians_25', 'swiss_roll'):
        clipped, penalised = rows[data, 'clipping'], rows[data, 'penalty']
        assert float(clipped['span']) < 0.1 < 1 < float(penalised['span'])
        assert float(clipped['told_apart']) < float(penalised['told_apart'])
    assert float(rows['gaussians_8', 'penalty']['told_apart']) > 0.9
    assert float(rows['gaussians_8', 'clipping']['told_apart']) < 0.75  # its top is in the middle, where no data are
    assert (tmp_path / 'value_surfaces.png').read_bytes().startswith(b'\x89PNG')
    assert 'of all pairs' in capsys.readouterr().out
