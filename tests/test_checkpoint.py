import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax import checkpoint
from wgan_jax.checkpoint import Checkpoints
from wgan_jax.errors import UserError


def tree(value):
    return {'weights': jnp.full((64, 64), value, jnp.float32), 'count': jnp.asarray(value, jnp.int32), 'none': None, 'empty': {}}


def saved(directory, steps=(1, 2, 3), keep=3):
    checkpoints = Checkpoints(directory, keep)
    for step in steps:
        checkpoints.save(step, tree(step), {'seed': step})
    checkpoints.close()


def restore(directory, check=lambda config: None):
    checkpoints = Checkpoints(directory, 3)
    try:
        return checkpoints.restore(tree(0), check)
    finally:
        checkpoints.close()


def biggest_file(directory):
    return max((path for path in directory.rglob('*') if path.is_file()), key=lambda path: path.stat().st_size)


def test_the_newest_comes_back_bit_by_bit(tmp_path):
    saved(tmp_path)
    configs = []
    step, restored = restore(tmp_path, configs.append)
    assert step == 3
    assert configs == [{'seed': 3}]
    np.testing.assert_array_equal(restored['weights'], np.full((64, 64), 3.0, np.float32))
    assert restored['count'] == 3
    assert restored['none'] is None
    assert restored['empty'] == {}


def test_other_versions_draw_a_warning(tmp_path, monkeypatch, capsys):
    saved(tmp_path)
    restore(tmp_path)
    assert 'Warning' not in capsys.readouterr().out
    monkeypatch.setattr(checkpoint, 'versions', lambda: {'jax': '0.0.1'})
    assert restore(tmp_path)[0] == 3
    assert "and this is {'jax': '0.0.1'}: the last bits may differ" in capsys.readouterr().out


def test_nothing_saved_is_none(tmp_path):
    assert restore(tmp_path) is None


def test_only_the_newest_are_kept(tmp_path):
    saved(tmp_path, steps=(1, 2, 3, 4), keep=2)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.isdigit()) == ['3', '4']


def flip(path):
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = bytes(byte ^ 0xFF for byte in content[middle : middle + 8])
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


# On a busy machine tensorstore may still answer for a damaged file after orbax has given up on it and closed its event loop.
LATE_ANSWER = pytest.mark.filterwarnings('ignore:(?s).*Event loop is closed:pytest.PytestUnraisableExceptionWarning')


@LATE_ANSWER
@pytest.mark.parametrize('damage', [flip, cut])
def test_a_broken_newest_step_is_set_aside_and_the_one_before_used(tmp_path, damage, capsys):
    # Random numbers do not compress, so that the flipped bytes are values and not the codec's.
    values = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    checkpoints = Checkpoints(tmp_path, 3)
    for step in (1, 2):
        checkpoints.save(step, tree(step) | {'weights': values * step}, {})
    checkpoints.close()
    damage(biggest_file(tmp_path / '2'))
    step, restored = restore(tmp_path)
    assert step == 1
    np.testing.assert_array_equal(restored['weights'], values)
    assert (tmp_path / 'broken_2').is_dir()
    assert 'Checkpoint 2 cannot be read' in capsys.readouterr().out
    saved(tmp_path, steps=(2,))  # and step 2 can be saved again
    assert restore(tmp_path)[0] == 2


@LATE_ANSWER
def test_all_broken_is_an_error_that_names_them(tmp_path):
    saved(tmp_path, steps=(1, 2))
    for step in ('1', '2'):
        cut(biggest_file(tmp_path / step / 'meta'))
        cut(biggest_file(tmp_path / step / 'state'))
    with pytest.raises(UserError, match=r'step 2: .*step 1: .*give another --workdir'):
        restore(tmp_path)


def test_saving_a_step_twice_is_an_error(tmp_path):
    checkpoints = Checkpoints(tmp_path, 3)
    checkpoints.save(1, tree(1), {})
    with pytest.raises(RuntimeError, match='orbax did not save step 1'):
        checkpoints.save(1, tree(2), {})
    checkpoints.close()
    assert restore(tmp_path)[1]['count'] == 1


def test_a_refused_config_stops_the_search(tmp_path):
    saved(tmp_path)

    def refuse(config):
        raise UserError('no')

    with pytest.raises(UserError, match='no'):
        restore(tmp_path, refuse)
    assert restore(tmp_path)[0] == 3


def test_another_network_does_not_fit(tmp_path):
    saved(tmp_path, steps=(1,))
    checkpoints = Checkpoints(tmp_path, 3)
    with pytest.raises(UserError, match='can be read'):
        checkpoints.restore(tree(0) | {'weights': jnp.zeros((2, 2))}, lambda config: None)
    checkpoints.close()
