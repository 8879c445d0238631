import csv
import re

import jax
import numpy as np
import pytest

from papers import known_distances
from papers.shared import funnel_critics
from papers.shared.funnel_critics import METHODS, scores_of_truth, trained
from wgan_jax.data import funnels

SCORES = ('cosine', 'gradient_error', 'estimate')


def rows_of(path):
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(('dimension', 'count'), [(2, 4), (8, 16)])
def test_the_optimal_critic_has_the_published_distance(dimension, count):
    pair = funnels.load(dimension, count)
    truth = jax.jit(lambda key: scores_of_truth(pair, key))(jax.random.key(0))
    published = known_distances.published_scores()[dimension, count, 'true']
    distance, error = jax.jit(lambda key: funnels.distance(pair, key, 4096))(jax.random.key(1))
    # The estimate is a difference of the means over 4,096 points of P and of Q, and the published one is of as many.
    points = funnels.sample_p(pair, jax.random.key(2), 4096), funnels.sample_q(jax.random.key(3), 4096, dimension)
    deviation = np.sqrt(sum(np.var(funnels.potential(pair, x)) for x in points) / 4096)
    assert deviation < 0.025
    np.testing.assert_allclose(truth.estimate, published['estimate'], atol=4 * np.sqrt(2) * deviation)
    np.testing.assert_allclose(distance, published['estimate'], atol=4 * 2 * float(error))
    assert 0.95 < truth.cosine <= 1 + 1e-6
    assert truth.values.shape == ((funnel_critics.GRID,) * 2 if dimension == 2 else (0, 0))


def test_scores_of_a_critic_that_is_half_of_the_optimal_one(monkeypatch):
    pair = funnels.load(8, 4)
    of_p, of_q = funnels.sample_p(pair, jax.random.key(0), 500), funnels.sample_q(jax.random.key(1), 500, 8)

    class Half:
        params, batch_stats = {}, {}

        @staticmethod
        def apply_fn(variables, images, *, train):
            assert not train
            return -0.5 * funnels.potential(pair, images.reshape(len(images), 8))

    result = funnel_critics._scores(Half, pair, of_p, of_q)
    np.testing.assert_allclose(result.cosine, 1.0, rtol=1e-4)
    np.testing.assert_allclose(result.gradient_error, 0.25, rtol=1e-4)
    expected = 0.5 * (np.mean(funnels.potential(pair, of_q)) - np.mean(funnels.potential(pair, of_p)))
    np.testing.assert_allclose(result.estimate, expected, rtol=1e-5)


def test_only_weights_are_clipped():
    optimizer = funnel_critics._optimizer(METHODS['clip'])
    params = {'Dense_0': {'kernel': np.full((2, 2), 1.0, np.float32), 'bias': np.full(2, 1.0, np.float32)}}
    updates, _ = optimizer.update(jax.tree.map(np.ones_like, params), optimizer.init(params), params)
    moved = jax.tree.map(np.add, params, updates)
    np.testing.assert_allclose(moved['Dense_0']['kernel'], 0.04, rtol=1e-6)
    np.testing.assert_allclose(moved['Dense_0']['bias'], 1 - 2e-4, rtol=1e-6)


def test_the_command_writes_tables_and_pictures_and_trains_nothing_twice(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(known_distances.parallel, 'use_a_device_per_core', lambda most: None)  # the tests have used a device
    monkeypatch.setattr(known_distances.compiling, 'use_compilation_cache', lambda: None)
    for module in (known_distances, funnel_critics):
        monkeypatch.setattr(module, 'POINTS', 256)
    monkeypatch.setattr(known_distances, '_TRUE_POINTS', 512)
    monkeypatch.setattr(known_distances, '_QUICK', 1000)

    def fake(pair, seed, method, updates):  # training has tests of its own
        values = jax.numpy.full((funnel_critics.GRID,) * 2, 1.0 * seed)
        return funnel_critics.Result(0.5 + 0.1 * seed, 0.25 * updates + seed, 3.0 - seed, values)

    monkeypatch.setattr(known_distances, 'trained', fake)
    arguments = ['--quick', '--pairs=2x4', '--methods=clip,max_min', f'--out={tmp_path}']
    known_distances.main(arguments)
    printed = capsys.readouterr().out
    rows = rows_of(tmp_path / 'known_distances.csv')
    assert [(row['dimension'], row['funnels'], row['method'], row['updates'], row['seeds']) for row in rows] == [
        ('2', '4', 'clip', '5', '2'),
        ('2', '4', 'max_min', '25', '2'),
    ]
    assert [bool(row['cosine_published']) for row in rows] == [True, False]
    for row, error in zip(rows, (0.25 * 5, 0.25 * 25), strict=True):
        np.testing.assert_allclose([float(row[f'{name}_mean']) for name in SCORES], [0.55, error + 0.5, 2.5], rtol=1e-6)
        np.testing.assert_allclose([float(row[f'{name}_std']) for name in SCORES], np.sqrt([0.005, 0.5, 0.5]), rtol=1e-5)
    assert '2 dimensions, 4 funnels, weight clipping, c = 0.04, 5 updates: cosine' in printed
    text = (tmp_path / 'known_distances.md').read_text()
    assert re.search(r'^\| 2 dimensions, 4 funnels \| .+ ± .+ \(0\.0722\) \|', text, re.MULTILINE)
    for name in ('known_distances', 'known_distances_plane'):
        assert (tmp_path / f'{name}.png').read_bytes().startswith(b'\x89PNG')
    monkeypatch.setattr(known_distances, 'trained', lambda *_, **__: pytest.fail('trained again'))
    known_distances.main(arguments)
    assert rows_of(tmp_path / 'known_distances.csv') == rows


@pytest.mark.slow
@pytest.mark.parametrize(('method', 'updates'), [('gp', 1500), ('max_min', 1500)])
def test_a_trained_critic_finds_the_distance_and_the_gradient(method, updates):
    pair = funnels.load(4, 4)
    result = jax.jit(lambda seed: trained(pair, seed, METHODS[method], updates))(0)
    published = known_distances.published_scores()[4, 4, 'true']['estimate']
    np.testing.assert_allclose(result.estimate, published, rtol=0.15)
    assert result.cosine > 0.8
    assert result.gradient_error < 0.5


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--pairs=2-4'], "'2-4' is not DIMENSIONxFUNNELS, such as 32x4"),
        (['--pairs=3x4'], 'dimension=3'),
        (['--methods=gp,hinge'], "'hinge' is unknown; known: clip, gp, lp, spectral, full_sort, max_min"),
        (['--seeds=0'], "'0' must be a whole number of at least 1"),
    ],
)
def test_mistyped_options_are_answered(arguments, message, capsys):
    with pytest.raises(SystemExit, match=r'^2$'):
        known_distances.main(arguments)
    assert message in capsys.readouterr().err
