"""Losses and parameters that are not finite, or soon will not be."""

import contextlib
import gc
import io
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import digits_wgan
from tests.program.test_several_processes import KEYS, Processes
from tests.tiny_runs import assert_same_run, lines, prepared, stop_at, tiny, train
from wgan_jax.algorithm import noise
from wgan_jax.errors import UserError
from wgan_jax.training import trainer
from wgan_jax.training.not_finite import Diverged, Watch
from wgan_jax.training.rounds import Rounds


def test_the_error_names_metrics_first_and_counts_the_rest():
    nan, one = jnp.full(3, jnp.nan), jnp.ones(2)
    state = {'critic': {'bias': nan, 'kernel': one}, 'generator': {'bias': nan, 'kernel': -jnp.inf * one}}
    error = Diverged(state, {'critic_loss': jnp.inf, 'rounds': one}, 5, 9, 4, 0)
    assert str(error) == (
        'Training diverged between steps 5 and 9: critic_loss, critic.bias, generator.bias and 1 more are not finite.'
    )
    others, last = (
        'a smaller learning rate or another config.seed, with another --workdir',
        'The last checkpoint is that of step 4.',
    )
    rewind = 'Try --config.on_nan=rewind, which goes back to it and continues with other noise'
    assert error.advice(0) == f'{last} {rewind}, or {others}.'
    assert error.advice(3) == f'{last} The run has gone back 0 times already: try {others}, or a larger config.max_rewinds.'
    alone = Diverged({'critic': {'bias': nan}}, {'critic_loss': one}, 0, 1, None, 0)
    assert str(alone) == 'Training diverged between steps 0 and 1: critic.bias is not finite.'
    begins = 'Nothing is saved yet. Try --config.on_nan=rewind, which starts again with other noise, or'
    assert alone.advice(0) == f'{begins} {others}.'


def test_an_estimate_that_explodes_draws_one_warning_per_factor_of_ten():
    watch = Watch((8, 8, 1), None)  # the diagonal of [-1, 1]^64 is 16
    assert watch.warning(1, 160.0) is None
    assert watch.warning(1, -160.0) is None
    assert watch.warning(2, -161.0) == (
        'Warning: at step 2 the estimate is -161, and two images of this size are at most 16 apart: the critic has slopes far '
        'above 1, and training is about to diverge. Try a smaller learning rate, or a larger config.gp_weight.'
    )
    assert watch.warning(3, 1600.0) is None
    assert 'at step 4 the estimate is 1.7e+03' in watch.warning(4, 1700.0)
    assert Watch((8, 8, 1), 0.01).warning(1, 1e30) is None  # what clipping bounds
    assert Watch((1, 1, 2), None).warning(1, 1e30) is None  # points lie anywhere


@pytest.mark.slow
def test_a_run_without_a_bound_draws_a_warning(tmp_path, capsys):
    config = tiny(digits_wgan, num_steps=8, clip_value=None)
    config.critic_optimizer.learning_rate = 1.0
    assert train(config, tmp_path) is None
    estimates = [abs(line['wasserstein_estimate']) for line in lines(tmp_path)]
    assert max(estimates) > 160
    first = next(line['step'] for line in lines(tmp_path) if abs(line['wasserstein_estimate']) > 160)
    assert f'Warning: at step {first} the estimate is' in capsys.readouterr().out


def diverging(monkeypatch, at, times=1):
    """The generator is NaN from step `at` on, until the run has gone back `times` times."""
    base = prepared(tiny()).train_key
    bad = [np.asarray(jax.random.key_data(noise.after_rewinds(base, rewinds))) for rewinds in range(times)]
    advance = Rounds.advance

    def advance_and_diverge(self, *carry):
        rounds, state, sums = advance(self, *carry)
        if self.step >= at and any((np.asarray(jax.random.key_data(self._key)) == key).all() for key in bad):
            generator = state.generator.replace(params=jax.tree.map(lambda leaf: leaf * jnp.nan, state.generator.params))
            state = state.replace(generator=generator)
        return rounds, state, sums

    monkeypatch.setattr(Rounds, 'advance', advance_and_diverge)


