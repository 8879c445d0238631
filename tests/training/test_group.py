"""Groups of runs: each member is the run that it would be alone, whatever happens to the others."""

import functools
import signal
from contextlib import closing

import jax
import numpy as np
import pytest

from configs import digits_gan, digits_wgan, digits_wgan_gp, digits_wgan_sn, mnist_wgan_gp
from tests import tiny_runs
from tests.conftest import in_float64
from tests.tiny_runs import assert_same_run, lines, tiny
from wgan_jax.algorithm import steps
from wgan_jax.data.plan import index_plan
from wgan_jax.devices import parallel
from wgan_jax.errors import UserError
from wgan_jax.runs import memory_limits
from wgan_jax.runs.build import build, prepare_group
from wgan_jax.runs.members import combine, programs, varied
from wgan_jax.runs.record import RunWriter
from wgan_jax.runs.starts import read_starts
from wgan_jax.training import group, member_rounds, trainer
from wgan_jax.training.member_rounds import MemberRounds

IMAGES = np.random.default_rng(0).integers(0, 256, (29, 8, 8, 1)).astype(np.uint8)


@pytest.fixture(autouse=True)
def _no_reports(monkeypatch):
    for module in (group, trainer):
        monkeypatch.setattr(module, 'write_report', lambda run_dirs, into: None)


def train(configs, workdir):
    return group.train_group(prepare_group(configs), str(workdir))


def seeds_and_weights(**changes):
    """Two penalties with two seeds each."""
    return combine(tiny(**changes), {f'gp_weight={weight}': {'gp_weight': float(weight)} for weight in (1, 10)}, 2)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp('group')
    with pytest.MonkeyPatch.context() as patch:
        for module in (group, trainer):
            patch.setattr(module, 'write_report', lambda run_dirs, into: None)
        assert train(seeds_and_weights(), directory) is None
    return directory


def stop_at(step, monkeypatch):
    tiny_runs.stop_at(step, monkeypatch, member_rounds, MemberRounds)


def test_the_names_of_members_say_how_they_differ(trained):
    names = ['gp_weight=1,seed_0', 'gp_weight=1,seed_1', 'gp_weight=10,seed_0', 'gp_weight=10,seed_1']
    assert sorted(path.name for path in trained.iterdir()) == names
    assert [line['step'] for line in lines(trained / names[0])] == [4, 8, 12]
    assert lines(trained / names[0]) != lines(trained / names[1]) != lines(trained / names[2])


def test_members_of_a_stopped_group_have_the_same_bits(trained, tmp_path, monkeypatch):
    configs = seeds_and_weights()
    with monkeypatch.context() as patch:
        stop_at(7, patch)
        assert train(configs, tmp_path) == signal.SIGTERM
    assert [line['step'] for line in lines(tmp_path / 'gp_weight=1,seed_0')] == [4]
    assert train(configs, tmp_path) is None
    for name, config in configs.items():
        assert_same_run(trained / name, tmp_path / name, config)


@pytest.mark.slow
def test_members_that_are_ahead_wait(trained, tmp_path, monkeypatch, capsys):
    """As after a kill between the checkpoints of two members; then with images in host memory, gathered once per seed."""
    configs = seeds_and_weights()
    names = list(configs)
    with monkeypatch.context() as patch:
        stop_at(7, patch)
        assert train({name: configs[name] for name in names[:2]}, tmp_path) == signal.SIGTERM
    with monkeypatch.context() as patch:
        stop_at(5, patch)
        assert train({names[2]: configs[names[2]]}, tmp_path) == signal.SIGTERM
    for config in configs.values():
        config.data.placement = 'host'
    capsys.readouterr()
    assert train(configs, tmp_path) is None
    assert 'Continuing 4 runs, which are at steps 0 to 7.' in capsys.readouterr().out
    for name, config in configs.items():
        assert_same_run(trained / name, tmp_path / name, config)


