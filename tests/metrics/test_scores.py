"""Scores on features that are simple to compute by hand."""

import fnmatch

import numpy as np
import pytest
from scipy.special import rel_entr, softmax

from wgan_jax.metrics import frechet, kernel, neighbours, scores, sliced, ssim
from wgan_jax.metrics.features import registry
from wgan_jax.metrics.features.network import FeatureNetwork
from wgan_jax.metrics.score_table import SCORES

RANDOM = np.random.default_rng(0)


def mean_colours(images):
    """Features: the mean of each quarter of the image, in [0, 1]; logits: 30 times the first three of them."""
    size = images.shape[1] // 2
    parts = images.reshape(len(images), 2, size, 2, size, -1).mean(axis=(2, 4, 5)).reshape(len(images), 4) / 255
    return parts.astype(np.float32), 30 * parts[:, :3].astype(np.float32)


def network(**changes):
    fields = {
        'name': 'quarters',
        'image_shape': (8, 8, 1),
        'num_features': 4,
        'num_classes': 3,
        'weights_sha256': 'none',
        'preprocessing': 'none',
        'apply': mean_colours,
    }
    return FeatureNetwork(**{**fields, **changes})


def images(count, seed=0, low=0):
    """Images of four grey quarters."""
    greys = np.random.default_rng(seed).integers(low, 256, (count, 2, 2, 1), dtype=np.uint8)
    return greys.repeat(4, axis=1).repeat(4, axis=2)


@pytest.fixture(scope='module')
def scorer():
    return scores.Scorer(images(300), images(50, seed=1), network(), num_samples=100)


def test_each_score_is_that_of_its_metric_under_a_name_with_the_count(scorer):
    fake = images(100, seed=2, low=50)
    measured, _ = scorer.score(fake)
    train = scorer._train.images
    assert sorted(map(tuple, train.reshape(300, -1))) == sorted(map(tuple, images(300).reshape(300, -1)))
    (real_features, _), (features, logits) = mean_colours(train), mean_colours(fake)
    moments = frechet.Moments.of(real_features)
    mean, error = kernel.kernel_distance(real_features, features)
    expected = {
        'fd_quarters_100': frechet.frechet_distance(frechet.Moments.of(features), moments),
        'fd_infinity_quarters_100': frechet.frechet_infinity(features, moments),
        'kd_quarters_100': mean,
        'kd_quarters_error_100': error,
        'swd_100': sliced.sliced_wasserstein(train[:100], fake, patches_per_image=32, num_directions=128)['mean'],
        'swd_8_100': sliced.sliced_wasserstein(train[:100], fake, patches_per_image=32, num_directions=128)['8'],
        'ms_ssim_100': ssim.diversity(fake, pairs=2000),
    }
    expected |= {
        f'{name}_quarters_100': value for name, value in neighbours.precision_recall(real_features[:100], features, k=5).items()
    }
    pixels = [part.reshape(len(part), -1).astype(float) for part in (fake[: len(scorer.held_out)], train, scorer.held_out)]
    expected['copying_100'] = neighbours.copying(*pixels)
    shares = softmax(logits.astype(float), axis=1)
    expected['classifier_score_quarters_100'] = np.exp(rel_entr(shares, shares.mean(axis=0)).sum(axis=1).mean())
    taken_for = np.bincount(logits.argmax(axis=1), minlength=3) / 100
    expected |= {'modes_quarters_100': 3, 'kl_to_uniform_quarters_100': rel_entr(taken_for, np.full(3, 1 / 3)).sum()}
    assert set(measured) == set(expected)
    patterns = [pattern for score in SCORES.values() for pattern in (*score.lower, *score.higher, *score.shown)]
    assert all(any(fnmatch.fnmatchcase(name, f'{pattern}_*') for pattern in patterns) for name in measured)
    for name, value in expected.items():
        np.testing.assert_allclose(measured[name], value, rtol=1e-5, atol=1e-9, err_msg=name)


def test_the_floor_has_the_scores_of_the_held_out_images(scorer):
    measured, details = scorer.score(scorer.held_out, real=True)
    assert scorer.floor == measured
    assert scorer.floor_details == details
    assert 'fd_quarters_50' in measured
    assert not any(name.startswith('copying') for name in measured)
    assert scores.Scorer(images(30), None, None, num_samples=20).floor == {}