def rewinding(**changes):
    return tiny(on_nan='rewind', **changes)


@pytest.fixture(scope='module')
def rewound(tmp_path_factory):
    """(the directory of a run that diverges at step 7 and goes back to step 5, its output)."""
    directory = tmp_path_factory.mktemp('rewound')
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as output:
        diverging(patch, at=7)
        assert train(rewinding(), directory) is None
    return directory, output.getvalue()


def test_rewinding_continues_with_other_noise_from_the_last_checkpoint(straight, rewound):
    directory, output = rewound
    assert 'Training diverged between steps 6 and 8: generator.params' in output
    assert 'Going back, with other noise: 1 of at most 3 times.' in output
    assert f'Continuing {directory} at step 5.' in output
    expected, found = lines(straight), lines(directory)
    assert [line['step'] for line in found] == [4, 8, 12]
    assert found[0] == expected[0]
    assert all(one != other for one, other in zip(expected[1:], found[1:], strict=True))
    pictures = [sorted(path.name for path in (run / 'samples').iterdir()) for run in (straight, directory)]
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize('stop', [pytest.param(2, marks=pytest.mark.slow), 6, 9])
def test_a_rewound_run_that_was_stopped_equals_one_that_was_not(tmp_path, rewound, monkeypatch, stop):
    """Stopped before the first checkpoint, between the checkpoint and the divergence, and after going back."""
    diverging(monkeypatch, at=7)
    with monkeypatch.context() as patch:
        stop_at(stop, patch)
        assert train(rewinding(), tmp_path) is not None
    assert train(rewinding(), tmp_path) is None
    assert_same_run(rewound[0], tmp_path, tiny())


def test_scores_of_states_from_which_a_run_has_gone_back_are_removed(tmp_path, monkeypatch):
    diverging(monkeypatch, at=7)
    with monkeypatch.context() as patch:
        stop_at(6, patch)
        assert train(rewinding(), tmp_path) is not None
    evaluation = tmp_path / 'evaluation'
    evaluation.mkdir()
    for name in ('step_000005_digits_cnn_60.json', 'step_000006_digits_cnn_60.json', 'step_000006_notes.txt', 'critic.png'):
        (evaluation / name).touch()
    assert train(rewinding(), tmp_path) is None
    left = {path.name for path in evaluation.iterdir()}
    assert left == {'step_000005_digits_cnn_60.json', 'step_000006_notes.txt', 'critic.png'}


@pytest.mark.parametrize(('stops', 'keep'), [pytest.param([6], 1, marks=pytest.mark.slow), ([6, 7, 8], 3)])
def test_stops_do_not_delete_the_checkpoint_to_go_back_to(tmp_path, monkeypatch, stops, keep):
    diverging(monkeypatch, at=9)
    train(rewinding(), tmp_path / 'straight')
    for stop in stops:
        with monkeypatch.context() as patch:
            stop_at(stop, patch)
            assert train(rewinding(checkpoints_to_keep=keep), tmp_path / 'stopped') is not None
    assert train(rewinding(checkpoints_to_keep=keep), tmp_path / 'stopped') is None
    assert_same_run(tmp_path / 'straight', tmp_path / 'stopped', tiny())


def test_a_checkpoint_counts_also_when_the_interval_changes(tmp_path, monkeypatch, capsys):
    train(tiny(num_steps=10), tmp_path)  # with checkpoints at 5 and 10
    diverging(monkeypatch, at=11)
    assert train(rewinding(checkpoint_every=50), tmp_path) is None
    assert capsys.readouterr().out.count(f'Continuing {tmp_path} at step 10.') == 2


