"""The page, parsed as HTML."""

import json
import re

import numpy as np
import pytest

from tests.report.conftest import Page, add_evaluation, add_start, evaluation, page_of, write_lines, write_run
from wgan_jax.errors import UserError
from wgan_jax.report import __main__ as command
from wgan_jax.report import drawing
from wgan_jax.report.page import render, write
from wgan_jax.report.read_runs import Curve, read_runs
from wgan_jax.runs.files import save_png


@pytest.fixture(scope='module')
def one_run(tmp_path_factory):
    """A run with the default config but for one key, and its page."""
    path = write_run(tmp_path_factory.mktemp('report') / 'one', gp_weight=7.0)
    return path, render(read_runs([path]))


def test_the_values_of_a_run(one_run):
    page = Page(one_run[1])
    for words in ('WGAN-GP, weight 7.0', 'Steps 20', 'Training 2 min 2 s', '2,510 images/s (median)', 'TPU v9', '1.25 ± 0.5'):
        assert words in page.text
    assert page.scores() == [['↓', '0.1234', '2.5', '1.5']]
    assert page.scores('copying') == [['0.4321']]
    assert ['297 images', '1,000 samples'] in page.rows
    assert ['score', 'real', 'one', 'one'] in page.rows
    sentence = (
        'After 20 steps, WGAN-GP on digits has a Fréchet distance of 2.5 (297 samples, lower is better; 0.123 for real images '
    )
    assert sentence in page.text
    assert ['gp_weight', '7.0'] in page.rows
    # estimate, two losses, penalty and throughput; two scores; four of the critic; classes
    assert len(page.all('svg', role='img')) == 12
    assert [picture['data-step'] for picture in page.all('img') if 'data-step' in picture] == ['0', '10', '20']
    assert page.all('input', type='range')[0]['data-steps'] == '0,10,20'
    assert 'python -m wgan_jax.evaluate /' in page.text  # for nearest.png


def test_the_page_needs_nothing_outside_itself_and_is_the_same_each_time(one_run):
    path, source = one_run
    assert re.findall(r'https?:|url\((?!#)|@import', source) == []
    page = Page(source)
    assert {found[key][0] for _, found in page.elements for key in ('href', 'xlink:href') if key in found} == {'#'}
    assert render(read_runs([path])) == source


def test_each_run_has_its_own_name(make_run):
    paths = [make_run('x/run'), make_run('y/run'), make_run('z')]
    assert [record.name for record in read_runs([*paths, paths[2]])] == ['x/run', 'y/run', 'z', 'z (2)']


