import numpy as np
import pytest

from wgan_jax.data.plan import index_plan


@pytest.mark.parametrize('num_images', [24, 25, 7, 3])
def test_every_epoch_is_a_permutation_and_epochs_run_on(num_images):
    stream = index_plan(seed=0, step=0, rounds=30, n_critic=2, batch_size=4, num_images=num_images).reshape(-1)
    assert stream.dtype == np.int32
    for epoch in range(len(stream) // num_images):
        seen = stream[epoch * num_images : (epoch + 1) * num_images]
        np.testing.assert_array_equal(np.sort(seen), np.arange(num_images))


def test_plan_depends_on_seed_and_step_alone():
    whole = index_plan(3, 0, 12, 2, 4, 25)
    parts = [index_plan(3, step, rounds, 2, 4, 25) for step, rounds in ((0, 5), (5, 1), (6, 6))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert (whole != index_plan(4, 0, 12, 2, 4, 25)).any()


def test_epochs_differ():
    stream = index_plan(0, 0, 2, 1, 50, 50)
    assert (stream[0] != stream[1]).any()
