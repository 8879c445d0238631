import math

import pytest

from tests.report.conftest import evaluation, write_lines, write_run
from tests.tiny_runs import prepared, tiny
from wgan_jax.devices import processes
from wgan_jax.errors import UserError
from wgan_jax.runs.tracking import Tracking
from wgan_jax.sweep import best
from wgan_jax.sweep.best import rank_and_confirm, rate


def test_settings_are_rated_by_the_last_scores(tmp_path):
    scores = {'a,seed_0': 4.0, 'a,seed_1': 5.0, 'b,seed_0': 1.0, 'b,seed_1': 2.0, 'b,seed_2': 6.0, 'c,seed_0': None}
    scores |= {'d,seed_0': 0.1, 'd,seed_1': None}  # the better one of a setting that diverges with half of its seeds
    for name, value in scores.items():
        write_run(tmp_path / name, scored=())
        if value is not None:
            write_lines(tmp_path / name / 'evaluations.jsonl', [evaluation(10, 0.5), evaluation(20, value)])
    scores |= {'e,seed_0': None}  # it has not begun
    write_lines(tmp_path / 'd,seed_1' / 'evaluations.jsonl', [evaluation(10, 0.01)])  # it diverged later
    metric, rated = rate(tmp_path, scores, None)
    assert metric == 'fd_digits_cnn_1k'
    assert [(one.setting, one.values, str(one)) for one in rated] == [
        ('b', [1.0, 2.0, 6.0], '3 ± 2.65 over 3 seeds'),
        ('a', [4.0, 5.0], '4.5 ± 0.707 over 2 seeds'),
        ('d', [0.1], '0.1 over 1 seed, 1 without a score'),
        ('c', [], 'no score of the last step, 1 seed'),
        ('e', [], 'no score of the last step, 1 seed'),
    ]
    with pytest.raises(UserError, match=r'--by=fid is not a score of these runs; known: fd_digits_cnn_1k\.'):
        rate(tmp_path, scores, 'fid')
    of_others = evaluation(20, 0.3)
    of_others['scores'] = {'fd_digits_cnn_10k': 0.3}
    write_run(tmp_path / 'f,seed_0')
    write_lines(tmp_path / 'f,seed_0' / 'evaluations.jsonl', [of_others])
    assert rate(tmp_path, scores, 'fd_digits_cnn')[0] == 'fd_digits_cnn_1k'
    with pytest.raises(UserError, match=r'^The settings cannot be ranked: the runs in .* have no score in common\.$'):
        rate(tmp_path, [*scores, 'f,seed_0'], None)
    with pytest.raises(UserError, match='have no score, since none is complete'):
        rate(tmp_path, ['c,seed_0'], None)


def test_a_setting_that_has_diverged_with_all_seeds_has_no_score(tmp_path):
    for name, scored in {'a,seed_0': (10,), 'a,seed_1': (10,), 'b,seed_0': (10, 20)}.items():
        write_run(tmp_path / name, scored=scored, gp_weight=float('ab'.index(name[0])), num_steps=20 + 10 * (name[0] == 'a'))
    _, rated = rate(tmp_path, ['a,seed_0', 'a,seed_1', 'b,seed_0'], None)
    assert [(one.setting, one.values, one.missing) for one in rated] == [('b', [1.5], 0), ('a', [], 2)]


def test_settings_whose_scores_were_measured_in_another_way_are_not_ranked(tmp_path, capsys):
    for side in (8, 16):
        write_run(tmp_path / f'side={side},seed_0', scored=())
        write_lines(tmp_path / f'side={side},seed_0' / 'evaluations.jsonl', [evaluation(20, 1.0, image_shape=[side, side, 1])])
    names = [path.name for path in tmp_path.iterdir()]
    message = 'The settings cannot be ranked: their scores cannot be compared, since the protocols differ in image_shape.'
    with pytest.raises(UserError, match=message):
        rate(tmp_path, names, 'fd_digits_cnn')
    assert rank_and_confirm(tmp_path, names, None, None) is None  # nobody has asked for the ranking
    assert capsys.readouterr().out == f'{message}\n'


def test_a_score_that_is_not_a_number_counts_as_missing(tmp_path):
    for name, value in {'a,seed_0': 3.0, 'b,seed_0': math.nan, 'c,seed_0': 1.0}.items():
        write_run(tmp_path / name, scored=())
        write_lines(tmp_path / name / 'evaluations.jsonl', [evaluation(20, value)])
    _, rated = rate(tmp_path, ['b,seed_0', 'a,seed_0', 'c,seed_0'], None)
    assert [(one.setting, one.missing) for one in rated] == [('c', 0), ('a', 0), ('b', 1)]


@pytest.mark.parametrize('by', [None, 'fd_digits_cnn', 'fd_digits_cnn_60', 'coverage_digits_cnn', 'swd_60', 'swd_8', 'swd_8_60'])
def test_what_can_rank_is_accepted_before_training(by):
    best.check_metric(by, {'a': prepared(tiny(eval_every=6, eval_num_samples=60))})


@pytest.mark.parametrize('by', ['fd_typo', 'fd_digits_cnn_1k', 'copying', 'fid', 'swd_16'])
def test_what_cannot_rank_is_refused_before_training(by):
    with pytest.raises(UserError, match=rf'^--by={by} is not a score that can rank these runs; known: fd_digits_cnn, .*, swd'):
        best.check_metric(by, {'a': prepared(tiny(eval_every=6, eval_num_samples=60))})


def test_runs_that_will_be_scored_in_different_ways_are_refused_before_training():
    runs = {name: prepared(tiny(eval_every=6, eval_num_samples=60, standing_batches=n)) for n, name in enumerate('ab')}
    message = r'cannot rank these runs: their scores cannot be compared, since they differ in standing_batches\.'
    with pytest.raises(UserError, match=f'^--by=swd {message}'):
        best.check_metric('swd', runs)
    with pytest.raises(UserError, match=f'^--confirm {message}'):
        best.check_metric(None, runs, confirm=True)
    best.check_metric(None, runs)  # it will be ranked if it can be


def test_processes_other_than_the_first_rank_nothing_and_confirm_what_it_has_chosen(tmp_path, monkeypatch):
    confirmed = []
    monkeypatch.setattr(processes, 'is_first', lambda: False)
    monkeypatch.setattr(processes, 'from_first', lambda own: 1)
    monkeypatch.setattr(best, 'rate', lambda *arguments: pytest.fail('it ranks, too'))
    monkeypatch.setattr(best, 'train_group', lambda runs, workdir, **named: confirmed.append((runs, workdir)))
    names = ['gp_weight=1,seed_0', 'gp_weight=1,seed_1', 'gp_weight=10,seed_0', 'gp_weight=10,seed_1']
    experiment, tracking = prepared(tiny()), Tracking('wandb')
    rank_and_confirm(tmp_path, names, None, lambda setting: {f'{setting},seed_2': experiment}, tracking)
    ((runs, workdir),) = confirmed
    assert ([*runs], workdir) == (['gp_weight=10,seed_2'], str(tmp_path / 'confirmed'))
    assert runs['gp_weight=10,seed_2'].outputs.tracking is tracking
