"""What scoring refuses: too little memory, and held-out images that a strict config requires."""

import jax
import pytest

from tests.tiny_runs import images_of, prepared, tiny
from wgan_jax.errors import LocalError, UserError
from wgan_jax.evaluate import scoring
from wgan_jax.metrics.scores import Scorer


@pytest.fixture(scope='module')
def experiment():
    return prepared(tiny(eval_every=6, eval_num_samples=60))


@pytest.mark.parametrize('error', [MemoryError(), jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: Out of memory')])
def test_too_little_memory_is_reported_in_a_sentence(experiment, monkeypatch, error):
    def fail(*arguments, **options):
        raise error

    message = (
        r'^Scores need more memory than there is: set a smaller number of samples \(config\.eval_num_samples, or --num_samples'
    )
    images, state = images_of(tiny()), experiment.create_state()
    score = scoring.Scoring(experiment, images)
    monkeypatch.setattr(scoring, 'in_batches', fail)
    with pytest.raises(LocalError, match=message):  # the other processes must not wait for this one
        score(state)
    monkeypatch.setattr(Scorer, '__init__', fail)
    with pytest.raises(UserError, match=message):
        scoring.Scoring(experiment, images)


def test_other_errors_of_a_device_are_not_about_memory(experiment, monkeypatch):
    def fail(*arguments, **options):
        raise jax.errors.JaxRuntimeError('INTERNAL: something else')

    score = scoring.Scoring(experiment, images_of(tiny()))
    monkeypatch.setattr(scoring, 'in_batches', fail)
    with pytest.raises(jax.errors.JaxRuntimeError, match='INTERNAL'):
        score(experiment.create_state())


@pytest.mark.parametrize('strict', [False, True])
def test_held_out_images_that_cannot_be_used_are_an_error_if_all_are_required(experiment, capsys, strict):
    def broken():
        raise UserError('2 of 30 files cannot be used.')

    data = experiment.data
    settings = {**data.settings, 'strict': strict}
    data = data._replace(source=data.source._replace(held_out=broken), settings=settings)
    if strict:
        with pytest.raises(UserError, match=r'^2 of 30 files cannot be used\.$'):
            scoring.Scoring(experiment._replace(data=data), images_of(tiny()))
    else:
        assert scoring.Scoring(experiment._replace(data=data), images_of(tiny())).scorer.held_out is None
        assert 'Warning: the held-out images cannot be loaded' in capsys.readouterr().out