def test_nothing_of_a_run_is_taken_for_html(make_run):
    evil = '</script><script>alert(1)</script><img src=x onerror=alert(1)>$x$'
    path = make_run(evil.replace('/', '\N{FRACTION SLASH}'), loss=evil, **{'data.folder': evil, 'data.name': f'"{evil}'})
    bad = evaluation(20, 1.5, device=evil, features=evil)
    bad['scores'] = {f'{evil}_1k': 1.0}
    bad['critic'] = {**bad['critic'], 'layers': ['</svg><b>$x$', '<script>']}
    write_lines(path / 'evaluations.jsonl', [bad, {**bad, 'step': 30}])
    (path / 'checkpoints' / '3' / 'meta').mkdir(parents=True)
    add_start(path, command=evil, devices=[evil], versions={evil: [evil]}, commit=evil, processes=evil, date={evil: evil})
    source = render(read_runs([path]))
    assert source.count('<script') == 1
    page = Page(source)
    assert {tag for tag, _ in page.elements if tag in ('iframe', 'object', 'base', 'link')} == set()
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith('on')]
    assert all(picture['src'].startswith('data:image/') for picture in page.all('img'))
    assert evil in page.text
    (policy,) = (meta['content'] for meta in page.all('meta') if 'content' in meta and 'default-src' in meta['content'])
    assert policy.startswith("default-src 'none';")


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_damaged_files_leave_a_page_of_what_is_whole(make_run, capsys):
    path = make_run(lines=4)
    odd = {'wasserstein_estimate': '<b>', 'critic_loss': 10**400, 'generator_loss': True, 'seconds': 9.0}
    with (path / 'metrics.jsonl').open('a') as file:
        file.write('{"step": 5, "critic_lo\n[1]\n' + '[' * 100_000 + '\n')
        file.write(f'{json.dumps({"step": 10**400, "seconds": 1})}\n{json.dumps({"step": 6, **odd})}\n')
        file.write('{"step": 7, "critic_loss": NaN, "generator_loss": -Infinity, "seconds": 12}\n{"st')
    (path / 'evaluations.jsonl').write_text(json.dumps({**evaluation(9, 1.5), 'critic': {'layers': 3}, 'classes': 'no'}) + '\n{}\n')
    add_evaluation(path, 'deep', None, '[' * 100_000)
    add_evaluation(path, 'other', {'step': 20})
    (path / 'config.json').write_text('{"num_steps"')
    (path / 'samples' / 'step_000010.png').write_bytes(b'\x89PNG\r\n\x1a\nno')
    (path / 'checkpoints' / '9' / 'meta').mkdir(parents=True)
    (path / 'checkpoints' / '9' / 'meta' / 'metadata').write_text('{"crc32": 1}')
    page = page_of(path)
    assert 'Warning' in capsys.readouterr().out
    assert 'config.json is missing or damaged' in page.text
    assert '5 values are not finite numbers' in page.text
    assert '1 of 3 pictures are damaged and not shown' in page.text
    assert 'Steps 7' in page.text
    assert page.scores() == [['↓', '0.1234', '2.5', '1.5']]
    assert [picture['data-step'] for picture in page.all('img') if 'data-step' in picture] == ['0', '20']


def test_a_config_of_other_kinds_is_shown_as_it_is(make_run):
    path = make_run(scored=())
    odd = {'loss': ['x'], 'gp_weight': 'y', 'data': {'name': {}}, 'num_steps': None, 'a b': 'c'}
    (path / 'config.json').write_text(json.dumps(odd))
    page = page_of(path)
    assert ['a b', 'c'] in page.rows
    assert "['x'], with penalty, weight y" in page.text


def test_a_run_that_has_only_begun(make_run):
    path = make_run(lines=0, scored=(), steps=(), **{'num_steps': 9})
    page = page_of(path)
    for words in ('Steps 0 of 9', 'has no log point yet', 'has no scores yet. To compute them:', 'has no pictures of samples'):
        assert words in page.text
    assert page.all('svg') == page.all('input') == []


@pytest.mark.parametrize('name', ['swiss_roll', 'w1_funnels'])
def test_points_have_pictures_and_no_scores(make_run, name):
    page = page_of(make_run(scored=(), shape=(40, 60, 3), **{'data.name': name}))
    assert [section['id'] for section in page.all('section')] == ['samples', 'training', 'config']
    assert 'Real points' in page.text
    assert 'python -m wgan_jax' not in page.text  # neither scores nor walks
    assert len(page.all('img')) == 4


def test_walks_and_nearest_images_are_in_the_page_unless_they_are_too_large(make_run):
    runs = [make_run(name, lines=0, scored=(), steps=()) for name in ('gif', 'mp4', 'large', 'without')]
    for run, name, size in zip(runs, ('walk.gif', 'walk.mp4', 'walk.gif'), (10, 10, 1_000_001), strict=False):
        (run / 'generated').mkdir()
        (run / 'generated' / name).write_bytes(b'x' * size)
    (runs[1] / 'generated' / 'walk.gif').write_bytes(b'x' * 1_000_001)  # then the film is enough
    save_png(np.zeros((9, 9, 1), np.uint8), runs[3] / 'evaluation' / 'nearest.png')
    page = page_of(*runs)
    assert [picture['alt'] for picture in page.all('img', src='data:image/gif;base64,eHh4eHh4eHh4eA==')] == ['latent walk of gif']
    assert len(page.all('video', src='data:video/mp4;base64,eHh4eHh4eHh4eA==')) == 1
    assert 'large has a latent walk that is too large for this page:' in page.text
    assert 'mp4 has a latent walk' not in page.text
    assert f'without has no latent walk yet. To make it: python -m wgan_jax.sample {runs[3]} --walk' in page.text
    assert len(page.all('img', alt='samples of without and the nearest training images')) == 1
    assert 'gif has no picture of nearest images yet' in page.text


