"""The tables and panels of scores."""

from tests.report.conftest import add_evaluation, evaluation, page_of, write_lines
from wgan_jax.report.score_panels import distinct


def test_several_runs_share_what_can_be_compared_and_nothing_else(make_run):
    runs = [
        make_run('a', steps=(0, 20)),
        make_run('b', gp_weight=0.0, clip_value=0.03, steps=(0, 8, 16)),
        make_run('c/a', loss='minimax'),
    ]
    other = {'features': 'other_cnn', 'data': {'name': 'digits'}}
    # b: only the latest evaluation, by a command, has another protocol; c/a: all of them have.
    add_evaluation(runs[1], 'b', evaluation(20, 9.0, **{**other, 'num_samples': 2000}))
    write_lines(runs[2] / 'evaluations.jsonl', [evaluation(step, 3.0, **{**other, 'num_samples': 2000}) for step in (10, 20)])
    page = page_of(*runs)
    labels = [svg['aria-label'] for svg in page.all('svg', role='img')]
    for name in ('b', 'c/a'):
        assert f'Estimate of {name} over steps' in labels
    assert labels.count('Throughput over steps') == 1
    assert labels.count('fd_digits_cnn_1k over steps') == 2  # a and b; c/a
    assert page.scores()[0] == ['↓', '0.1234', '2.5', '2.5', '1.5', '1.5']  # a and b, while training
    assert page.scores()[1] == ['↓', '0.1234', '10', '4', '9', '3']  # b and c/a
    assert 'the protocols differ in features, num_samples.' in page.text
    assert ['clip_value', 'None', '0.03', 'None'] in page.rows
    assert '3.27 % at ±c = ±0.03' in page.text
    assert page.all('input', type='range')[0]['data-steps'] == '0,8,10,16,20'
    assert len(page.all('img', alt='real images')) == 1  # the same for all runs


def test_evaluations_of_a_run_stand_beside_each_other(make_run):
    """Those with another number of samples in another table; those of the raw generator in another column."""
    path = make_run()
    add_evaluation(path, 'few', evaluation(20, 7.0, num_samples=300, data={'name': 'digits'}))
    add_evaluation(path, 'old', evaluation(5, 8.0, num_samples=300, data={'name': 'digits'}))
    add_evaluation(path, 'raw', evaluation(20, 3.0, generator='raw', data={'name': 'digits'}))
    page = page_of(path)
    assert page.scores() == [['↓', '0.1234', '2.5', '4', '1.5', '3'], ['↓', '0.1234', '8', '7']]
    assert ['generator', 'raw', 'raw'] in page.rows


def test_one_score_is_a_point_with_its_value(make_run):
    page = page_of(make_run(scored=(20,), eval_every=100))
    assert [svg['aria-label'] for svg in page.all('svg', role='img')].count('fd_digits_cnn_1k over steps') == 1
    assert 'has no scores over training' not in page.text
    assert 'set: --config.eval_every=N' in page_of(make_run('other', scored=())).text


def test_a_level_of_the_sliced_distance_that_is_its_mean_stands_once():
    one = {'scores': {'swd_8_1k': 3.0, 'swd_1k': 3.0, 'ms_ssim_1k': 3.0}}
    other = {'scores': {'swd_8_1k': 3.0, 'swd_1k': 4.0, 'ms_ssim_1k': 3.0}}
    assert distinct(one['scores'], [one, one]) == ['swd_1k', 'ms_ssim_1k']
    assert distinct(one['scores'], [one, other]) == ['swd_8_1k', 'swd_1k', 'ms_ssim_1k']


def test_without_held_out_images_there_is_no_column_of_real_images(make_run):
    path = make_run(scored=())
    write_lines(path / 'evaluations.jsonl', [{**evaluation(20, 1.5, num_held_out=0), 'floor': {}, 'as_many': {}}])
    page = page_of(path)
    assert page.scores() == [['↓', '1.5']]
    assert ['1,000 samples'] in page.rows
