import csv

import pytest

from papers import Options, value_surfaces
from papers.value_surfaces import Sizes


@pytest.mark.slow
def test_the_penalised_critic_knows_the_blobs_and_the_clipped_one_only_the_middle(tmp_path, capsys):
    value_surfaces.draw(Options(tmp_path, quick=True), Sizes(num_features=64, num_updates=500, batch_size=64, haste=20))
    with open(tmp_path / 'value_surfaces.csv') as file:
        rows = {(row['data'], row['critic']): row for row in csv.DictReader(file)}
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
    assert float(rows['gaussians_8', 'clipping']['told_apart']) < 0.75  # the middle is at the top, and the blobs are not there
    assert (tmp_path / 'value_surfaces.png').read_bytes().startswith(b'\x89PNG')
    assert 'of all pairs' in capsys.readouterr().out
