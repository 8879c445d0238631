import errno
import math
import resource
import subprocess
import sys
import time

import jax.numpy as jnp
import numpy as np
import pytest

from tests.conftest import ROOT
from wgan_jax.errors import UserError
from wgan_jax.runs import checkpoint, checkpoint_format
from wgan_jax.runs.checkpoint import Checkpoints, Score

# Random numbers do not compress, so that flipped bytes are values and not the codec's.
VALUES = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
# On a busy machine, tensorstore may answer for a damaged file after orbax has closed its event loop.
LATE_ANSWER = pytest.mark.filterwarnings('ignore:(?s).*Event loop is closed:pytest.PytestUnraisableExceptionWarning')
pytestmark = LATE_ANSWER


def tree(value):
    return {'weights': jnp.asarray(VALUES) * value, 'count': jnp.asarray(value, jnp.int32), 'none': None, 'empty': {}}


def saved(directory, steps=(1, 2, 3), keep=3):
    checkpoints = Checkpoints(directory, keep)
    for step in steps:
        checkpoints.save(step, tree(step), {'seed': step})
    checkpoints.close()


def restore(directory, check=lambda record: None, template=None):
    checkpoints = Checkpoints(directory, 3)
    try:
        return checkpoints.restore(template or tree(0), check)
    finally:
        checkpoints.close()


def contents(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob('*') if path.is_file()}


def assert_restored(restored, step):
    assert restored.step == restored.tree['count'] == restored.record['seed'] == step
    np.testing.assert_array_equal(restored.tree['weights'], VALUES * step)


def test_the_newest_is_restored_bit_by_bit(tmp_path):
    saved(tmp_path)
    records = []
    restored = restore(tmp_path, records.append)
    assert_restored(restored, 3)
    assert records == [restored.record] == [{'seed': 3}]
    assert restored.tree['none'] is None
    assert restored.tree['empty'] == {}


def test_other_versions_draw_a_warning(tmp_path, monkeypatch, capsys):
    saved(tmp_path)
    restore(tmp_path)
    assert 'Warning' not in capsys.readouterr().out
    monkeypatch.setattr(checkpoint, 'versions', lambda: {'jax': '0.0.1'})
    assert restore(tmp_path).step == 3
    assert "this is {'jax': '0.0.1'}: the last bits may differ" in capsys.readouterr().out


def test_restoring_without_checkpoints_gives_none(tmp_path):
    assert restore(tmp_path) is None


def test_only_the_newest_are_kept(tmp_path):
    saved(tmp_path, steps=(1, 2, 3, 4), keep=2)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.isdigit()) == ['3', '4']


def test_a_step_that_was_set_aside_can_be_saved_again(tmp_path):
    saved(tmp_path)
    for path in (tmp_path / '3').rglob('*'):
        if path.is_file():
            path.write_bytes(b'')
    assert_restored(restore(tmp_path), 2)
    saved(tmp_path, steps=(3,))
    assert_restored(restore(tmp_path), 3)


def test_all_broken_is_an_error_that_names_them_and_touches_nothing(tmp_path):
    saved(tmp_path, steps=(1, 2))
    for step in ('1', '2'):
        (tmp_path / step / 'meta' / 'metadata').write_text('{')
    before = contents(tmp_path)
    with pytest.raises(UserError, match=r'step 2: .*step 1: .*None was changed.*give another --workdir'):
        restore(tmp_path)
    assert contents(tmp_path) == before


def test_saving_a_step_twice_is_an_error(tmp_path):
    checkpoints = Checkpoints(tmp_path, 3)
    checkpoints.save(1, tree(1), {'seed': 1})
    with pytest.raises(RuntimeError, match='orbax did not save step 1'):
        checkpoints.save(1, tree(2), {'seed': 2})
    checkpoints.close()
    assert_restored(restore(tmp_path), 1)


def test_a_refused_record_stops_the_search(tmp_path):
    saved(tmp_path)

    def refuse(record):
        raise UserError('no')

    with pytest.raises(UserError, match='no'):
        restore(tmp_path, refuse)
    assert_restored(restore(tmp_path), 3)


def test_other_networks_are_refused_with_the_difference_and_not_set_aside(tmp_path):
    saved(tmp_path, steps=(1,))
    before = contents(tmp_path)
    template = tree(0) | {'weights': jnp.zeros((2, 2)), 'count': jnp.zeros(()), 'bias': jnp.zeros(3)}
    with pytest.raises(UserError) as caught:
        restore(tmp_path, template=template)
    assert str(caught.value) == (
        f'Checkpoint 1 in {tmp_path} is of other networks or optimizers (bias: None -> float32 [3]; count: int32 [] -> float32 []; '
        'weights: float32 [64, 64] -> float32 [2, 2]): continue with the code that wrote it, or give another --workdir.'
    )
    assert contents(tmp_path) == before


def test_another_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_format, 'FORMAT', 3)
    saved(tmp_path, steps=(1,))
    monkeypatch.undo()
    with pytest.raises(UserError, match=r'Checkpoint 1 in .* has format 3, and this version reads format 2: continue with'):
        restore(tmp_path)
    assert (tmp_path / '1').is_dir()