def test_without_checkpoints_at_an_interval_it_goes_back_to_the_newest(tmp_path, monkeypatch, capsys):
    train(tiny(num_steps=4), tmp_path)  # is complete before its first checkpoint at an interval
    diverging(monkeypatch, at=5)
    assert train(rewinding(checkpoint_every=50), tmp_path) is None
    assert capsys.readouterr().out.count(f'Continuing {tmp_path} at step 4.') == 2


def test_nothing_is_deleted_before_the_earlier_checkpoint_is_read(tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        stop_at(6, patch)
        train(tiny(), tmp_path)
    (tmp_path / 'checkpoints' / '5' / 'meta' / 'metadata').write_text('')
    diverging(monkeypatch, at=7)
    assert train(rewinding(), tmp_path) is None
    output = capsys.readouterr().out
    assert 'Checkpoint 5 cannot be read (its metadata are damaged): moved to' in output
    assert output.count(f'Continuing {tmp_path} at step 6.') == 2


def test_going_back_releases_the_images_on_the_device(tmp_path, monkeypatch):
    diverging(monkeypatch, at=7)
    gc.collect()
    gc.disable()  # cycles may stay in memory for long
    try:
        train(rewinding(), tmp_path)
        copies = [array for array in jax.live_arrays() if array.shape == (1500, 64)]
    finally:
        gc.enable()
    assert copies == []


def test_going_back_releases_the_run_that_diverged(tmp_path, monkeypatch):
    diverging(monkeypatch, at=7)
    left = []

    class Watched(trainer.Run):
        def __init__(self, *arguments):
            left.append([run() for run in runs if run() is not None])
            super().__init__(*arguments)
            runs.append(weakref.ref(self))

    runs = []
    monkeypatch.setattr(trainer, 'Run', Watched)
    gc.collect()
    gc.disable()
    try:
        train(rewinding(), tmp_path)
    finally:
        gc.enable()
    assert left == [[], []]


def test_a_run_that_diverges_before_its_first_checkpoint_starts_again(tmp_path, monkeypatch, capsys):
    diverging(monkeypatch, at=3)
    assert train(rewinding(), tmp_path) is None
    output = capsys.readouterr().out
    assert 'Going back' in output
    assert 'Continuing' not in output
    assert [line['step'] for line in lines(tmp_path)] == [4, 8, 12]


def test_the_number_of_rewinds_is_limited(tmp_path, monkeypatch, capsys):
    diverging(monkeypatch, at=7, times=3)
    with pytest.raises(UserError, match=r'Training diverged .* The run has gone back 2 times already: try a smaller'):
        train(rewinding(max_rewinds=2), tmp_path)
    assert capsys.readouterr().out.count('Going back') == 2
    # The limit is for the whole run, which continues under a larger one.
    assert train(rewinding(max_rewinds=3), tmp_path) is None


def test_the_noise_differs_from_rewind_to_rewind():
    key = jax.random.key(0)
    keys = [jax.random.key_data(noise.after_rewinds(key, rewinds)).tolist() for rewinds in range(4)]
    players = [jax.random.key_data(jax.random.fold_in(key, player)).tolist() for player in (0, 1)]
    assert keys[0] == jax.random.key_data(key).tolist()
    assert len({tuple(key) for key in keys + players}) == 6


@pytest.mark.slow
def test_all_processes_go_back_together_when_training_diverges(tmp_path):
    # The first update of RMSProp is ten times the learning rate.
    infinite = {'generator_optimizer.name': 'rmsprop', 'generator_optimizer.learning_rate': 1e38}
    keys = KEYS | {'num_steps': 6, 'on_nan': 'rewind', 'max_rewinds': 1} | infinite
    with Processes.training(tmp_path / 'run', keys) as started:
        codes, outputs, errors = started.wait()
    assert codes == [1, 1], errors
    assert outputs[0].count('Going back, with other noise: 1 of at most 1 times.') == 1
    assert all('Error: Training diverged between steps 0 and' in error for error in errors)
