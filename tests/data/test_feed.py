import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from wgan_jax.data import feed
from wgan_jax.data.cache import cached
from wgan_jax.data.plan import index_plan
from wgan_jax.errors import LocalError


def test_auto_gives_the_images_half_of_a_device():
    assert not feed.stays_on_host('auto', 50, 100)
    assert feed.stays_on_host('auto', 51, 100)
    assert not feed.stays_on_host('device', 1000, 100)
    assert feed.stays_on_host('host', 1, 100)


def test_a_chunk_is_cut_by_its_bytes_and_holds_a_round_at_least():
    celeba = 5 * 64 * 64 * 64 * 3
    assert feed.rounds_per_chunk(celeba) == 4
    assert feed.rounds_per_chunk(100 * celeba) == 1


VIEWS = {
    'whole': lambda images: images,
    'without the first': lambda images: images[3:],
    'backwards': lambda images: images[::-1],
    'flipped': lambda images: images[:, :, ::-1],
    'in memory': np.array,
}


@pytest.mark.parametrize('view', VIEWS.values(), ids=VIEWS)
def test_the_renumbered_indices_find_the_same_images(tmp_path, view):
    """Of a memory map, or a part of one: each device's rows hold exactly the images of the plan."""
    written = np.random.default_rng(0).integers(0, 256, (40, 40, 40, 3)).astype(np.uint8)
    np.save(tmp_path / 'images.npy', written)
    images = view(np.load(tmp_path / 'images.npy', mmap_mode='r'))
    parts = np.stack(np.split(index_plan(0, 0, 3, 2, 8, len(images)), 4, axis=-1))  # [4, 3, 2, 2]
    chunk = feed.Gatherer(images).gather(parts, capacity=5)
    assert chunk.dtype == np.uint8
    assert chunk.shape == (4, 5 * 2 * 2, 40, 40, 3)
    places = feed.renumbered(np.zeros((4, 5, 2, 2), np.int32))
    assert places.dtype == np.int32
    for device in range(4):
        np.testing.assert_array_equal(chunk[device][places[device, :3]], view(written)[parts[device]])


def test_a_gathered_chunk_is_never_written_again():
    images = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1)
    parts = np.arange(8, dtype=np.int32).reshape(1, 2, 2, 2)
    gatherer = feed.Gatherer(images)
    first, second = gatherer.gather(parts, 2), gatherer.gather(parts + 8, 2)
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(first.reshape(-1), np.arange(8))


@pytest.mark.parametrize('change', [lambda path: os.truncate(path, 200), lambda path: path.write_bytes(bytes(128 + 4096 * 40 + 4))])
def test_a_file_that_changes_is_not_gathered(tmp_path, change):
    """One that is cut would end the process; one that is rewritten would give other images."""
    images = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 1)).astype(np.uint8)
    rows = cached(tmp_path, 'set', (64, 64, 1), 40, lambda: [images]).reshape(40, -1)
    gatherer, parts = feed.Gatherer(rows), np.arange(4, dtype=np.int32).reshape(1, 1, 1, 4)
    np.testing.assert_array_equal(gatherer.gather(parts, 1)[0], images[:4].reshape(4, -1))
    change(tmp_path / 'wgan_jax' / 'set.npy')
    with pytest.raises(LocalError, match=r'set\.npy was changed while this run was using it'):
        gatherer.gather(parts, 1)


def test_a_file_that_changes_while_it_is_gathered(tmp_path, monkeypatch):
    rows = cached(tmp_path, 'set', (64, 64, 1), 40, lambda: [np.ones((40, 64, 64, 1), np.uint8)]).reshape(40, -1)
    gatherer, take = feed.Gatherer(rows), np.take

    def take_late(*arguments, **options):
        (tmp_path / 'wgan_jax' / 'set.npy').write_bytes(bytes(128 + 4096 * 40 + 4))
        return take(*arguments, **options)

    monkeypatch.setattr(np, 'take', take_late)
    with pytest.raises(LocalError, match=r'its pixels do not match their checksum'):
        gatherer.gather(np.arange(4, dtype=np.int32).reshape(1, 1, 1, 4), 1)


def test_it_works_ahead_of_its_use_and_ends():
    begun, go_on = threading.Event(), threading.Event()

    def prepare(value):
        begun.set()
        go_on.wait(10)
        return value + 1

    with closing(feed.Ahead(prepare)) as ahead:
        ahead.ask(1)
        assert begun.wait(10)  # nobody has taken anything yet
        go_on.set()
        assert ahead.take() == 2
        ahead.ask(2)
        assert ahead.take() == 3
    assert not any(thread.name.startswith('feed') for thread in threading.enumerate())


def test_an_error_on_the_thread_is_raised_as_itself():
    with closing(feed.Ahead(int)) as ahead:
        ahead.ask('no number')
        with pytest.raises(ValueError, match='no number'):
            ahead.take()


MEASURE = """
import re, sys
from contextlib import closing
import numpy as np
from wgan_jax.data import feed
from wgan_jax.data.plan import index_plan

images = np.load(sys.argv[1], mmap_mode='r')
gatherer = feed.Gatherer(images)

def prepare(updates):
    parts = index_plan(0, updates, 4, 5, 64, len(images))[None]
    return parts, gatherer.gather(parts, feed.rounds_per_chunk(5 * 64 * images[0].size))

most = 0
start = len(images) // 64 - 100  # so that the next epoch's permutation comes in between
with closing(feed.Ahead(prepare)) as ahead:
    ahead.ask(start)
    for updates in range(start + 20, start + 320, 20):
        parts, chunk = ahead.take()
        ahead.ask(updates)
        assert (chunk[0, : parts.size, 0, 0, 0] == images[parts.reshape(-1), 0, 0, 0]).all()
        most = max(most, int(re.search(r'RssAnon:\\s+(\\d+) kB', open('/proc/self/status').read())[1]))
    ahead.take()
assert 'jax' not in sys.modules
print(most // 1024)
"""


@pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='only Linux tells how much memory is the process own')
def test_the_memory_it_takes_does_not_grow_with_the_data_set(tmp_path):
    """Three million images of 64x64, 37 GB, in a sparse file: the process itself stays under 1 GB."""
    path = tmp_path / 'images.npy'
    try:
        np.lib.format.open_memmap(path, mode='w+', dtype=np.uint8, shape=(3_000_000, 64, 64, 3))[::500_000, 0, 0, 0] = 7
    except OSError as error:
        pytest.skip(f'{tmp_path} refuses a sparse file of 37 GB: {error}')
    if os.stat(path).st_blocks * 512 > 2**30:
        pytest.skip(f'{tmp_path} does not keep files sparse')
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    done = subprocess.run([sys.executable, '-c', MEASURE, str(path)], env=environment, capture_output=True, text=True, check=False)
    path.unlink()
    assert done.returncode == 0, done.stderr
    mebibytes = int(done.stdout)
    assert 64 < mebibytes < 512, mebibytes
