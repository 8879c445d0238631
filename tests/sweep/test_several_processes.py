"""A sweep in a process that is not the first one: it may not see the directory of the runs."""

from types import SimpleNamespace

import pytest

from tests.tiny_runs import tiny
from wgan_jax.devices import processes
from wgan_jax.runs import build
from wgan_jax.sweep import __main__ as sweep
from wgan_jax.sweep import best
from wgan_jax.training import group


def test_the_first_process_alone_ranks_and_the_others_confirm_what_it_has_chosen(tmp_path, monkeypatch):
    flags = {'_SET': ['gp_weight=1,10'], '_RANDOM': None, '_SPACE': None, '_SEEDS': 1, '_BY': None, '_CONFIRM': 2}
    for name, value in flags.items():
        monkeypatch.setattr(sweep, name, SimpleNamespace(value=value))
    confirmed = []
    monkeypatch.setattr(processes, 'is_first', lambda: False)
    monkeypatch.setattr(processes, 'from_first', lambda own: 1)
    monkeypatch.setattr(best, 'rate', lambda *arguments: pytest.fail('it ranks, too'))
    monkeypatch.setattr(build, 'prepare_group', lambda configs: configs)
    monkeypatch.setattr(group, 'train_group', lambda configs, workdir, **named: confirmed.append((list(configs), workdir)))
    sweep._rank(tiny(eval_every=6), str(tmp_path))
    assert confirmed == [(['gp_weight=10,seed_1', 'gp_weight=10,seed_2'], str(tmp_path / 'confirmed'))]
