"""Zip archives that are damaged, odd or hostile."""

import io
import os
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import examples
from tests.data.encoding import encoded, noise
from tests.data.test_files import archive
from wgan_jax.data import folder
from wgan_jax.data.files import open_files
from wgan_jax.data.images import UnusableImage
from wgan_jax.errors import UserError

IMAGE = encoded(noise())


@pytest.mark.parametrize('name', ['../a.png', 'b/../../a.png', '/etc/a.png', '..\\a.png', 'C:\\a.png'])
def test_names_that_lead_out_of_an_archive_are_refused(tmp_path, name):
    found = open_files(archive(tmp_path / 'set.zip', {name: b'1', 'good.png': b'2'}), 'folder')
    assert found.read('good.png') == b'2'
    with pytest.raises(UnusableImage, match='is refused: its name points outside of the archive'):
        found.read(name)


def test_an_archive_cut_short(tmp_path):
    path = archive(tmp_path / 'set.zip', {'a.png': b'1' * 100})
    content = path.read_bytes()
    path.write_bytes(content[:40] + content[-22:])  # the end record is there, what it speaks of is not
    with pytest.raises(UserError, match=r'config\.data\.folder=.*set\.zip cannot be read'):
        open_files(path, 'folder')


def patched(path, name, field, value):
    """Changes a number of four or two bytes in both headers of a member: 'flags', 'size' or 'packed'."""
    content = bytearray(path.read_bytes())
    begins = [(content.index(b'PK\x03\x04'), 0), (content.rindex(b'PK\x01\x02'), 2)]
    assert content.count(name.encode()) == 2
    offset, form = {'flags': (6, '<H'), 'packed': (18, '<I'), 'size': (22, '<I')}[field]
    for begin, more in begins:  # what the central header has besides stands in front
        struct.pack_into(form, content, begin + offset + more, value)
    path.write_bytes(content)


@pytest.mark.parametrize('claimed', [0, 1000, 10**6])
def test_a_member_that_is_larger_than_it_claims(tmp_path, claimed):
    """No more of it is unpacked than was claimed, whatever the ratio: here 30 MB."""
    path = archive(tmp_path / 'set.zip', {'bomb.png': bytes(3 * 10**7)})
    patched(path, 'bomb.png', 'size', claimed)
    found = open_files(path, 'folder')
    tracemalloc.start()
    try:
        if claimed:
            with pytest.raises(UnusableImage, match='cannot be unpacked'):
                found.read('bomb.png')
        else:
            assert found.read('bomb.png') == b''
        assert tracemalloc.get_traced_memory()[1] < 5 * 10**6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ('field', 'value', 'reason'),
    [
        ('size', 2**32 - 2, 'has 4,294,967,294 bytes, too many for an image'),
        ('packed', 1, 'cannot be unpacked'),
        ('flags', 1, 'cannot be unpacked .*encrypted'),
    ],
)
def test_a_member_with_a_header_that_is_wrong(tmp_path, field, value, reason):
    path = archive(tmp_path / 'set.zip', {'a.png': IMAGE})
    patched(path, 'a.png', field, value)
    with pytest.raises(UnusableImage, match=reason) as caught:
        open_files(path, 'folder').read('a.png')
    assert str(caught.value).isprintable()


@pytest.mark.parametrize('method', [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_limit_are_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / 'set.zip', 'w', method) as file:
        file.writestr('a.png', bytes(10**6))
    with pytest.raises(UnusableImage, match=f'is compressed with method {method}: only deflate is supported'):
        open_files(tmp_path / 'set.zip', 'folder').read('a.png')


@pytest.mark.filterwarnings('ignore:Duplicate name')
def test_a_folder_in_an_archive_of_oddities(tmp_path, capsys):
    """One image of two under the same name, and one that is alone; all else is named, and nothing is written anywhere else."""
    path = tmp_path / 'set.zip'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
        for name in ('twice.png', 'twice.png', 'alone.png', '../out.png', '/out.png', 'c:/out.png'):
            file.writestr(name, IMAGE)
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, 'w') as nested:
            nested.writestr('b.png', IMAGE)
        file.writestr('nested.zip', inner.getvalue())
        link = zipfile.ZipInfo('link.png')
        link.create_system, link.external_attr = 3, 0o120777 << 16
        file.writestr(link, '/etc/passwd')
        file.writestr('.', IMAGE)
        file.writestr('two\nlines.png', b'no image')
        file.writestr('zeros.png', bytes(10**7))
        file.writestr('directory.png/', b'')
    images = folder.source(dir=str(tmp_path / 'sets'), folder=str(path), image_size=16, split='all').load()
    output = capsys.readouterr().out
    assert len(images) == 3, output  # the third is that whose name is a dot
    assert len(np.unique(images.reshape(3, -1), axis=0)) == 1
    assert '7 of 10 files' in output
    for name in ('../out.png', '/out.png', 'c:/out.png'):
        assert f'  {name} is refused: its name points outside of the archive' in output
    for name in ('nested.zip', 'link.png', 'zeros.png', r'two\nlines.png'):
        assert f'  {name} is not an image in a known format' in output
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ['set.zip', 'sets']


@examples(100)
@given(position=st.integers(0, 400), values=st.binary(min_size=1, max_size=8))
def test_an_archive_with_any_bytes_changed(tmp_path_factory, position, values):
    """The archive is read or refused with a message; a member is read or unusable."""
    path = archive(tmp_path_factory.getbasetemp() / 'changed.zip', {'a.png': b'abcd' * 20, 'b.png': b'efgh' * 20})
    content = bytearray(path.read_bytes())
    position %= len(content)
    content[position : position + len(values)] = values
    path.write_bytes(content)
    try:
        found = open_files(path, 'folder')
    except UserError as error:
        message = str(error)
        assert f'config.data.folder={path}' in message
        return
    for name in found.marks:
        try:
            assert len(found.read(name)) <= 2**28
        except UnusableImage as error:
            reason = str(error)
            assert reason


def test_a_pipe_for_an_archive_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'set.zip')
    with pytest.raises(UserError, match=r'set\.zip is neither a directory nor a zip archive'):
        open_files(tmp_path / 'set.zip', 'folder')
