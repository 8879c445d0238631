"""What a member of a group keeps of its own: its noise after it went back, its optimizer, and the answer to a late signal."""

import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest

from tests.tiny_runs import lines, prepared, tiny
from wgan_jax.algorithm.noise import after_rewinds
from wgan_jax.runs.build import build, prepare_group
from wgan_jax.runs.members import combine
from wgan_jax.runs.saved_run import open_run
from wgan_jax.training import group, trainer
from wgan_jax.training.member import Member


@pytest.fixture(autouse=True)
def _no_reports(monkeypatch):
    for module in (group, trainer):
        monkeypatch.setattr(module, 'write_report', lambda run_dirs, into: None)


def test_a_member_that_went_back_alone_keeps_its_noise(tmp_path, monkeypatch):
    configs, restore = combine(tiny(), {'': {}}, 2), group.restore

    def restore_after_rewinds(experiment, run_dir, *arguments, **named):
        return restore(experiment, run_dir, *arguments, **named)._replace(rewinds=2 if run_dir.name == 'seed_1' else 0)

    monkeypatch.setattr(group, 'restore', restore_after_rewinds)
    group.train_group(prepare_group(configs), str(tmp_path / 'group'))
    for name, rewinds in (('seed_0', 0), ('seed_1', 2)):
        alone = prepared(configs[name])
        trainer.train(alone._replace(train_key=after_rewinds(alone.train_key, rewinds)), str(tmp_path / name))
        for line, expected in zip(lines(tmp_path / 'group' / name), lines(tmp_path / name), strict=True):
            np.testing.assert_allclose([*line.values()], [*expected.values()], rtol=1e-3)
    trainer.train(prepared(configs['seed_1']), str(tmp_path / 'other_noise'))
    ours, other = (lines(tmp_path / name)[0]['critic_loss'] for name in ('seed_1', 'other_noise'))
    assert abs(ours - other) > 1e-2 * abs(other)


def test_the_checkpoints_of_a_member_record_how_often_it_went_back(tmp_path, monkeypatch):
    configs, restore, records = combine(tiny(), {'': {}}, 1), group.restore, []
    monkeypatch.setattr(group, 'restore', lambda *args, **named: restore(*args, **named)._replace(rewinds=3))
    save = group.Checkpoints.save

    def save_and_note(self, step, tree, record, **named):
        records.append(record)
        save(self, step, tree, record, **named)

    monkeypatch.setattr(group.Checkpoints, 'save', save_and_note)
    group.train_group(prepare_group(configs), str(tmp_path))
    assert {record['rewinds'] for record in records} == {3}
    assert open_run(str(tmp_path / 'seed_0')).step == 12


def test_a_signal_after_the_last_round_is_an_answer_too(tmp_path, monkeypatch):
    of_member = tmp_path / 'seed_0'
    monkeypatch.setattr(group, 'write_report', lambda _, into: into == of_member and os.kill(os.getpid(), signal.SIGTERM))
    assert group.train_group(prepare_group(combine(tiny(), {'': {}}, 1)), str(tmp_path)) == signal.SIGTERM
    assert open_run(str(tmp_path / 'seed_0')).step == 12


def test_critics_that_are_trained_alike_share_a_probe():
    settings = {'default': {}, 'fast': {'critic_optimizer.learning_rate': 0.1}, 'weight': {'gp_weight': 1.0}}
    found = {name: group._objective(build(config)) for name, config in combine(tiny(), settings, 2).items()}
    assert found['default,seed_0'] == found['default,seed_1']
    assert len(set(found.values())) == 3


def test_a_group_that_is_stopped_before_its_first_round_can_be_stopped_again(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(group.StopRequest, 'listen', lambda self: self.record(signal.SIGTERM))
        for _ in range(2):
            assert group.train_group(prepare_group(combine(tiny(), {'': {}}, 1)), str(tmp_path)) == signal.SIGTERM
    assert group.train_group(prepare_group(combine(tiny(), {'': {}}, 1)), str(tmp_path)) is None
    assert open_run(str(tmp_path / 'seed_0')).step == 12


@pytest.mark.parametrize(
    ('step', 'eval_every', 'scored_step', 'expected'),
    [(12, 5, 10, True), (12, 5, 12, False), (11, 5, 10, False), (10, 5, 5, True), (12, None, None, False), (0, 5, None, False)],
)
def test_a_member_that_was_stopped_before_its_scores_gets_them_also_at_the_last_step(step, eval_every, scored_step, expected):
    experiment = build(tiny(num_steps=12, eval_every=eval_every))
    writers = SimpleNamespace(record=SimpleNamespace(scored_step=scored_step))
    member = Member(experiment, None, np.zeros((4, *experiment.data.source.image_shape), np.uint8), writers, step, name='a')
    assert member.must_be_scored() == expected


def test_members_that_are_done_keep_their_last_line_and_picture_when_seeds_are_added(tmp_path):
    """The intervals do not reach the last step, and only a longer run would replace what was written there."""
    config = tiny(num_steps=12, log_every=5, sample_every=5)
    for count in (2, 3):
        group.train_group(prepare_group(combine(config, {'': {}}, count)), str(tmp_path))
        for seed in range(count):
            assert [line['step'] for line in lines(tmp_path / f'seed_{seed}')] == [5, 10, 12]
            assert (tmp_path / f'seed_{seed}' / 'samples' / 'step_000012.png').exists()
