import errno
import os
import sys
import unittest.mock
import zipfile
from concurrent.futures import ThreadPoolExecutor

import lmdb
import pytest

from wgan_jax.data import files
from wgan_jax.data.files import open_files, shuffled
from wgan_jax.data.images import UnusableImage
from wgan_jax.errors import UserError


def write(path, content=b'x'):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_a_directory_at_any_depth_without_hidden_files(tmp_path):
    for name in ('a.png', 'b/c.jpg', 'b/d/e', '.DS_Store', '.git/x.png', '__MACOSX/a.png', 'b/Thumbs.db'):
        write(tmp_path / name, name.encode())
    found = open_files(tmp_path, 'folder')
    assert sorted(found.marks) == ['a.png', 'b/c.jpg', 'b/d/e']
    assert found.read('b/c.jpg') == b'b/c.jpg'


def test_links_are_followed_once_and_circles_end(tmp_path):
    write(tmp_path / 'elsewhere' / 'a.png', b'linked')
    top = tmp_path / 'top'
    write(top / 'b.png')
    (top / 'link').symlink_to(tmp_path / 'elsewhere')
    (top / 'circle').symlink_to(top)
    (top / 'self').symlink_to(top / 'self')
    (top / 'nowhere.png').symlink_to(tmp_path / 'gone')
    found = open_files(top, 'folder')
    assert sorted(found.marks) == ['b.png', 'link/a.png', 'nowhere.png', 'self']
    assert found.read('link/a.png') == b'linked'
    with pytest.raises(UnusableImage, match=r'cannot be read \(No such file or directory\)'):
        found.read('nowhere.png')
    with pytest.raises(UnusableImage, match='Too many levels of symbolic links'):
        found.read('self')


def test_a_directory_keeps_its_own_name_where_a_link_leads_to_it_too(tmp_path):
    write(tmp_path / 'm' / 'a.png')
    for link in ('a', 'z'):
        (tmp_path / link).symlink_to(tmp_path / 'm')
    assert list(open_files(tmp_path, 'folder').marks) == ['m/a.png']


def test_a_file_without_permission_is_unusable_until_it_has_one(tmp_path, monkeypatch):
    write(tmp_path / 'a.png')
    permitted = open_files(tmp_path, 'folder').fingerprint(['a.png'])
    monkeypatch.setattr(os, 'access', lambda path, mode: False)
    found = open_files(tmp_path, 'folder')
    assert found.fingerprint(['a.png']) != permitted
    with pytest.raises(UnusableImage, match='Permission denied'):
        found.read('a.png')


def test_a_file_too_large_for_an_image_is_not_read(tmp_path):
    with (tmp_path / 'film.mp4').open('wb') as file:
        file.truncate(files.MAX_BYTES + 1)
    with pytest.raises(UnusableImage, match=r'has 268,435,457 bytes, too many for an image'):
        open_files(tmp_path, 'folder').read('film.mp4')


def archive(path, contents):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
        for name, content in contents.items():
            file.writestr(name, content)
    return path


def test_a_zip_archive_is_like_a_directory(tmp_path):
    contents = {'a.png': b'1', 'b/c.png': b'2', './d.png': b'3', 'b/': b'', '__MACOSX/a.png': b'', '.hidden/x': b''}
    found = open_files(archive(tmp_path / 'set.zip', contents), 'folder')
    assert sorted(found.marks) == ['./d.png', 'a.png', 'b/c.png']
    assert [found.read(name) for name in sorted(found.marks)] == [b'3', b'1', b'2']


