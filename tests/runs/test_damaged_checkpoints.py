"""Each file of a checkpoint, damaged in various ways."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.runs.test_checkpoint import LATE_ANSWER, assert_restored, restore, saved

pytestmark = LATE_ANSWER


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


def flip(path):
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(byte ^ 0xFF for byte in content[middle : middle + 64])
    path.write_bytes(content)


def make_directory(path):
    path.unlink()
    path.mkdir()


def change_a_digit(path):
    """The file is still JSON, with another value."""
    path.write_bytes(path.read_bytes().replace(b'"seed": 2', b'"seed": 7'))


DAMAGES = [truncate, empty, flip, Path.unlink, make_directory, change_a_digit]


def damaged_one_by_one(directory, damages):
    """(directory, name of the file, name of the damage): copies with one file of the newest of two checkpoints damaged."""
    saved(directory / 'whole', steps=(1, 2))
    names = [path.relative_to(directory / 'whole') for path in (directory / 'whole' / '2').rglob('*') if path.is_file()]
    for number, name in enumerate(names):
        for damage in damages:
            copy = directory / f'{number}_{damage.__name__}'
            shutil.copytree(directory / 'whole', copy)
            damage(copy / name)
            yield copy, name.name, damage.__name__


def assert_right_bits(directory, output):
    """Restores the newest step, or the one before it with a warning; returns which."""
    restored = restore(directory)
    assert_restored(restored, restored.step)
    if restored.step == 1:
        assert re.fullmatch(rf'Checkpoint 2 cannot be read \(.+\): moved to {directory}/broken_2\.\n', output())
        assert (directory / 'broken_2').is_dir()
    else:
        assert output() == ''
    return restored.step


def test_no_damage_to_a_file_changes_a_bit_of_the_result(tmp_path, capsys):
    """Each file of the newest checkpoint in turn, damaged in each way."""
    newest = {
        (name, damage): assert_right_bits(directory, lambda: capsys.readouterr().out)
        for directory, name, damage in damaged_one_by_one(tmp_path, DAMAGES)
    }
    assert len(newest) > 40
    assert {damage for (_, damage), step in newest.items() if step == 1} == {damage.__name__ for damage in DAMAGES}
    assert newest['metadata', 'change_a_digit'] == 1
    # orbax writes this file and does not read it.
    assert {name for (name, _), step in newest.items() if step == 2} >= {'commit_success.txt'}


def test_files_without_permission_count_as_damaged(tmp_path):
    """In another process, because root can read everything unless it drops the privilege before the program starts."""
    # PR_CAPBSET_DROP of CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    give_up = 'import ctypes, os, sys; [ctypes.CDLL(None).prctl(24, n, 0, 0, 0) for n in (1, 2) if os.geteuid() == 0]; '
    begin = 'os.execv(sys.executable, [sys.executable, *sys.argv[1:]])'
    program = 'import sys; from tests.runs import test_damaged_checkpoints as t; t.without_permissions(t.Path(sys.argv[1]))'
    command = [sys.executable, '-c', give_up + begin, '-c', program, tmp_path]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count('Permission denied') > 3


def without_permissions(directory):
    """Takes the permissions of one file after the other."""

    def take_permissions(path):
        path.chmod(0)

    outcomes = set()
    for copy, _, _ in damaged_one_by_one(directory, [take_permissions]):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            outcomes.add(assert_right_bits(copy, output.getvalue))
        print(output.getvalue())
    assert outcomes == {1, 2}
