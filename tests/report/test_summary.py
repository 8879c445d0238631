"""The sentence at the head of the page."""

import json

import pytest

from tests.report.conftest import evaluation, write_lines
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


@pytest.mark.parametrize(
    ('points', 'expected'), [(512, 'Of 2 runs, b has the best exact distance to the real points: 1, '), (64, '')]
)
def test_points_are_compared_if_there_are_equally_many(make_run, points, expected):
    one = with_exact(make_run('a', scored=(), **POINTS), 2.0)
    other = with_exact(make_run('b', scored=(), **{**POINTS, 'exact_points': points}), 1.0)
    assert sentence(one, other) == (
        f'{expected}before a 2 (lower is better).' if expected else '2 runs that have no score in common.'
    )
