import numpy as np
import pytest

from configs import toy_wgan_gp
from tests.tiny_runs import final_state, images_of, lines, stop_at, tiny, train
from wgan_jax.algorithm.state import generate
from wgan_jax.errors import UserError
from wgan_jax.metrics.distances import costs_between, earth_movers_distance
from wgan_jax.runs.build import prepare, prepare_group
from wgan_jax.runs.members import combine
from wgan_jax.runs.saved_run import open_run
from wgan_jax.training import exact_distance, group
from wgan_jax.training.exact_distance import measure

COLUMNS = ('wasserstein_true', 'wasserstein_floor')


def config_of(**changes):
    return tiny(toy_wgan_gp, **{'exact_points': 16, 'sample_every': 12, **changes})


def by_program(x, y):
    """The distance between two samples as the linear program of equation 1."""
    weights = np.full(len(x), 1 / len(x))
    return earth_movers_distance(weights, weights, costs_between(x, y)).cost


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp('exact')
    assert train(config_of(), directory) is None
    return directory


def test_both_columns_are_distances_between_samples():
    generated, real = np.random.default_rng(0).normal(size=(2, 12, 1, 1, 3)).astype(np.float32)
    found = measure(generated, real, seed=3, step=40)
    chosen = np.random.Generator(np.random.Philox([3, 40, 2**20])).integers(12, size=24)
    points, others = real[chosen].reshape(2, 12, 3)
    np.testing.assert_allclose(found['wasserstein_true'], by_program(points, generated[:, 0, 0]), rtol=1e-6)
    np.testing.assert_allclose(found['wasserstein_floor'], by_program(points, others), rtol=1e-6)
    far = measure(generated + 1000, real, seed=3, step=40)
    assert far['wasserstein_floor'] == found['wasserstein_floor']
    np.testing.assert_allclose(far['wasserstein_true'], 1000 * np.sqrt(3), rtol=2e-3)


def test_points_are_drawn_by_seed_and_step():
    generated, real = np.random.default_rng(0).normal(size=(2, 12, 1, 1, 3))
    floors = {measure(generated, real, seed, step)['wasserstein_floor'] for seed in (0, 1) for step in (4, 8)}
    assert len(floors) == 4
    one, other = (exact_distance.latents(prepare(config_of()), step) for step in (4, 8))
    assert one.shape == (16, 3)
    assert not np.isin(one, other).any()


def test_points_that_are_not_finite_have_no_distance():
    generated, real = np.random.default_rng(0).normal(size=(2, 12, 1, 1, 3))
    generated[3] = np.inf
    found = measure(generated, real, seed=0, step=1)
    assert np.isnan(found['wasserstein_true'])
    assert np.isfinite(found['wasserstein_floor'])


def test_the_logged_distance_is_that_of_the_generator_that_the_critic_sees(run):
    saved = open_run(str(run))
    generated = generate(saved.state.replace(ema=None), exact_distance.latents(saved.experiment, 12))
    expected = measure(np.asarray(generated), images_of(config_of()), saved.experiment.seed, 12)
    last = lines(run)[-1]
    assert last['step'] == 12
    np.testing.assert_allclose([last[name] for name in COLUMNS], [expected[name] for name in COLUMNS], rtol=1e-5)
    averaged = generate(saved.state, exact_distance.latents(saved.experiment, 12))
    assert abs(measure(np.asarray(averaged), images_of(config_of()), 0, 12)['wasserstein_true'] - last['wasserstein_true']) > 1e-3


def test_training_and_all_other_columns_are_as_without_it(run, tmp_path):
    config = config_of(exact_points=None)
    assert train(config, tmp_path) is None
    without, found = lines(tmp_path), lines(run)
    assert [set(line) & set(COLUMNS) for line in found] == [set(COLUMNS)] * 3
    assert without == [{name: value for name, value in line.items() if name not in COLUMNS} for line in found]
    (_, leaves), (_, others) = final_state(run, config), final_state(tmp_path, config)
    for x, y in zip(leaves, others, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize('step', [6, pytest.param(8, marks=pytest.mark.slow)])
def test_a_resumed_run_has_the_same_distances(run, tmp_path, monkeypatch, step):
    with monkeypatch.context() as patch:
        stop_at(step, patch)
        assert train(config_of(), tmp_path) is not None
    assert train(config_of(), tmp_path) is None
    assert lines(tmp_path) == lines(run)


def test_a_run_may_continue_with_more_points(run, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(5, patch)
        assert train(config_of(), tmp_path) is not None
    assert train(config_of(exact_points=8), tmp_path) is None
    one, other = lines(run), lines(tmp_path)
    assert one[0] == other[0]
    assert [one[2][name] == other[2][name] for name in ('critic_loss', *COLUMNS)] == [True, False, False]


@pytest.mark.slow
def test_each_member_of_a_group_logs_its_own(run, tmp_path, monkeypatch):
    monkeypatch.setattr(group, 'write_report', lambda run_dirs, into: None)
    assert group.train_group(prepare_group(combine(config_of(), {'': {}}, 2)), str(tmp_path)) is None
    members = [lines(tmp_path / f'seed_{seed}') for seed in (0, 1)]
    alone = [[line[name] for name in COLUMNS] for line in lines(run)]
    np.testing.assert_allclose([[line[name] for name in COLUMNS] for line in members[0]], alone, rtol=1e-4)
    assert members[0][0]['wasserstein_true'] != members[1][0]['wasserstein_true']


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'exact_points': 0}, 'config.exact_points=0 must be greater than 0.'),
        ({'exact_points': 2001}, 'config.exact_points=2001 must be at most 2000: the time of an exact distance grows'),
        ({}, 'config.exact_points=16 asks for exact distances, which are for points only'),
    ],
)
def test_what_cannot_be_computed_is_refused(changes, message):
    config = config_of(**changes) if changes else tiny(exact_points=16)
    with pytest.raises(UserError, match=f'^{message}'):
        prepare(config)


def test_many_dimensions_draw_a_warning(capsys):
    config = config_of()
    config.data.update(name='w1_funnels', dimension=32)
    prepare(config)
    assert 'In 32 dimensions the distance between two samples is mostly sampling error' in capsys.readouterr().out
    config.data.dimension = 4
    prepare(config)
    assert 'sampling error' not in capsys.readouterr().out