def test_a_member_that_diverges_ends_alone(trained, tmp_path, capsys, monkeypatch):
    configs = combine(tiny(), {f'gp_weight={weight}': {'gp_weight': float(weight)} for weight in (10, '3e38', 1)}, 1)
    failed = []
    monkeypatch.setattr(RunWriter, 'fail', lambda writer: failed.append(writer))
    assert train(configs, tmp_path) is None
    assert len(failed) == 1
    output = capsys.readouterr().out
    assert 'gp_weight=3e38,seed_0: Training diverged between steps 0 and ' in output
    assert '1 of 3 runs have diverged, and what they saved before is intact: gp_weight=3e38,seed_0.' in output
    assert not (tmp_path / 'gp_weight=3e38,seed_0' / 'metrics.jsonl').read_text()
    for name in ('gp_weight=1,seed_0', 'gp_weight=10,seed_0'):
        assert_same_run(trained / name, tmp_path / name, configs[name])
    bad = {name: config for name, config in configs.items() if 'e38' in name}
    with pytest.raises(UserError, match=r'All 1 runs of the group have diverged: try smaller learning rates\.'):
        train(bad, tmp_path)


@pytest.mark.slow
def test_where_memory_is_short_members_take_turns(trained, tmp_path, monkeypatch, capsys):
    configs, check = seeds_and_weights(), memory_limits.check_round

    def check_round(state, images, working):
        if state > 1.5 * one_state:
            raise memory_limits.TooLarge('too large')
        check(state, images, working)

    one_state = memory_limits.num_bytes(build(tiny()).create_state())
    monkeypatch.setattr(memory_limits, 'check_round', check_round)
    monkeypatch.setattr(jax, 'device_count', lambda: 2)
    monkeypatch.setattr(parallel, 'all_devices', lambda: jax.devices()[:2])
    assert train(configs, tmp_path) is None
    assert '4 runs at a time need too much memory: 2 at a time.' in capsys.readouterr().out
    assert [len(read_starts(tmp_path / name)) for name in configs] == [1, 1, 1, 1]
    for name, config in configs.items():
        assert_same_run(trained / name, tmp_path / name, config)


def test_numbers_share_a_program_and_other_keys_do_not():
    settings = {
        'one': {'gp_weight': 1.0},
        'ten': {'gp_weight': 10.0},
        'none': {'gp_weight': 0.0},
        'n_critic': {'n_critic': 1},
        'b1': {'critic_optimizer.b1': 0.5},
        'no_average': {'ema_decay': None},
        'last': {'ema_decay': 0.0},
    }
    configs = {name: config.to_dict() for name, config in combine(tiny(), settings, 2).items()}
    found = programs(configs)
    assert [len(names) for names in found] == [8, 2, 2, 2]
    assert found[0][0::2] == ['one,seed_0', 'ten,seed_0', 'b1,seed_0', 'last,seed_0']
    of_each = varied([configs[name] for name in found[0]])
    assert of_each == {
        'critic_optimizer.b1': [0, 0, 0, 0, 0.5, 0.5, 0, 0],
        'gp_weight': [1, 1, 10, 10, 10, 10, 10, 10],
        'ema_decay': [0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0, 0],
    }


@pytest.mark.parametrize(
    ('settings', 'seeds', 'message'),
    [
        ({'': {}}, 0, '--seeds=0 must be at least 1, and all seeds less than 2^32.'),
        ({'': {}}, 2**32 + 1, 'and all seeds less than 2^32.'),
        ({'c': {'clip_value': 0.1}}, 1, 'c,seed_0: config.clip_value=0.1 and config.gp_weight=10.0 bound the slopes of the critic'),
    ],
)
def test_a_group_that_makes_no_sense_is_refused_before_training(settings, seeds, message, tmp_path):
    with pytest.raises(UserError) as caught:
        train(combine(tiny(), settings, seeds), tmp_path)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_single_run_and_a_group_do_not_share_a_directory(trained):
    with pytest.raises(UserError, match=r'holds a single run, and a group needs a directory of its own'):
        train(seeds_and_weights(), trained / 'gp_weight=1,seed_0')
    with pytest.raises(
        UserError, match=r'holds a group of runs, gp_weight=1,seed_0 and others, and a single run needs a directory'
    ):
        tiny_runs.train(tiny(), trained)
    assert not (trained / 'config.json').exists()


