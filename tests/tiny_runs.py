"""Small whole runs on the digits, which many tests train and compare."""

import json
import os
import signal
from pathlib import Path

import jax
import numpy as np
import pytest

from configs import digits_wgan_gp
from wgan_jax.algorithm.steps import zero_sums
from wgan_jax.data import feed
from wgan_jax.runs.build import build, prepare
from wgan_jax.runs.checkpoint import Checkpoints
from wgan_jax.runs.config import flatten
from wgan_jax.runs.resume import MAY_CHANGE
from wgan_jax.training import programs, rounds, trainer
from wgan_jax.training.programs import compile_rounds
from wgan_jax.training.rounds import Rounds

TIMING = ('seconds', 'images_per_second')
# Tracing and compiling take much longer than these runs, so all runs with the same mathematics share players and programs.
_PLAYERS, _PROGRAMS = {}, {}


def tiny(module=digits_wgan_gp, **changes):
    config = module.get_config()
    config.update(batch_size=8, n_critic=2, latent_dim=3, num_steps=12, num_samples=4, ema_decay=0.9)
    config.update(log_every=4, sample_every=6, checkpoint_every=5, eval_every=None, exact_points=None)
    for player in (config.generator, config.critic):
        player.update(num_features=4, num_layers=1)
    config.update(changes)
    return config


def prepared(config):
    """The experiment of a config; two whose configs differ only in outputs have the same functions, which jax compiles once."""
    experiment = prepare(config)
    key = str(sorted((name, value) for name, value in flatten(experiment.config).items() if name not in MAY_CHANGE))
    return experiment._replace(create=_PLAYERS.setdefault(key, experiment.create))


def compile_once(experiment, shape, n_critic, **settings):
    """compile_rounds, with a memory."""
    limits = experiment.outputs, experiment.batch_size, feed.CHUNK_BYTES, programs.PLAN_BYTES
    # The loss is in the key because code of a user's own may define another one of the same name.
    key = (experiment.create, experiment.round_settings['loss'], *limits, shape, n_critic, *settings.items())
    if key not in _PROGRAMS:
        _PROGRAMS[key] = compile_rounds(experiment, shape, n_critic, **settings)
    return _PROGRAMS[key]


def train(config, workdir):
    """Trains without the report of a complete run, which takes longer than the run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds, 'compile_rounds', compile_once)
        patch.setattr(trainer, 'write_report', lambda run_dirs, into: None)
        return trainer.train(prepared(config), str(workdir))


def images_of(config):
    return build(config).data.source.load()


def lines(run_dir):
    """The metrics without times."""
    records = [json.loads(line) for line in (Path(run_dir) / 'metrics.jsonl').read_text().splitlines()]
    return [{name: value for name, value in record.items() if name not in TIMING} for record in records]


def final_state(run_dir, config):
    template = jax.eval_shape(prepared(config).create_state), zero_sums(config.gp_weight)
    checkpoints = Checkpoints(Path(run_dir) / 'checkpoints', 3)
    restored = checkpoints.restore(template, lambda saved: None)
    checkpoints.close()
    return restored.step, jax.tree.leaves(restored.tree)


def assert_same_run(one, other, config):
    assert lines(one) == lines(other)
    (step, leaves), (other_step, other_leaves) = final_state(one, config), final_state(other, config)
    assert step == other_step == config.num_steps
    for x, y in zip(leaves, other_leaves, strict=True):
        np.testing.assert_array_equal(x, y)
    names = sorted(path.name for path in (one / 'samples').iterdir())
    assert names == sorted(path.name for path in (other / 'samples').iterdir())
    for name in names:
        assert (one / 'samples' / name).read_bytes() == (other / 'samples' / name).read_bytes()


def stop_at(step, monkeypatch, module=rounds, calls=Rounds):
    """Sends SIGTERM after `step` rounds, at the end of a call; `module` has the class `calls` of a run or of a group."""
    advance, to_boundary = calls.advance, module.rounds_to_boundary

    def rounds_to_boundary(before, experiment):
        count = to_boundary(before, experiment)
        return min(count, step - before) if before < step else count

    def advance_and_stop(self, *carry):
        result = advance(self, *carry)
        if self.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return result

    monkeypatch.setattr(module, 'rounds_to_boundary', rounds_to_boundary)
    monkeypatch.setattr(calls, 'advance', advance_and_stop)
