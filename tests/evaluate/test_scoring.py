"""Scores of a run during and after training, and the output of the command."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.tiny_runs import assert_same_run, final_state, images_of, lines, prepared, stop_at, tiny, train
from wgan_jax.errors import UserError
from wgan_jax.evaluate import __main__ as program
from wgan_jax.evaluate import command, scoring
from wgan_jax.runs.record import read_evaluations
from wgan_jax.runs.saved_run import open_run


def scored(**changes):
    """tiny() with scores after 6 and 12 rounds."""
    changes = {'eval_every': 6, 'eval_num_samples': 60, 'best_metric': 'fd_digits_cnn', 'checkpoints_to_keep': 1, **changes}
    return tiny(**changes)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp('runs') / 'scored'
    train(scored(), directory)
    return directory


def test_a_run_is_scored_at_the_interval_and_its_training_is_the_same(run, straight):
    records = read_evaluations(run)
    assert [record['step'] for record in records] == [6, 12]
    for record in records:
        assert record['scores']['fd_digits_cnn_60'] > 0
        assert record['floor']['fd_digits_cnn_60'] == records[0]['floor']['fd_digits_cnn_60']
        np.testing.assert_allclose(sum(record['classes']), 1.0)
        assert sum(record['critic']['slope_counts']) == 1024
        assert record['protocol']['num_real'] == 1500
        assert record['protocol']['num_held_out'] == 60
        assert record['protocol']['generator'] == 'exponential moving average'
    assert records[0]['scores'] != records[1]['scores']
    assert lines(straight) == lines(run)
    (_, one), (_, other) = final_state(run, scored()), final_state(straight, tiny())
    for x, y in zip(one, other, strict=True):
        np.testing.assert_array_equal(x, y)
    assert not (straight / 'evaluations.jsonl').exists()


def test_a_run_that_was_stopped_has_the_scores_of_one_that_was_not(run, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(7, patch)
        train(scored(), tmp_path)
    with (tmp_path / 'evaluations.jsonl').open('a') as file:
        file.write('{"step": 12, "sco')  # as if a process had been killed while it wrote
    train(scored(), tmp_path)
    assert read_evaluations(tmp_path) == read_evaluations(run)
    assert_same_run(tmp_path, run, scored())


@pytest.mark.parametrize('best_metric', ['fd_digits_cnn', pytest.param(None, marks=pytest.mark.slow)])
def test_the_last_step_is_scored_until_the_run_is_extended(run, tmp_path, capsys, best_metric):
    """However short the run; an extended run has the record of one that ran through."""
    for num_steps, steps in ((4, [4]), (8, [6, 8]), (12, [6, 12])):
        train(scored(num_steps=num_steps, best_metric=best_metric), tmp_path)
        assert [record['step'] for record in read_evaluations(tmp_path)] == steps
    assert read_evaluations(tmp_path) == read_evaluations(run)
    assert lines(tmp_path) == lines(run)
    if best_metric is not None:
        assert open_run(str(tmp_path), 'best').step == open_run(str(run), 'best').step
        assert not (tmp_path / 'checkpoints' / '8').exists()  # whatever its score
    assert 'Warning' not in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_that_was_killed_between_saving_and_scoring_is_scored_by_the_same_command(run, tmp_path, capsys):
    """After the last checkpoint, and after one before it."""
    config = scored(best_metric=None, checkpoint_every=6, checkpoints_to_keep=2)
    train(config, tmp_path)
    for lost_lines, directories in ((1, ()), (2, ('12',))):
        path = tmp_path / 'evaluations.jsonl'
        path.write_text(''.join(path.read_text().splitlines(keepends=True)[:-lost_lines]))
        for directory in directories:
            shutil.rmtree(tmp_path / 'checkpoints' / directory)
        train(config, tmp_path)
        assert read_evaluations(tmp_path) == read_evaluations(run)
        train(config, tmp_path)  # scores nothing twice
        assert read_evaluations(tmp_path) == read_evaluations(run)
    assert 'Warning' not in capsys.readouterr().out


def test_the_probe_trains_and_measures_on_different_images():
    config = scored(best_metric=None)
    images = images_of(config)[:100]
    evaluated = scoring.Scoring(prepared(config), images)
    sample = evaluated._train_sample.reshape(1024, -1)
    measured, others = ({row.tobytes() for row in part} for part in (sample[:256], sample[256:]))
    assert not measured & others
    assert len(measured | others) == len({row.tobytes() for row in images.reshape(100, -1)})


@pytest.mark.slow
def test_the_probe_trains_as_its_own_run_does_whatever_optimizer_a_state_brings():
    usual, fast, noisy = scored(best_metric=None), scored(best_metric=None), scored(best_metric=None, image_noise=0.5)
    fast.critic_optimizer.learning_rate = 0.01
    images, states = images_of(usual), [prepared(config).create_state() for config in (usual, fast)]
    probes = [
        [scoring.Scoring(prepared(config), images)(state)['critic']['probe_after'] for state in states]
        for config in (usual, fast, noisy)
    ]
    assert [probe[0] for probe in probes] == [probe[1] for probe in probes]
    assert len({probe[0] for probe in probes}) == 3


@pytest.mark.slow
def test_with_fewer_held_out_images_as_few_samples_are_scored_as_well(run):
    config = scored(eval_num_samples=400, best_metric=None)
    evaluated = scoring.Scoring(prepared(config), images_of(config))
    report = evaluated(open_run(str(run)).state)
    assert {'fd_digits_cnn_297', 'swd_297'} <= set(report['as_many']) == set(report['floor'])
    assert 'fd_digits_cnn_400' in report['scores']
    assert read_evaluations(run)[0]['as_many'] == {}


def test_the_command_gives_the_numbers_of_training_and_the_best_step(run, tmp_path, capsys):
    records = read_evaluations(run)
    best = min(records, key=lambda record: record['scores']['fd_digits_cnn_60'])
    program.main([f'--workdir={run}', '--step=best', f'--out={tmp_path / "out"}', f'--images={tmp_path / "images"}'])
    report = json.loads((tmp_path / 'out' / f'step_{best["step"]:06d}_digits_cnn_60.json').read_text())
    assert report['step'] == best['step']
    for name in ('scores', 'floor', 'classes', 'critic'):
        assert report[name] == best[name]
    printed = capsys.readouterr().out
    assert f'step {best["step"]}: 60 samples (exponential moving average generator) against 1500 training images' in printed
    value = best['scores']['fd_digits_cnn_60']
    assert any(line.split()[:2] == ['fd_digits_cnn_60', f'{value:.4g}'] for line in printed.splitlines())
    for name in ('samples', 'nearest', 'critic', 'classes', 'progress'):
        Image.open(tmp_path / 'out' / f'{name}.png').verify()
    samples = sorted((tmp_path / 'images' / 'samples').iterdir())
    assert [path.name for path in samples] == [f'{number:06d}.png' for number in range(60)]
    saved_run = open_run(str(run), 'best')
    images = saved_run.experiment.data.source.load()
    expected = scoring.Scoring(saved_run.experiment, images).samples(saved_run.state)
    np.testing.assert_array_equal(np.stack([np.asarray(Image.open(path)) for path in samples])[..., None], expected)
    real = {np.asarray(Image.open(path)).tobytes() for path in (tmp_path / 'images' / 'real').iterdir()}
    assert real < {image.tobytes() for image in images}
    assert len(real) > 50


def test_raw_and_the_seed_change_the_numbers(run, tmp_path, monkeypatch):
    monkeypatch.setattr(command, '_draw', lambda *arguments: None)  # takes longer than the rest

    def report(*arguments):
        return command.evaluate(program.parse([f'--workdir={run}', f'--out={tmp_path}', '--features=none', *arguments]))[0]

    average, raw, reseeded = read_evaluations(run)[-1], report('--raw'), report('--seed=1')
    assert [each['protocol']['generator'] for each in (average, raw, reseeded)] == [
        'exponential moving average',
        'raw',
        average['protocol']['generator'],
    ]
    assert [each['protocol']['seed'] for each in (average, raw, reseeded)] == [0, 0, 1]
    assert len({each['scores']['swd_60'] for each in (average, raw, reseeded)}) == 3
    assert 'fd_digits_cnn_60' not in raw['scores']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--workdir=nowhere'], r'Error: nowhere is no directory; give the directory of a run\.'),
        (['--workdir=~nobody-here/run'], r'Error: --workdir=~nobody-here/run starts with the home directory of an unknown user'),
        (['--step=3'], r'--step=3 is not a checkpoint of .*; there are: '),
        (['--features=inceptoin'], r"config\.eval_features='inceptoin' is unknown"),
        (['--features=mnist_cnn'], r'mnist_cnn takes images of 28x28x1, but these are 8x8x1'),
        (['--num_samples=10'], r'config\.eval_num_samples=10 is too small: scores need at least 20'),
        (['--images=FULL'], r'FULL.samples is not empty'),
        (['--out=FILE/out'], r'cannot be created \(Not a directory\)'),
    ],
)
def test_mistakes_are_reported_in_one_sentence(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'FULL' / 'samples').mkdir(parents=True)
    (tmp_path / 'FULL' / 'samples' / 'photo.png').write_bytes(b'')
    (tmp_path / 'FILE').write_text('')
    with pytest.raises(SystemExit, match=message):
        program.main([f'--workdir={run}', f'--out={tmp_path / "out"}', '--num_samples=20', *arguments])


def test_other_images_are_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(command, 'identity', lambda images: {'num_images': 3, 'crc32': 1})
    with pytest.raises(UserError, match=r'was trained on other images .* give their place with --data\.dir'):
        command.evaluate(program.parse([f'--workdir={run}', f'--out={tmp_path / "out"}', f'--images={tmp_path / "images"}']))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_command_runs_on_any_number_of_devices(tmp_path, monkeypatch):
    config = scored(num_steps=4, eval_every=None, best_metric=None)
    config.generator.norm = None
    train(config, tmp_path)
    for number in (3, 16):  # 8 images are a batch
        monkeypatch.setattr(scoring.jax, 'device_count', lambda number=number: number)
        report, _ = command.evaluate(program.parse([f'--workdir={tmp_path}', '--features=none', '--num_samples=20']))
        assert np.isfinite(report['critic']['probe_gain'])


@pytest.mark.slow
def test_with_batch_norm_the_critics_diagnostics_do_not_depend_on_the_number_of_devices(run, tmp_path, monkeypatch):
    for number in (1, 2, 3):
        monkeypatch.setattr(scoring.jax, 'device_count', lambda number=number: number)
        arguments = program.parse([f'--workdir={run}', f'--out={tmp_path}', '--features=none', '--num_samples=20'])
        report, _ = command.evaluate(arguments)
        assert report['critic'] == read_evaluations(run)[-1]['critic']


@pytest.mark.slow
def test_the_best_metric_may_be_named_with_the_number_of_samples(tmp_path):
    config = scored(num_steps=6, best_metric='fd_digits_cnn_60')
    train(config, tmp_path)
    assert open_run(str(tmp_path), 'best').step == 6
    with pytest.raises(UserError, match=r"best_metric='fd_digits_cnn_64' is not a score"):
        train(scored(best_metric='fd_digits_cnn_64'), tmp_path / 'other')


def test_settings_of_scores_are_checked_before_training(tmp_path):
    with pytest.raises(
        UserError, match=r"best_metric='fdd' is not a score that can rank the checkpoints of this run; known: fd_digits_cnn, .*swd"
    ):
        train(scored(best_metric='fdd'), tmp_path / 'a')
    with pytest.raises(UserError, match=r"best_metric='copying' is not a score that can rank the checkpoints"):
        train(scored(best_metric='copying'), tmp_path / 'd')
    assert not [*tmp_path.glob('*/metrics.jsonl')]
    with pytest.raises(UserError, match=r'best_metric=fid is never measured: set config\.eval_every'):
        train(scored(eval_every=None, best_metric='fid'), tmp_path / 'b')
    with pytest.raises(UserError, match=r'eval_features=mnist_cnn takes images of 28x28x1'):
        train(scored(eval_features='mnist_cnn'), tmp_path / 'c')


def test_without_held_out_images_scores_have_no_floor(run):
    config = scored(best_metric=None, eval_features='none')
    config.data.split = 'all'
    report = scoring.Scoring(prepared(config), images_of(config))(open_run(str(run)).state)
    assert report['floor'] == {}
    assert 'estimate_held_out' not in report['critic']
    assert 'swd_60' in report['scores']
    assert 'copying_60' not in report['scores']