def test_a_directory_without_a_run_is_refused(tmp_path, make_run):
    with pytest.raises(SystemExit, match=r'Error: .*/nothing holds no run: it contains neither config\.json nor metrics\.jsonl\.'):
        command.main([str(make_run()), str(tmp_path / 'nothing'), f'--out={tmp_path / "x.html"}'])
    assert not (tmp_path / 'x.html').exists()
    with pytest.raises(SystemExit, match='2'):
        command.main([str(make_run('another')), f'--out={tmp_path}'])
    path = make_run('other')
    (path / 'metrics.jsonl').unlink()
    (path / 'metrics.jsonl').mkdir()
    with pytest.raises(UserError, match=r'metrics\.jsonl cannot be read \(Is a directory\)'):
        read_runs([path])


def test_a_long_run_becomes_a_page_of_five_megabytes_at_most(make_run, tmp_path):
    noise = save_png(np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8), tmp_path / 'noise.png')
    path = make_run(lines=5000, steps=range(0, 101, 2), scored=())
    for picture in (path / 'samples').iterdir():
        picture.write_bytes(noise)
    size = write([path], tmp_path / 'report.html')
    assert size == (tmp_path / 'report.html').stat().st_size < 5_000_000
    page = Page((tmp_path / 'report.html').read_text())
    steps = [int(step) for step in page.all('input', type='range')[0]['data-steps'].split(',')]
    assert (len(steps), steps[0], steps[-1]) == (40, 0, 100)
    assert set(np.diff(steps)) <= {2, 4}
    for words in ('40 of 51 pictures are shown', '40 pictures are compressed', 'more than 2,000 points are cut into 1,000 parts'):
        assert words in page.text


def test_a_thinned_curve_keeps_every_extreme():
    values = np.random.default_rng(0).standard_normal(100_000)
    values[[777, 55_555]] = 99.0, -99.0
    thinned = drawing.thin(Curve(np.arange(100_000), values, 0))
    assert len(thinned.steps) == 2000
    assert (thinned.steps[thinned.values.argmax()], thinned.steps[thinned.values.argmin()]) == (777, 55_555)
    np.testing.assert_array_equal(values[thinned.steps], thinned.values)


def test_the_median_filter_lasts_as_long_as_that_of_the_authors():
    values = np.random.default_rng(0).standard_normal(500)
    curve = Curve(np.arange(20, 20 * 501, 20), values, 0)
    assert drawing.filter_window(curve) == 7  # 7 * 20 >= 101 > 5 * 20
    assert drawing.filter_window(curve._replace(steps=np.arange(500))) == 101
    filtered = drawing.median_filtered(curve, 7).values
    np.testing.assert_array_equal(filtered[3:-3], [np.median(values[place - 3 : place + 4]) for place in range(3, 497)])


def test_the_filtered_line_begins_and_ends_on_its_data():
    values = np.array([9.0, 5.0, 4.0, 7.0, 1.0, 0.0])
    for count, expected in ((6, [9, 5, 5, 4, 1, 0]), (5, [9, 5, 5, 4, 1]), (2, [9, 5]), (1, [9]), (0, [])):
        filtered = drawing.median_filtered(Curve(np.arange(count), values[:count], 0), 7).values
        np.testing.assert_array_equal(filtered, expected)
