"""Files in the place of a prepared data set: only the file that was written is used."""

import io
import os
import stat
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import LINUX, PEAK, examples
from wgan_jax.data import array_file
from wgan_jax.data.array_file import DamagedFile, open_array
from wgan_jax.data.cache import cached
from wgan_jax.errors import UserError

IMAGES = np.arange(48, dtype=np.uint8).reshape(3, 4, 4, 1)
SHAPE = (4, 4, 1)
DAMAGED = 'is not a complete array of images of 4x4x1'
CHANGED = 'has pixels that do not match their checksum'


def blocks():
    yield IMAGES


def never():
    raise AssertionError('built again')


@pytest.fixture
def path(tmp_path):
    """A complete file."""
    cached(tmp_path, 'set', SHAPE, 3, blocks)
    return tmp_path / 'wgan_jax' / 'set.npy'


def is_replaced(path, reason, capsys):
    """Whether `cached` replaces a damaged file and prints a warning."""
    capsys.readouterr()
    images = cached(path.parent.parent, 'set', SHAPE, 3, blocks)
    np.testing.assert_array_equal(images, IMAGES)
    assert capsys.readouterr().out == f'Warning: {path} {reason}; preparing it again.\n'
    np.testing.assert_array_equal(cached(path.parent.parent, 'set', SHAPE, 3, never), IMAGES)
    assert os.listdir(path.parent) == ['set.npy']
    return True


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def change(path, position=130):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    return content


@pytest.mark.parametrize('position', [128, 150, 175, 176, 179])
def test_a_changed_pixel_or_checksum_is_noticed(path, position, capsys):
    assert len(change(path, position)) == 128 + 48 + 4
    assert is_replaced(path, CHANGED, capsys)


def test_any_changed_byte_of_the_header_is_noticed(path):
    whole = path.read_bytes()
    for position in range(128):
        for value in {ord(' '), whole[position] ^ 1} - {whole[position]}:
            path.write_bytes(whole[:position] + bytes([value]) + whole[position + 1 :])
            with pytest.raises(DamagedFile, match=DAMAGED):
                open_array(path, SHAPE)


@examples(60)
@given(
    head=st.sampled_from([b'', b'\x93NUMPY', b'\x93NUMPY\x01\x00', b'\x93NUMPY\x03\x00', b'PK\x03\x04', b'\x80\x04']),
    rest=st.binary(),
)
def test_no_other_file_is_taken_for_one(tmp_path_factory, head, rest):
    path = tmp_path_factory.getbasetemp() / 'any.npy'
    path.write_bytes(head + rest)
    with pytest.raises(DamagedFile, match=DAMAGED):
        open_array(path, SHAPE)


FOREIGN = {
    'another type': npy(IMAGES.astype(np.int8)),
    'another shape': npy(IMAGES.reshape(3, 2, 8, 1)),
    'Fortran order': npy(np.asfortranarray(IMAGES)),
    'without a checksum': npy(IMAGES),
    'cut short': npy(IMAGES) + bytes(3),
    'no images': npy(IMAGES[:0]) + bytes(4),
}


@pytest.mark.parametrize('content', FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_is_replaced(path, content, capsys):
    path.write_bytes(content)
    assert is_replaced(path, DAMAGED, capsys)


def test_a_pipe_is_not_waited_for(path, capsys):
    path.unlink()
    os.mkfifo(path)
    assert is_replaced(path, 'is not a regular file', capsys)


def test_a_directory_in_its_place_is_left_alone(path, capsys):
    path.unlink()
    path.mkdir()
    np.testing.assert_array_equal(cached(path.parent.parent, 'set', SHAPE, 3, blocks), IMAGES)
    assert 'set.npy cannot be written (Is a directory); the data set stays in memory' in capsys.readouterr().out


def test_a_damaged_file_without_its_source_stays(path):
    content = change(path)

    def gone():
        raise UserError('The source could not be read: fetch it again.')

    with pytest.raises(UserError) as caught:
        cached(path.parent.parent, 'set', SHAPE, 3, gone)
    assert str(caught.value) == f'{path} {CHANGED}, and cannot be prepared again: The source could not be read: fetch it again.'
    assert path.read_bytes() == content


def test_the_pixels_of_very_large_files_are_not_checked(path, monkeypatch):
    monkeypatch.setattr(array_file, 'CHECKED_BYTES', len(change(path)) - 1)
    assert cached(path.parent.parent, 'set', SHAPE, 3, never)[0, 0, 2, 0] == IMAGES[0, 0, 2, 0] ^ 1


@LINUX
def test_checking_takes_no_memory_of_its_own(tmp_path):
    """64 MiB are checked in a process whose resident memory grows by less than 16."""
    program = (
        f'{PEAK}import sys, numpy as np; from wgan_jax.data.array_file import open_array;'
        'before = peak(); images = open_array(pathlib.Path(sys.argv[1]), (64, 64, 4)); print(len(images), peak() - before)'
    )
    cached(tmp_path, 'set', (64, 64, 4), 4096, lambda: [np.full((4096, 64, 64, 4), 7, np.uint8)])
    command = [sys.executable, '-c', program, str(tmp_path / 'wgan_jax' / 'set.npy')]
    count, grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(count) == 4096
    assert float(grown) < 16


@pytest.mark.parametrize('plant', ['symbolic link', 'link to nowhere', 'second name'])
def test_a_link_planted_under_the_temporary_name_is_not_followed(tmp_path, plant, capsys):
    """In a directory that others may write to; what it leads to keeps its content, and is not created."""
    victim = tmp_path / 'victim'
    if plant != 'link to nowhere':
        victim.write_text('precious')
    temporary = tmp_path / 'sets' / 'wgan_jax' / 'unfinished_set'
    temporary.parent.mkdir(parents=True)
    os.link(victim, temporary) if plant == 'second name' else temporary.symlink_to(victim)
    np.testing.assert_array_equal(cached(tmp_path / 'sets', 'set', SHAPE, 3, blocks), IMAGES)
    assert victim.exists() == (plant != 'link to nowhere')
    assert not victim.exists() or victim.read_text() == 'precious'
    what = 'a hard link to another file, or no regular file' if plant == 'second name' else 'a symbolic link'
    assert f'cannot be written ({temporary} is {what}: remove it); the data set stays in memory' in capsys.readouterr().out


def test_the_usual_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        cached(tmp_path / 'sets', 'set', SHAPE, 3, blocks)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / 'sets' / 'wgan_jax' / 'set.npy').stat().st_mode) == 0o640


def test_a_limit_on_the_size_of_files(tmp_path):
    """Met in the middle of the writing."""
    program = (
        'import sys, pathlib, resource, numpy as np; from wgan_jax.data.cache import cached, identity;'
        'resource.setrlimit(resource.RLIMIT_FSIZE, (2**19, 2**19));'
        'images = cached(pathlib.Path(sys.argv[1]), "set", (64, 64, 4), 64, lambda: [np.ones((64, 64, 64, 4), np.uint8)]);'
        'print(images.shape, identity(images)["num_images"])'
    )
    command = [sys.executable, '-c', program, str(tmp_path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert 'set.npy cannot be written (File too large); the data set stays in memory for this run only.' in output
    assert output.splitlines()[-1] == '(64, 64, 64, 4) 64'
    assert list(tmp_path.iterdir()) == []
