import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax import disk
from wgan_jax.devices.compiling import in_batches, private_directory

ROWS = np.random.default_rng(0).integers(0, 256, (7, 3, 2), np.uint8)


@pytest.mark.parametrize(('count', 'sizes'), [(0, []), (1, [1]), (3, [3]), (4, [3, 1]), (7, [3, 3, 1])])
def test_every_row_is_processed_once_in_order_with_one_compilation(count, sizes):
    shapes = []

    @jax.jit
    def function(rows):
        shapes.append(rows.shape)
        return rows.astype(jnp.float32).sum(axis=(1, 2)), {'first': rows[:, 0, 0]}

    batches = list(in_batches(function, ROWS[:count], 3))
    assert [len(sums) for sums, _ in batches] == sizes
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(batches))
    np.testing.assert_array_equal(np.concatenate([[], *[sums for sums, _ in batches]]), ROWS[:count].sum(axis=(1, 2)))
    np.testing.assert_array_equal(np.concatenate([[], *[rest['first'] for _, rest in batches]]), ROWS[:count, 0, 0])
    assert shapes == [(3, 3, 2)] * bool(count)


def test_without_a_home_directory_nothing_is_kept(monkeypatch, capsys):
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
    monkeypatch.setattr(disk, 'home', lambda: None)
    assert private_directory('compiled programs are not kept') is None
    assert capsys.readouterr().out == (
        'Warning: this user has no home directory; compiled programs are not kept: set XDG_CACHE_HOME to a directory.\n'
    )


@pytest.mark.parametrize('batch_size', [0, -1])
def test_a_batch_size_that_is_not_positive_is_refused(batch_size):
    with pytest.raises(ValueError, match='must be greater than 0'):
        list(in_batches(lambda rows: rows, ROWS, batch_size))