def test_a_checkpoint_without_a_format_is_refused_and_not_called_damaged(tmp_path, monkeypatch):
    monkeypatch.setattr(
        checkpoint_format, 'metadata_of', lambda arrays, more: {'step': 1, 'config': {}, 'crc32': {'weights': 1}, 'versions': {}}
    )
    saved(tmp_path, steps=(1,))
    with pytest.raises(UserError, match=r'Checkpoint 1 in .* has format 0, and this version reads format 2: continue with'):
        restore(tmp_path)
    assert (tmp_path / '1').is_dir()


def steps_in(directory):
    return sorted(int(path.name) for path in directory.iterdir() if path.name.isdigit())


def test_a_checkpoint_of_a_stop_is_kept_only_while_it_is_the_newest(tmp_path):
    kept = []
    for step in range(1, 8):
        with Checkpoints(tmp_path, 2) as checkpoints:  # opened anew each time, as by a run that is stopped each time
            checkpoints.save(step, tree(step), {'seed': step}, stop=step not in (2, 4, 6))
        kept.append(steps_in(tmp_path))
    assert kept == [[1], [2], [2, 3], [2, 4], [2, 4, 5], [4, 6], [4, 6, 7]]
    with Checkpoints(tmp_path, 2) as checkpoints:
        assert_restored(checkpoints.restore(tree(0), lambda record: None), 7)
        assert_restored(checkpoints.restore(tree(0), lambda record: None, before_stops=True), 6)
    assert steps_in(tmp_path) == [4, 6]


def test_the_first_of_two_failures_is_raised(tmp_path, monkeypatch, capsys):
    def close(self):
        raise OSError(errno.ENOSPC, 'No space left on device', 'there')

    monkeypatch.setattr(Checkpoints, 'close', close)
    with pytest.raises(ZeroDivisionError), Checkpoints(tmp_path, 3):
        1 / 0  # noqa: B018
    assert capsys.readouterr().out == 'there cannot be written either (No space left on device).\n'
    with pytest.raises(OSError, match='No space left'), Checkpoints(tmp_path, 3):
        pass


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path):
    """In another process, whose files are limited to 4 kB after the first checkpoint, as if the disk were full."""
    program = (
        'import sys; from pathlib import Path; from tests.runs import test_checkpoint as t; t.on_a_full_disk(Path(sys.argv[1]))'
    )
    result = subprocess.run([sys.executable, '-c', program, tmp_path], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ['1']
    assert_restored(restore(tmp_path), 1)


def on_a_full_disk(directory):
    """Saves a step that fits, and one that does not."""
    checkpoints = Checkpoints(directory, 3)
    checkpoints.save(1, tree(1), {'seed': 1})
    checkpoints.wait()
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    checkpoints.save(2, tree(2), {'seed': 2})
    deadline, caught = time.time() + 300, None
    while caught is None and time.time() < deadline:  # check() raises the error before the next checkpoint is saved
        time.sleep(0.01)
        try:
            checkpoints.check()
        except OSError as error:
            caught = error
    assert caught.errno == errno.EFBIG
    assert caught.filename == str(directory)


def kept(directory, keep, scores, metric='fd'):
    """Saves a step for each score, or without a score for None, and returns the steps that are kept."""
    checkpoints = Checkpoints(directory, keep, metric)
    for step, value in enumerate(scores, start=1):
        score = None if value is None else Score(metric, value)
        checkpoints.save(step, {'weights': jnp.zeros(1)}, {}, score=score)
    checkpoints.close()
    return sorted(int(path.name) for path in directory.iterdir() if path.name.isdecimal())


def test_the_best_is_kept_beside_the_newest(tmp_path):
    assert kept(tmp_path / 'a', 1, [5.0, 2.0, 3.0, 4.0]) == [2, 4]
    assert kept(tmp_path / 'b', 2, [5.0, 2.0, None, None, 3.0]) == [2, 4, 5]
    assert kept(tmp_path / 'c', 1, [None, None, None]) == [3]


def test_the_best_checkpoint_before_each_kept_step_is_kept(tmp_path):
    assert kept(tmp_path, 2, [3.0, 5.0, 6.0, 1.0]) == [1, 3, 4]  # going back to 3, step 1 is the best again


def test_the_next_process_knows_the_scores_and_ignores_another_metric(tmp_path):
    for number, (metric, expected) in enumerate([('fd', [1, 4]), ('kd', [4])]):
        directory = tmp_path / str(number)
        kept(directory, 3, [1.0, 2.0, 3.0])
        checkpoints = Checkpoints(directory, 1, metric)
        checkpoints.save(4, {'weights': jnp.zeros(1)}, {})
        checkpoints.close()
        assert sorted(int(path.name) for path in directory.iterdir()) == expected


def test_what_a_killed_process_has_left_half_written_is_removed(tmp_path):
    saved(tmp_path)
    (tmp_path / '137.orbax-checkpoint-tmp' / 'state').mkdir(parents=True)
    assert_restored(restore(tmp_path), 3)
    assert not (tmp_path / '137.orbax-checkpoint-tmp').exists()


def test_a_score_that_is_no_number_is_the_worst():
    assert checkpoint_format.lowest({1: math.nan, 2: 3.0, 3: 4.0}, 9) == 2
    assert checkpoint_format.lowest({}, 9) == 9
