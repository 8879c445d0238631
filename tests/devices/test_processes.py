"""Agreement between processes, tested in a single one; test_several_processes.py starts several."""

import jax
import numpy as np
import pytest

from wgan_jax.devices import cluster, processes
from wgan_jax.errors import LocalError, UserError


def test_a_single_process_does_not_wait(monkeypatch):
    monkeypatch.setenv('KUBERNETES_SERVICE_HOST', '10.0.0.1')  # set in every pod
    cluster.join(None, None, None)
    cluster.join(None, 1, None)
    assert jax.process_count() == 1
    assert processes.is_first()
    assert processes.greatest(3) == 3
    assert processes.first_before_others(lambda: 5) == 5
    processes.check_same('another config', {'seed': 0})
    with pytest.raises(UserError, match='its own'), processes.all_or_none():
        raise UserError('its own')


def test_values_of_process_0_reach_the_others_to_the_bit(monkeypatch):
    """Including negative zeros, which a sum over the processes would lose."""
    tree = {'weights': np.array([-0.0, 0.0, np.nan, 1e-45], np.float32), 'step': np.int32(-3)}
    monkeypatch.setattr(jax, 'process_count', lambda: 2)
    monkeypatch.setattr(
        processes.multihost_utils, 'broadcast_one_to_all', lambda sent: jax.tree.map(lambda x: x + np.zeros_like(x), sent)
    )
    received = processes.from_first(tree)
    for name, leaf in tree.items():
        assert received[name].dtype == leaf.dtype
        assert received[name].tobytes() == leaf.tobytes()


def test_a_local_error_does_not_wait_for_the_others(monkeypatch):
    monkeypatch.setattr(processes, 'greatest', lambda value: pytest.fail('it waits'))
    with pytest.raises(LocalError, match='a full disk'), processes.all_or_none():
        raise LocalError('a full disk')