def with_batch_norm(module, **changes):
    config = tiny(module, **changes)
    config.generator.norm = 'batch'
    return config


def dropping(**changes):
    config = mnist_wgan_gp.get_config()
    config.update(batch_size=4, n_critic=2, latent_dim=3, **changes)
    config.data.update(name='digits', manual_dir=None)
    config.generator.num_features = config.critic.num_features = 2
    return config


GAMES = {
    'gan': (
        functools.partial(with_batch_norm, digits_gan),
        ['generator_optimizer.learning_rate', 'critic_optimizer.b1', 'ema_decay'],
    ),
    'wgan': (functools.partial(with_batch_norm, digits_wgan), ['clip_value', 'critic_optimizer.learning_rate']),
    'wgan_gp': (
        functools.partial(with_batch_norm, digits_wgan_gp),
        ['gp_weight', 'generator_optimizer.b2', 'critic_optimizer.eps'],
    ),
    'dropout': (dropping, ['gp_weight']),
    'spectral': (functools.partial(with_batch_norm, digits_wgan_sn), ['critic_optimizer.b2']),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('game', 'one_by_one'),
    [('wgan_gp', True), ('wgan_gp', False), ('gan', True), ('wgan', False), ('dropout', True), ('spectral', False)],
)
def test_a_member_equals_the_run_alone(double_precision, monkeypatch, game, one_by_one):
    """After seven rounds in two calls, also if numbers vary; the last of three members waits at first."""
    make, keys = GAMES[game]
    config, others = make(log_every=4, sample_every=4, checkpoint_every=4), {}
    for key in keys:
        section, _, name = key.rpartition('.')
        value = (config[section] if section else config)[name]
        others[key] = 0.7 if value == 0 else value * (0.9 if value < 1 else 3.0)
    monkeypatch.setattr(parallel, 'map_members', functools.partial(parallel.map_members, one_by_one=one_by_one))
    monkeypatch.setattr(parallel, 'all_devices', lambda: jax.devices()[:2])
    monkeypatch.setattr(jax, 'device_count', lambda: 2)
    members = [build(own) for own in combine(config, {'': {}, 'others': others}, 2).values()][:3]
    members = [one._replace(create=lambda key, create=one.create: in_float64(create(key))) for one in members]
    shape = members[0].data.source.image_shape
    images = np.random.default_rng(0).integers(0, 256, (29, *shape)).astype(np.uint8)
    zero = steps.zero_sums(config.gp_weight)

    def program(one):
        plan = index_plan(one.seed, 0, 7, config.n_critic, config.batch_size, 29)
        run = jax.jit(functools.partial(steps.train_rounds, image_shape=shape, **one.round_settings))
        return lambda rounds: run(one.create_state(), zero, images.reshape(29, -1), plan, rounds, one.train_key)

    alone = [program(one) for one in members[1:]]
    monkeypatch.setattr(member_rounds, 'rounds_to_boundary', lambda step, experiment: 4)
    monkeypatch.setattr(member_rounds, 'rounds_per_call', lambda seconds: 100)
    with closing(MemberRounds(members, varied([one.config for one in members]), images, [0, 0, 3])) as rounds:
        start = members[0].create_state(), zero
        carry = rounds.place([start, (members[1].create_state(), zero), alone[1](3)])
        for waits in (True, False):
            _, *carry = rounds.advance(*carry)
            assert rounds.moved == [True, True, not waits]
        assert rounds.step == 7
        for run, found in zip(alone, rounds.each(tuple(carry))[1:], strict=True):
            for x, y in zip(jax.tree.leaves(run(7)), jax.tree.leaves(found), strict=True):
                np.testing.assert_allclose(y, x, rtol=1e-10 if x.dtype == 'float64' else 1e-5, atol=1e-12)
