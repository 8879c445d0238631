"""The panels of training."""

import json
import re

from tests.report.conftest import page_of, write_lines
from wgan_jax.report import captions, groups, training_panels
from wgan_jax.report.read_runs import read_runs

POINTS = {'data.name': 'gaussians_8', 'exact_points': 512}


def with_exact(path):
    """Adds the columns of exact distances to a run."""
    records = [json.loads(line) for line in (path / 'metrics.jsonl').read_text().splitlines()]
    write_lines(path / 'metrics.jsonl', [{**one, 'wasserstein_true': 2.0, 'wasserstein_floor': 0.5} for one in records])
    return path


def estimate_of(records):
    (row,) = training_panels.rows(records)
    return next(panel for panel in row.panels if panel.title == 'Estimate')


def test_the_exact_distance_and_its_floor_are_drawn_beside_the_estimate(make_run):
    path = make_run(scored=(), **POINTS)
    without = estimate_of(read_runs([path]))
    panel = estimate_of(read_runs([with_exact(path)]))
    assert [picture.count('stroke-dasharray') for picture in (without.picture, panel.picture)] == [0, 2]
    assert panel.picture.count('<path') > without.picture.count('<path')
    assert panel.text.endswith(
        'Grey: the exact distance between 512 generated and 512 real points; dotted: between two samples of real points.'
    )
    assert panel.text in page_of(path).text


def test_the_caption_is_as_before_without_exact_distances():
    config = {'loss': 'wasserstein', 'exact_points': None}
    assert captions.quantity('wasserstein_estimate', config) == captions.quantity('wasserstein_estimate', {'loss': 'wasserstein'})
    assert 'Grey' not in captions.quantity('wasserstein_estimate', config)


def test_nothing_is_claimed_about_the_estimate_of_a_loss_of_ones_own():
    assert captions.quantity('wasserstein_estimate', {'loss': 'mine'}) == (
        'Mean score of real images minus mean score of generated ones.'
    )
    assert 'no distance' in captions.quantity('wasserstein_estimate', {'loss': 'hinge'})


def test_nothing_is_claimed_about_the_penalty_of_a_loss_of_ones_own():
    assert 'slope 1' in captions.penalty({'wasserstein', 'hinge'})
    assert captions.penalty({'wasserstein', 'mine'}) == 'The penalty of the loss, before it is multiplied by its weight.'
    assert captions.objective({'loss': 'mine', 'gp_weight': 3.0}) == 'mine, with penalty, weight 3.0'
    assert captions.objective({'loss': 'hinge', 'gp_weight': 3.0}) == 'GAN, hinge loss, with gradient penalty, weight 3.0'


def test_a_group_has_a_panel_of_exact_distances(make_run):
    paths = [with_exact(make_run(f'seed_{seed}', scored=(), seed=seed, **POINTS)) for seed in (0, 1)]
    group = groups.group_of(read_runs(paths))
    panel = next(panel for panel in group.training.panels if panel.title == 'Exact distance')
    assert panel.text == 'The exact distance between 512 generated and 512 real points, without a critic.'


def test_runs_of_different_lengths_share_the_axis_of_steps(make_run):
    paths = [make_run('short', lines=4, scored=()), make_run('long', lines=2000, scored=(), gp_weight=0.0)]
    rows = training_panels.rows(read_runs(paths))
    estimates = next(row for row in rows if row.title == 'Estimate')
    short, long = (re.findall(r'>(\d+)</text>', panel.picture) for panel in estimates.panels)
    assert '1800' in short
    assert [label for label in short if int(label) > 100] == [label for label in long if int(label) > 100]
