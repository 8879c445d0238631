"""The facts at the head of the page."""

import json

import numpy as np

from tests.report.conftest import add_start, page_of
from wgan_jax.report import overview
from wgan_jax.report.read_runs import read_runs
from wgan_jax.runs.checkpoint_format import metadata_of


def test_the_starts_of_a_run_are_in_its_facts(make_run):
    path = make_run(seed=7)
    add_start(path, commit='0123456789abcdef', changed=True, versions={'python': '3.13'}, system='Linux, 4 CPU cores')
    for step, day in ((10, 28), (15, 30)):
        add_start(path, step, date=f'2026-12-{day}T09:00:00+01:00', commit='0123456789abcdef', system='Linux, 4 CPU cores')
    facts = overview.facts(read_runs([path])).common
    assert facts['Date'] == '2026-11-29 22:25, continued 2 times, last 2026-12-30 09:00 at step 15'
    assert facts['Commit'] == '0123456789ab, with changes that are not committed\n0123456789ab'
    assert facts['Command'] == 'python train.py'  # the same three times
    assert facts['Device'] == '2 x TPU v9; Linux, 4 CPU cores'
    assert facts['Seed'] == '7'


def test_what_differs_between_runs_is_in_a_table(make_run):
    paths = [make_run('a', seed=1), make_run('b', seed=2)]
    for path, device in zip(paths, ('cpu', '<b>'), strict=True):
        add_start(path, devices=device)
    facts = overview.facts(read_runs(paths))
    assert facts.common['Command'] == 'python train.py'
    assert [name for name, _ in facts.own.rows] == ['Seed', 'Device', 'Directory']
    page = page_of(*paths)
    assert ['Device', 'cpu', '<b>'] in page.rows
    assert page.all('b') != []
    assert 'The same for all runs; what differs is below.' in page.text


def test_parameters_are_counted_from_the_checkpoint(make_run):
    path = make_run()
    shapes = {'0.critic.params.Dense_0.kernel': (3, 4), '0.critic.params.Dense_0.bias': (4,), '0.critic.opt_state.0.mu.b': (4,)}
    arrays = {name: np.zeros(shape, np.float32) for name, shape in {**shapes, '0.generator.params.x': (), '1.rounds': ()}.items()}
    meta = path / 'checkpoints' / '20' / 'meta'
    meta.mkdir(parents=True)
    (meta / 'metadata').write_text(json.dumps(metadata_of(arrays, {'record': {}})))
    (record,) = read_runs([path])
    assert record.parameters == {'critic': 16, 'generator': 1}
    assert overview.facts([record]).common['Parameters'] == 'generator 1, critic 16'
