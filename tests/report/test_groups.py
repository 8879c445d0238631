"""Bands over seeds, and the ranking of settings."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.report.conftest import Page, add_checkpoint, evaluation, page_of, write_lines
from wgan_jax.report import __main__ as command
from wgan_jax.report import drawing
from wgan_jax.report.groups import Spread, draw_band, group_of, settings_of, shown, spread_of
from wgan_jax.report.read_runs import expand, read_runs


@pytest.fixture
def sweep(make_run, tmp_path):
    """Two settings with three seeds each; the first setting has the scores 1, 2 and 6, the second 4 and 5 and one without."""
    for weight, values in ((1.0, (1.0, 2.0, 6.0)), (10.0, (4.0, 5.0, None))):
        for seed, value in enumerate(values):
            path = make_run(f'sweep/gp_weight={weight:g},seed_{seed}', seed=seed, gp_weight=weight, scored=())
            if value is not None:
                write_lines(path / 'evaluations.jsonl', [evaluation(10, 9.0 + value), evaluation(20, value)])
    return tmp_path / 'sweep'


def test_a_directory_of_runs_stands_for_them(sweep, make_run):
    alone = make_run('alone')
    names = [path.name for path in expand([sweep, alone])]
    assert names == [f'gp_weight={weight},seed_{seed}' for weight in (1, 10) for seed in range(3)] + ['alone']
    assert expand([alone / 'nothing']) == [alone / 'nothing']  # read_runs says what is wrong with it


def test_seeds_are_in_the_order_of_their_numbers(make_run, tmp_path):
    for seed in (10, 9, 2):
        make_run(f'group/seed_{seed}', seed=seed)
    paths = expand([tmp_path / 'group'])
    assert [path.name for path in paths] == ['seed_2', 'seed_9', 'seed_10']
    setting, *others = settings_of(read_runs(paths))
    assert (setting.name, len(setting.runs), others) == ('group', 3, [])


def test_the_scores_of_a_setting_have_mean_deviation_and_extremes(sweep):
    one, ten = settings_of(read_runs(expand([sweep])))
    assert spread_of(one, 'fd_digits_cnn_1k') == Spread(3.0, pytest.approx(math.sqrt(7)), 1.0, 6.0)
    assert spread_of(ten, 'fd_digits_cnn_1k') == Spread(4.5, pytest.approx(math.sqrt(0.5)), 4.0, 5.0)
    assert spread_of(ten, 'nothing') is None


def test_a_setting_of_which_a_run_diverged_comes_last_whatever_it_had_before(make_run, tmp_path):
    scores = {'a,seed_0': {10: 9.0, 20: 5.0}, 'a,seed_1': {10: 9.0, 20: 6.0}, 'b,seed_0': {10: 0.1}, 'b,seed_1': {10: 0.2, 20: 0.3}}
    for name, of_steps in scores.items():
        run = make_run(name, seed=int(name[-1]), gp_weight=float('ab'.index(name[0])))
        write_lines(run / 'evaluations.jsonl', [evaluation(step, value) for step, value in of_steps.items()])
    group = group_of(read_runs(expand([tmp_path])))
    assert [(row.setting.name, row.scored, row.scores[0].mean) for row in group.table] == [('a', 2, 5.5), ('b', 1, 0.3)]


def test_the_place_of_the_data_makes_no_other_setting(make_run):
    places = [{'data.name': 'array', 'data.file': f'/{name}.npy'} for name in ('one', 'two')]
    runs = [make_run(f'a,seed_{seed}', seed=seed, **changes) for seed, changes in enumerate(places)]
    assert len(settings_of(read_runs(runs))) == 1


def test_the_page_of_a_group_ranks_settings_and_draws_bands(sweep):
    page = page_of(*expand([sweep]))
    assert '6 runs of 2 settings: the runs of a setting differ in the seed only.' in page.text
    best = 'Of 2 settings, gp_weight=1 is the best by Fréchet distance: 3 ± 2.6 (mean ± standard deviation over 3 seeds, each with '
    assert best + '1,000 samples); the last, gp_weight=10, 4.5 ± 0.71 (lower is better).' in page.text
    rows = [row for row in page.rows if row[0] in ('gp_weight=1', 'gp_weight=10')]
    assert rows == [
        ['gp_weight=1', '3', '3', '3 ± 2.6', '1 to 6'],
        ['gp_weight=10', '3', '2', '4.5 ± 0.71', '4 to 5'],
    ]
    labels = [svg['aria-label'] for svg in page.all('svg', role='img')]
    assert labels[:3] == ['fd_digits_cnn_1k by gp_weight', 'fd_digits_cnn_1k over steps', 'copying_1k over steps']
    assert {'Estimate over steps', 'Critic loss over steps'} <= set(labels)
    assert [record.name for record in shown(group_of(read_runs(expand([sweep]))))] == ['gp_weight=1,seed_0', 'gp_weight=10,seed_0']


def test_runs_that_differ_in_more_than_the_seed_are_drawn_side_by_side(make_run):
    records = read_runs([make_run('a', gp_weight=1.0), make_run('b', gp_weight=2.0, seed=1)])
    assert group_of(records) is None
    assert 'Settings and seeds' not in page_of(*(record.path for record in records)).text


def test_a_band_is_one_standard_deviation_around_the_mean():
    axes = Figure().subplots()
    draw_band(axes, [{0: 1.0, 10: 2.0}, {0: 3.0, 10: 6.0, 20: 5.0}], 'blue')
    low, high, mean = (line.get_ydata() for line in axes.lines)
    np.testing.assert_allclose(mean, [2.0, 4.0, 5.0])
    np.testing.assert_allclose(low, [1.0, 2.0, 5.0])
    np.testing.assert_allclose(high, [3.0, 6.0, 5.0])
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([heights.min(), heights.max()], [2 - math.sqrt(2), 4 + math.sqrt(8)])


def test_the_mean_of_long_curves_is_that_of_all_runs_at_each_step_that_is_drawn():
    axes, count = Figure().subplots(), 3 * drawing.MAX_POINTS
    curves = np.random.default_rng(0).normal(size=(3, count))
    draw_band(axes, [dict(enumerate(curve)) for curve in curves], 'blue')
    low, high, mean = axes.lines
    steps = mean.get_xdata()
    assert count > 3 * len(steps) / 2 > drawing.MAX_POINTS
    for line, expected in ((low, curves.min(axis=0)), (high, curves.max(axis=0)), (mean, curves.mean(axis=0))):
        np.testing.assert_array_equal(line.get_ydata(), expected[steps])
        assert {expected.min(), expected.max()} <= set(line.get_ydata())


def test_a_setting_without_a_curve_has_no_band():
    axes = Figure().subplots()
    draw_band(axes, [{}, {}], 'blue')
    assert not axes.lines
    assert not axes.collections


def test_the_command_takes_the_directory_of_a_group(sweep, capsys):
    command.main([str(sweep)])
    assert '6 runs' in Page((sweep / 'report.html').read_text()).text
    assert capsys.readouterr().out.startswith(f'Report: {sweep}/report.html (')


def test_runs_on_other_images_are_another_setting(make_run):
    cats, dogs, new = read_runs([make_run(name, seed=seed) for seed, name in enumerate(('cats', 'dogs', 'new'))])
    records = [run._replace(data_set={'num_images': 9, 'crc32': crc}) for run, crc in ((cats, 1), (dogs, 2))]
    assert [[run.name for run in one.runs] for one in settings_of([*records, new])] == [['cats'], ['dogs', 'new']]


def test_the_same_seed_again_is_not_another_seed(make_run):
    before = [make_run(f'before/seed_{seed}', seed=seed) for seed in range(2)]
    after = [make_run(f'after/seed_{seed}', seed=seed) for seed in range(2)]
    settings = settings_of(read_runs([*before, *after]))
    assert [(one.name, len(one.runs)) for one in settings] == [('before', 2), ('after', 2)]
    assert group_of(read_runs([before[0], after[0]])) is None


def test_runs_with_other_code_of_ones_own_are_another_setting(make_run):
    runs = [make_run(f'a,seed_{seed}', seed=seed) for seed in range(3)]
    for run, code in zip(runs, (b'STEPS = 1', b'STEPS = 2', b'STEPS = 1'), strict=True):
        (run / 'code.py').write_bytes(code)
    one, other = settings_of(read_runs(runs))
    assert ([run.name for run in one.runs], [run.name for run in other.runs]) == (['a,seed_0', 'a,seed_2'], ['a,seed_1'])
    assert (one.name, other.name) == ('a,seed_0', 'a,seed_1')  # both are called a


def test_scores_that_were_measured_in_another_way_are_not_ranked(make_run):
    for side in (8, 16):
        for seed in range(2):
            run = make_run(f'sweep/side={side},seed_{seed}', seed=seed, scored=(), **{'data.image_size': side})
            write_lines(run / 'evaluations.jsonl', [evaluation(20, 40.0 - side, image_shape=[side, side, 1])])
    runs = expand([run.parent])
    page, group = page_of(*runs), group_of(read_runs(runs))
    assert ([one.name for one in group.settings], group.keys.panels) == (['side=8', 'side=16'], [])
    assert '4 runs of 2 settings; their scores cannot be compared, since the protocols differ in image_shape.' in page.text
    assert 'is the best' not in page.text
    assert 'Settings are sorted' not in page.text


def test_a_run_that_does_not_know_its_images_is_ranked_with_the_others(make_run):
    for name, value in (('a', 2.0), ('b', 1.0)):
        for seed in range(2):
            run = make_run(f'sweep/{name},seed_{seed}', seed=seed, gp_weight=value, scored=())
            write_lines(run / 'evaluations.jsonl', [evaluation(20, value)])
    add_checkpoint(run, num_images=9)  # of b; those of a were removed
    group = group_of(read_runs(expand([run.parent])))
    assert ([one.name for one in group.settings], group.differs) == (['b', 'a'], [])


def test_a_group_is_ranked_by_the_scores_of_its_last_step(make_run):
    """After it was extended with another number of samples, these have other names than before."""
    for weight, value in ((1.0, 5.0), (2.0, 4.0)):
        for seed in range(2):
            run = make_run(f'sweep/gp_weight={weight:g},seed_{seed}', seed=seed, gp_weight=weight, scored=())
            new = {**evaluation(20, value, num_samples=10_000), 'scores': {'fd_digits_cnn_10k': value}}
            write_lines(run / 'evaluations.jsonl', [evaluation(10, 1.0), new])
    page = page_of(*expand([run.parent]))
    assert (
        'gp_weight=2 is the best by Fréchet distance: 4 ± 0 (mean ± standard deviation over 2 seeds, each with 10,000 ' in page.text
    )
    assert [row for row in page.rows if row[0] == 'gp_weight=1'] == [['gp_weight=1', '2', '2', '5 ± 0', '5 to 5']]
