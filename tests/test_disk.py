import multiprocessing
import os
import threading
from pathlib import Path

import pytest

from wgan_jax import disk


def test_only_regular_files_of_bounded_size_are_read(tmp_path):
    (tmp_path / 'file').write_bytes(b'12345')
    assert disk.read_bytes(tmp_path / 'file', 5) == b'12345'
    with pytest.raises(OSError, match='it has 5 bytes, more than 4'):
        disk.read_bytes(tmp_path / 'file', 4)
    os.mkfifo(tmp_path / 'pipe')
    for path in (tmp_path / 'pipe', '/dev/zero'):
        with pytest.raises(OSError, match='it is not a regular file'):
            disk.read_bytes(path)


def test_a_tree_has_regular_files_only(tmp_path):
    (tmp_path / 'a' / 'b').mkdir(parents=True)
    (tmp_path / 'a' / 'file').write_text('')
    (tmp_path / 'link').symlink_to('a')
    disk.check_tree(tmp_path)
    os.mkfifo(tmp_path / 'a' / 'b' / 'pipe')
    with pytest.raises(OSError, match='it is not a regular file') as caught:
        disk.check_tree(tmp_path)
    assert Path(caught.value.filename).resolve() == tmp_path / 'a' / 'b' / 'pipe'


def test_what_is_behind_links_belongs_to_a_tree(tmp_path):
    for name in ('tree', 'elsewhere'):
        (tmp_path / name).mkdir()
    (tmp_path / 'tree' / 'linked').symlink_to(tmp_path / 'elsewhere')
    for name in ('one', 'two'):  # links in circles, of which there are 2^40 ways
        (tmp_path / 'elsewhere' / name).symlink_to(tmp_path / 'tree')
    disk.check_tree(tmp_path / 'tree')
    os.mkfifo(tmp_path / 'elsewhere' / 'pipe')
    with pytest.raises(OSError, match='it is not a regular file'):
        disk.check_tree(tmp_path / 'tree')


def test_a_user_without_a_home_directory(monkeypatch):
    def fail():
        raise RuntimeError('Could not determine home directory.')

    assert disk.home() == Path.home()
    monkeypatch.setattr(Path, 'home', fail)
    monkeypatch.setenv('XDG_CACHE_HOME', '/cache')
    assert disk.user_cache() == Path('/cache')
    monkeypatch.delenv('XDG_CACHE_HOME')
    assert disk.home() is None
    assert disk.user_cache() is None


def test_a_replaced_file_has_the_rights_of_a_new_one(tmp_path):
    disk.replace_file(tmp_path / 'new' / 'file', b'1')
    (tmp_path / 'other').write_bytes(b'')
    assert (tmp_path / 'new' / 'file').stat().st_mode == (tmp_path / 'other').stat().st_mode
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['file']


def test_what_a_killed_process_left_is_overwritten(tmp_path):
    (tmp_path / '.file.tmp').write_bytes(b'longer than the new content')
    disk.replace_file(tmp_path / 'file', b'new')
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {'file': b'new'}


def test_a_pipe_in_place_of_the_unfinished_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / '.file.tmp')
    with pytest.raises(OSError, match='no regular file: remove it'):
        disk.replace_file(tmp_path / 'file', b'new')
    assert not (tmp_path / 'file').exists()


@pytest.mark.parametrize('parent', ['file', 'link'])
def test_a_directory_that_cannot_be_created_is_an_error(tmp_path, parent):
    (tmp_path / 'file').write_bytes(b'')
    (tmp_path / 'link').symlink_to(tmp_path / 'nowhere')
    with pytest.raises((FileExistsError, NotADirectoryError)):
        disk.replace_file(tmp_path / parent / 'new', b'1')


def _write(path, letter):
    for _ in range(50):
        disk.replace_file(path, letter * 200_000)


def test_writers_of_the_same_file_take_turns_and_readers_see_whole_files(tmp_path):
    """Two processes and a thread."""
    path, context = tmp_path / 'file', multiprocessing.get_context('spawn')
    disk.replace_file(path, b'a' * 200_000)
    writers = [context.Process(target=_write, args=(path, letter)) for letter in (b'b', b'c')]
    for writer in writers:
        writer.start()
    thread = threading.Thread(target=_write, args=(path, b'd'))
    thread.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        content = path.read_bytes()
        assert content == content[:1] * 200_000
        seen.add(content[:1])
    for writer in (*writers, thread):
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len(seen) >= 3
    assert [path.name for path in tmp_path.iterdir()] == ['file']


@pytest.fixture
def no_locks(monkeypatch):
    def flock(file, operation):
        raise OSError(disk.errno.ENOLCK, 'No locks available')

    monkeypatch.setattr(disk.fcntl, 'flock', flock)


def test_a_file_system_without_locks_can_be_written(tmp_path, no_locks):
    disk.replace_file(tmp_path / 'file', b'1')
    assert (tmp_path / 'file').read_bytes() == b'1'
    assert [path.name for path in tmp_path.iterdir()] == ['file']


def test_without_locks_each_writer_has_a_file_of_its_own(tmp_path, no_locks):
    with disk.only_one(tmp_path / 'unfinished', 'is writing') as one:
        one.write(b'one')
        with disk.only_one(tmp_path / 'unfinished', 'is writing') as other:
            other.write(b'other')
        assert Path(one.name).read_bytes() == b'one'
        Path(one.name).replace(tmp_path / 'file')
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {'file': b'one'}


def test_files_of_killed_processes_are_removed_and_those_in_use_are_not(tmp_path):
    (tmp_path / 'unfinished_killed').write_bytes(b'half')
    os.mkfifo(tmp_path / 'unfinished_pipe')  # would wait for a writer
    (tmp_path / 'finished').touch()
    with disk.only_one(tmp_path / 'unfinished_used', 'is writing'):
        disk.remove_abandoned(tmp_path, 'unfinished_*')
        assert not (tmp_path / 'unfinished_killed').exists()
        assert {'finished', 'unfinished_used'} <= {path.name for path in tmp_path.iterdir()}
