"""The sentence at the head of the page."""

import json

import pytest

from tests.report.conftest import add_evaluation, evaluation, write_lines
from wgan_jax.report import score_panels, summary
from wgan_jax.report.read_runs import read_runs

POINTS = {'data.name': 'gaussians_8', 'exact_points': 512}


def sentence(*paths):
    records = read_runs(paths)
    tables = score_panels.tables(records)
    return summary.of_run(records[0], tables) if len(records) == 1 else summary.of_runs(records, tables)


def with_exact(path, value):
    records = [json.loads(line) for line in (path / 'metrics.jsonl').read_text().splitlines()]
    write_lines(path / 'metrics.jsonl', [{**one, 'wasserstein_true': value, 'wasserstein_floor': 0.5} for one in records])
    return path


def test_a_run_with_scores(make_run):
    assert sentence(make_run()) == (
        'After 20 steps, WGAN-GP on digits has a Fréchet distance of 2.5 (297 samples, lower is better; 0.123 for real images that '
        'were not used for training).'
    )


def test_a_run_that_is_not_scored_or_has_only_begun(make_run):
    assert sentence(make_run('a', scored=(), num_steps=30)) == (
        'After 20 of 30 steps, WGAN-GP on digits has an estimate of 0.25, the critic\u2019s mean score of real minus that of '
        'generated images.'
    )
    assert sentence(make_run('b', scored=(), lines=0, num_steps=30)) == 'After 0 of 30 steps, WGAN-GP on digits has no result yet.'


def test_a_run_in_epochs(make_run):
    assert sentence(make_run(scored=(), num_steps=2, interval_unit='epochs')).startswith(
        'After 20 steps (2 epochs in all), WGAN-GP on digits has an estimate of 0.25, '
    )


def test_the_sentence_is_about_the_latest_evaluation(make_run):
    path = make_run(scored=())
    add_evaluation(path, 'step_000010_raw', evaluation(10, 5.0, generator='raw'))
    add_evaluation(path, 'step_000020', evaluation(20, 1.0))
    assert sentence(path).startswith('After 20 steps, WGAN-GP on digits has a Fréchet distance of 2 (297 samples')


def test_points_have_an_exact_distance(make_run):
    assert sentence(with_exact(make_run(scored=(), **POINTS), 2.0)) == (
        'After 20 steps, WGAN-GP on gaussians_8 has an exact distance of 2 between 512 generated and 512 real points; two samples '
        'of real points have 0.5.'
    )


def test_runs_are_in_the_order_of_their_score(make_run):
    paths = [make_run(name, scored=()) for name in 'abc']
    for path, value in zip(paths, (3.0, 1.0, 2.0), strict=True):
        write_lines(path / 'evaluations.jsonl', [evaluation(20, value, data={'name': 'digits'})])
    assert sentence(*paths) == (
        'Of 3 runs, b has the best Fréchet distance: 2, before c 3, a 4 (lower is better, 297 samples; 0.123 for real images that '
        'were not used for training).'
    )


def test_scores_of_different_steps_are_named_with_the_step(make_run):
    early, late = (make_run(name, scored=(step,)) for name, step in (('early', 5), ('late', 20)))
    assert 'Of 2 runs, late has the best Fréchet distance: 2.5 at step 20, before early 7 at step 5 (' in sentence(early, late)


def test_an_exact_distance_of_an_older_step_is_not_that_of_the_run(make_run):
    path = with_exact(make_run(scored=(), **POINTS), 2.0)
    records = [json.loads(line) for line in (path / 'metrics.jsonl').read_text().splitlines()]
    write_lines(path / 'metrics.jsonl', [*records[:-1], {**records[-1], 'wasserstein_true': None}])
    assert sentence(path).startswith('After 20 steps, WGAN-GP on gaussians_8 has an estimate of 0.25')


def test_distances_to_different_points_are_not_compared(make_run):
    points = {'data.name': 'w1_funnels', 'data.funnels': 4, 'exact_points': 512}
    runs = [with_exact(make_run(f'{n}', scored=(), **points, **{'data.dimension': n}), 1.0 + n) for n in (2, 32)]
    assert sentence(*runs) == '2 runs that have no score in common.'


@pytest.mark.parametrize(
    ('points', 'expected'), [(512, 'Of 2 runs, b has the best exact distance to the real points: 1, '), (64, '')]
)
def test_points_are_compared_if_there_are_equally_many(make_run, points, expected):
    one = with_exact(make_run('a', scored=(), **POINTS), 2.0)
    other = with_exact(make_run('b', scored=(), **{**POINTS, 'exact_points': points}), 1.0)
    assert sentence(one, other) == (
        f'{expected}before a 2 (lower is better).' if expected else '2 runs that have no score in common.'
    )