def test_threads_read_a_zip_archive_without_disturbing_each_other(tmp_path):
    """With an extra field, as zip writes it, which zipfile of Python 3.12 and 3.13 skips by a move in the file of all threads."""
    contents = {f'{number:03}.png': bytes([number % 251]) * (200 + number) for number in range(300)}
    with zipfile.ZipFile(tmp_path / 'set.zip', 'w', zipfile.ZIP_DEFLATED) as file:
        for name, content in contents.items():
            info = zipfile.ZipInfo(name)
            info.extra = b'UT\x05\x00\x03' + bytes(4)
            file.writestr(info, content)
    found, interval = open_files(tmp_path / 'set.zip', 'folder'), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as executor:
            for _ in range(10):
                assert list(executor.map(found.read, contents)) == list(contents.values())
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize(('number', 'kind'), [(errno.EIO, OSError), (errno.ESTALE, OSError), (errno.EINVAL, UnusableImage)])
def test_a_zip_archive_that_fails_while_it_is_read(tmp_path, monkeypatch, number, kind):
    """A disk may recover, an offset that is no offset will not."""
    found = open_files(archive(tmp_path / 'set.zip', {'a.png': b'1'}), 'folder')
    monkeypatch.setattr(zipfile.ZipFile, 'open', unittest.mock.Mock(side_effect=OSError(number, os.strerror(number))))
    with pytest.raises(kind):
        found.read('a.png')


def test_an_lmdb_that_fails_while_it_is_read(tmp_path, monkeypatch):
    write(tmp_path / 'data.mdb')
    transaction = unittest.mock.MagicMock()
    transaction.__enter__.return_value.cursor.return_value.iternext.return_value = [b'key']
    environment = unittest.mock.MagicMock()
    environment.info.return_value, environment.stat.return_value = {'last_pgno': 0}, {'psize': 0}
    environment.begin.side_effect = [transaction, lmdb.Error('the disk is gone')]
    monkeypatch.setattr(lmdb, 'open', lambda *args, **options: environment)
    found = open_files(tmp_path, 'manual_dir')
    with pytest.raises(OSError, match='the disk is gone'):
        found.read('key')


def test_a_broken_lmdb(tmp_path):
    write(tmp_path / 'data.mdb', b'nonsense' * 1000)
    with pytest.raises(UserError, match='cannot be read as an LMDB'):
        open_files(tmp_path, 'manual_dir')


@pytest.mark.parametrize('left', [0.01, 0.3, 0.7])
def test_an_lmdb_that_is_cut_short(tmp_path, left):
    """Of such a copy LMDB knows nothing until the system ends the process."""
    path = tmp_path / 'set' / 'data.mdb'
    with lmdb.open(str(path.parent), map_size=2**23) as environment, environment.begin(write=True) as transaction:
        for number in range(1000):
            transaction.put(f'{number}'.encode(), bytes(5000))
    whole = path.read_bytes()
    needed = len(whole)
    path.write_bytes(whole[: int(left * needed)])
    with pytest.raises(UserError, match=rf'set is cut short: data\.mdb has {int(left * needed):,} bytes of {needed:,}; fetch or'):
        open_files(path.parent, 'manual_dir')


def test_nothing_inside(tmp_path):
    with pytest.raises(UserError, match=r'config\.data\.folder=.* has no files: give a directory or a zip archive'):
        open_files(tmp_path, 'folder')


def test_a_directory_without_permission(tmp_path, monkeypatch):
    def denied(path):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(os, 'scandir', denied)
    with pytest.raises(UserError, match=r'config\.data\.folder=.* cannot be read \(Permission denied\)'):
        open_files(tmp_path, 'folder')


def test_the_fingerprint_tells_changes(tmp_path):
    write(tmp_path / 'a.png', b'1')
    write(tmp_path / 'b.png', b'2')

    def fingerprint():
        found = open_files(tmp_path, 'folder')
        return found.fingerprint(sorted(found.marks))

    before = fingerprint()
    assert fingerprint() == before
    assert len(before) == 16
    os.utime(tmp_path / 'a.png', ns=(0, 0))
    touched = fingerprint()
    write(tmp_path / 'c.png')
    assert len({before, touched, fingerprint()}) == 3


def test_the_order_is_that_of_hashes_and_stays():
    names = [f'{i}.png' for i in range(100)]
    order = shuffled(names)
    assert sorted(order) == sorted(names)
    assert order != names
    assert [name for name in shuffled([*names, 'new.png']) if name != 'new.png'] == order
    # In every version: a prepared array keeps its name, and so its order.
    assert shuffled(names[:8]) == [f'{i}.png' for i in (6, 0, 7, 2, 1, 4, 3, 5)]
