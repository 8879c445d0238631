import csv
import json

import numpy as np

from papers import random_search
from papers.games_on_mnist import GAMES
from papers.random_search import QUICK, best_of
from papers.shared.output import Options


def test_the_best_of_k_falls_as_k_grows_and_may_be_infinite():
    low, middle, high = best_of(np.array([4.0, 1.0, np.inf, 3.0]))
    assert (low[0], middle[0], high[0]) == (1.0, 3.0, np.inf)
    assert (low[3], middle[3]) == (1.0, 1.0)
    assert high[3] == 4.0  # (3 / 4)^4 = 0.32 without a 1, and (2 / 4)^4 = 0.06 with nothing below 4
    assert all(np.diff(middle) <= 0)


def test_each_game_is_searched_and_a_setting_that_diverged_counts_as_infinite(tmp_path, monkeypatch, capsys):
    """Training is replaced: the score of setting k is k + 1, and the last one has none."""
    trained = {}

    def train_group(experiments, workdir):
        for number, (name, experiment) in enumerate(experiments.items()):
            trained[workdir.rsplit('/', 1)[1], name] = experiment.config
            path = tmp_path / workdir / name
            path.mkdir(parents=True)
            if number < len(experiments) - 1:
                line = {'step': 9, 'scores': {'fd_mnist_cnn_2k': number + 1.0}, 'floor': {}, 'critic': {}, 'protocol': {}}
                (path / 'evaluations.jsonl').write_text(json.dumps(line) + '\n')

    monkeypatch.setattr(random_search, 'train_group', train_group)
    random_search.draw(Options(tmp_path, quick=True), QUICK._replace(num_settings=3))
    with (tmp_path / 'random_search_settings.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['game'] for row in rows] == [game for game in GAMES['papers'] for _ in range(3)]
    assert [row['fd_mnist_cnn_2k'] for row in rows] == ['1.0', '2.0', 'inf'] * 4
    for row, config in zip(rows, trained.values(), strict=True):
        setting = json.loads(row['setting'])
        assert config['generator_optimizer']['learning_rate'] == setting['critic_optimizer.learning_rate']
        assert config['n_critic'] == setting['n_critic']
        assert config['critic_optimizer']['name'] == 'adam'
        assert config['critic_optimizer']['b1'] == setting['critic_optimizer.b1']
        assert ('gp_weight' in setting, 'clip_value' in setting) == (config['gp_weight'] > 0, config['clip_value'] is not None)
    output = capsys.readouterr().out
    assert 'WGAN: best fd_mnist_cnn_2k 1 with {"generator_optimizer.learning_rate": ' in output
    assert 'median 2; 1 of 3 diverged' in output
    assert (tmp_path / 'random_search.png').stat().st_size > 10_000
