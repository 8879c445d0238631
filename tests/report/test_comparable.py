"""Which evaluations are those of the last step."""

import pytest

from tests.report.conftest import add_checkpoint
from wgan_jax.report.comparable import differing, last_evaluations, with_images
from wgan_jax.report.read_runs import read_runs


def scored_steps(paths, *, ended=False):
    """The step of the last evaluation of each run, None if it is not there yet."""
    evaluations = last_evaluations(with_images(read_runs(paths)), ended=ended)
    return [evaluation and evaluation['step'] for evaluation in evaluations]


def test_while_all_runs_are_trained_the_last_step_is_the_latest(make_run):
    paths = [make_run(name, num_steps=30, scored=scored) for name, scored in (('a', (10, 20)), ('b', (10, 20)), ('c', (10,)))]
    assert scored_steps(paths) == [20, 20, None]
    assert scored_steps(paths, ended=True) == [None, None, None]


def test_once_a_run_is_complete_the_others_must_have_come_to_their_own_end(make_run):
    short = make_run('short', num_steps=10, scored=(10,))
    long = [make_run(f'long_{seed}', num_steps=20, scored=(10,), seed=seed) for seed in range(2)]
    assert scored_steps([short, *long]) == [10, None, None]


@pytest.mark.parametrize('images', [40, None])
def test_the_end_of_runs_in_epochs(make_run, images):
    """2 epochs of 40 images: 20 rounds with n_critic=1 and batches of 4, 4 rounds with n_critic=5."""
    settings = {'interval_unit': 'epochs', 'num_steps': 2, 'batch_size': 4}
    runs = ((1, 0, (10,)), (1, 1, (10,)), (5, 0, (2, 4)), (5, 1, (2,)))  # all of n_critic=1 have diverged
    paths = [
        make_run(f'n_critic={number},seed_{seed}', seed=seed, n_critic=number, scored=scored, **settings)
        for number, seed, scored in runs
    ]
    if images:  # as the checkpoint of one of the seeds says
        for path in paths[::2]:
            add_checkpoint(path, num_images=images)
    # Where nothing says how many images there are, the end is not known.
    assert scored_steps(paths) == ([None, None, 4, None] if images else [10, 10, 4, None])


def test_batches_that_are_shared_make_more_rounds_of_an_epoch(make_run):
    settings = {'interval_unit': 'epochs', 'num_steps': 2, 'batch_size': 4, 'n_critic': 5}
    paths = [make_run(f'{shared}', shared_images=shared, scored=(4, 20), **settings) for shared in (True, False)]
    for path in paths:
        add_checkpoint(path, num_images=40)
    assert scored_steps(paths) == [20, None]  # the other one ends after 4 rounds


def test_a_run_without_a_checkpoint_is_on_the_images_of_its_setting(make_run):
    paths = [make_run(f'a,seed_{seed}', seed=seed) for seed in range(2)] + [make_run('b', gp_weight=3.0)]
    add_checkpoint(paths[1], num_images=40)
    assert [run.data_set for run in with_images(read_runs(paths))] == [{'num_images': 40}, {'num_images': 40}, {}]


def test_what_differs_is_named():
    assert differing([{'a': 1, 'b': 2}, {'a': 1, 'b': 3}, {'a': 1, 'b': 2, 'c': None}]) == ['b']
    assert differing([{'a': 1}, {'a': 1, 'c': 4}]) == ['c']