def test_missing_classes_are_not_modes(scorer):
    fake = images(100, seed=3)
    fake[:, :4, :4] = 255  # all of class 0
    fake[:, 4:, :4] = 0
    fake[:, :4, 4:] = 0
    measured, details = scorer.score(fake)
    assert measured['modes_quarters_100'] == 1
    assert details['classes'] == [1.0, 0.0, 0.0]
    np.testing.assert_allclose(measured['kl_to_uniform_quarters_100'], np.log(3))
    np.testing.assert_allclose(measured['classifier_score_quarters_100'], 1.0, atol=1e-6)


def test_copies_and_their_originals_are_found(scorer):
    copies = scorer._train.images[10:40]
    measured, _ = scorer.score(copies)
    assert measured['copying_30'] == 1.0
    np.testing.assert_array_equal(scorer.nearest(copies), copies)


def test_only_inception_is_called_fid():
    inception = network(name='inception', image_shape=None)
    measured, details = scores.Scorer(images(60), None, inception, num_samples=40).score(images(40, seed=5))
    assert {'fid_40', 'fid_infinity_40', 'kid_40', 'kid_error_40', 'inception_score_40', 'precision_inception_40'} <= set(measured)
    assert not any(name.startswith('modes') for name in measured)  # its classes are not those of the data set
    assert details == {}


def test_scores_are_left_out_if_what_they_need_is_missing():
    small = RANDOM.integers(0, 256, (40, 6, 6, 1), dtype=np.uint8)
    measured, _ = scores.Scorer(small, None, None, num_samples=40).score(small)
    assert set(measured) == {'ms_ssim_40'}
    attributes = network(num_classes=None)
    measured, _ = scores.Scorer(images(60), None, attributes, num_samples=40).score(images(40))
    assert 'fd_quarters_40' in measured
    assert not any(name.startswith(('classifier', 'modes', 'kl')) for name in measured)


def test_the_same_seed_gives_the_same_scores():
    one, other = (scores.Scorer(images(60), images(20, 1), network(), num_samples=40, seed=3) for _ in range(2))
    assert one.score(images(40, 2)) == other.score(images(40, 2))
    assert one.protocol == other.protocol
    assert one.protocol['num_real'] == 60
    assert one.protocol['num_held_out'] == 20


@pytest.mark.parametrize(('features', 'shape'), [('digits_cnn', (8, 8, 1)), (None, (28, 28, 1)), (None, (6, 6, 1))])
def test_what_can_rank_is_what_is_measured(features, shape):
    images = RANDOM.integers(0, 256, (40, *shape), dtype=np.uint8)
    scorer = scores.Scorer(images, None, None if features is None else registry.load(features, None), num_samples=40)
    measured = [name for name in scorer.score(images)[0] if scores.can_choose(name)]
    assert sorted(scores.without_count(name) for name in measured) == sorted(scores.rankable(features, shape))


def test_what_can_rank_with_networks_that_do_not_know_the_classes():
    assert not any('modes' in name for name in scores.rankable('inception', (64, 64, 3)))
    assert {'fid', 'inception_score', 'swd', 'swd_16', 'swd_64'} <= set(scores.rankable('inception', (64, 64, 3)))
    names = scores.rankable('celeba_attributes', (64, 64, 3))
    assert 'fd_celeba_attributes' in names
    assert not any(name.startswith(('classifier', 'modes')) for name in names)


def test_names():
    assert scores.full_name('fd_quarters', 10_000) == scores.full_name('fd_quarters_10k', 10_000) == 'fd_quarters_10k'
    assert scores.full_name(None, 10) is None
    can_choose = {'fid_10k': True, 'kid_error_10k': False, 'kd_x_error_1k': False, 'copying_1k': False, 'ms_ssim_60': False}
    assert {name: scores.can_choose(name) for name in can_choose} == can_choose
    lower = {'fid_10k': True, 'kd_x_1k': True, 'swd_1k': True, 'swd_28_1k': True, 'recall_x_10k': False, 'modes_x_10': False}
    assert {name: scores.lower_is_better(name) for name in lower} == lower
