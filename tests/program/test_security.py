"""Pickles in place of any input file are never loaded, and only the user can write to the files of a run."""

import json
import os
import pickle
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.conftest import ROOT
from tests.data.encoding import encoded, noise
from tests.runs.test_checkpoint import LATE_ANSWER, assert_restored, restore, saved
from wgan_jax.data import folder
from wgan_jax.data.cache import cached
from wgan_jax.devices.compiling import use_compilation_cache
from wgan_jax.errors import UserError


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.fixture
def marker(tmp_path):
    """The file that a hostile pickle creates. Checks first that it would be created, and at the end that it was not."""
    path = tmp_path / 'marker'
    pickle.loads(pickle.dumps(Hostile(path)))
    path.unlink()
    yield path
    assert not path.exists()


def test_a_pickle_in_place_of_a_prepared_array(marker, tmp_path, capsys):
    images = np.arange(48, dtype=np.uint8).reshape(3, 4, 4, 1)
    path = tmp_path / 'wgan_jax' / 'set.npy'
    path.parent.mkdir()
    hostile = np.array([Hostile(marker)], object)
    np.save(path, hostile, allow_pickle=True)
    np.load(path, allow_pickle=True)
    marker.unlink()  # it works where pickles are allowed
    as_array = path.read_bytes()
    for content in (as_array, pickle.dumps(hostile), pickle.dumps(Hostile(marker), 0)):
        path.write_bytes(content)
        np.testing.assert_array_equal(cached(tmp_path, 'set', (4, 4, 1), 3, lambda: [images]), images)
        assert 'preparing it again' in capsys.readouterr().out


def test_pickles_among_the_images(marker, tmp_path):
    content = pickle.dumps(Hostile(marker))
    place = tmp_path / 'images'
    place.mkdir()
    names = ('a.pkl', 'a.npy', 'a.png', 'a.jpg', '__init__.py', 'data.mdb.bak', 'dataset_info.json')
    with zipfile.ZipFile(tmp_path / 'set.zip', 'w') as archive:
        for name in names:
            (place / name).write_bytes(content)
            archive.writestr(name, content)
        (place / 'good.png').write_bytes(encoded(noise()))
        archive.writestr('good.png', encoded(noise()))
    for path in (place, tmp_path / 'set.zip'):
        assert len(folder.source(dir=str(tmp_path / 'sets'), folder=str(path), image_size=16, split='all').load()) == 1


@LATE_ANSWER
def test_a_pickle_in_place_of_each_file_of_a_checkpoint(marker, tmp_path):
    saved(tmp_path / 'whole', steps=(1,))
    files = sorted(path.relative_to(tmp_path / 'whole') for path in (tmp_path / 'whole').rglob('*') if path.is_file())
    assert len(files) > 5
    outcomes = set()
    for name in files:
        shutil.copytree(tmp_path / 'whole', tmp_path / 'copy')
        (tmp_path / 'copy' / name).write_bytes(pickle.dumps(Hostile(marker)))
        try:
            restored = restore(tmp_path / 'copy')
        except UserError:
            outcomes.add('refused')
        else:  # a file that is not needed
            assert_restored(restored, 1)
            outcomes.add('restored')
        assert not marker.exists(), name
        shutil.rmtree(tmp_path / 'copy')
    assert 'refused' in outcomes


WHOLE_RUN = """
import json, os, pathlib, pickle, sys

loaded, written, moved = [], set(), []


def watch(event, arguments):
    if event == 'pickle.find_class':
        loaded.append(list(map(str, arguments)))
    elif event == 'open' and isinstance(arguments[0], (str, bytes)) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        written.add(os.path.abspath(os.fsdecode(arguments[0])))
    elif event == 'os.rename':
        moved.append([os.path.abspath(os.fspath(path)) for path in arguments[:2]])


sys.addaudithook(watch)
import jax

from tests.tiny_runs import tiny
from wgan_jax.data import folder
from wgan_jax.devices import compiling
from wgan_jax.runs.build import prepare
from wgan_jax.training import trainer

place = pathlib.Path(sys.argv[1])
compiling.use_compilation_cache()
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)
for steps in (4, 8):
    trainer.train(prepare(tiny(num_steps=steps)), str(place / 'run'))
for _ in range(2):
    folder.source(dir=str(place / 'sets'), folder=str(place / 'images'), image_size=16, split='all').load()
before = list(loaded)
pickle.loads(pickle.dumps(pathlib.Path()))
found = len(loaded) > len(before)
print(json.dumps({'loaded': before, 'written': sorted(written), 'moved': moved, 'watching': found}))
"""


@pytest.mark.slow
def test_a_whole_run_and_its_resume(tmp_path):
    """It unpickles nothing, and writes only to its own directories, with safe permissions."""
    (tmp_path / 'images').mkdir()
    (tmp_path / 'temporary').mkdir()
    (tmp_path / 'images' / 'a.png').write_bytes(encoded(noise()))
    own = {'TMPDIR': tmp_path / 'temporary', 'XDG_CACHE_HOME': tmp_path / 'caches', 'TFDS_DATA_DIR': tmp_path / 'sets'}
    environment = {**os.environ, **{name: str(path) for name, path in own.items()}, 'PYTHONDONTWRITEBYTECODE': '1'}
    environment = {**environment, 'PYTHONPATH': str(ROOT)}
    environment.pop('JAX_COMPILATION_CACHE_DIR', None)
    before = os.umask(0o022)
    try:
        command = [sys.executable, '-c', WHOLE_RUN, str(tmp_path)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen['watching'], 'the hook did not see the pickle that was loaded at the end'
    assert seen['loaded'] == []
    inside = [path for path in seen['written'] if not path.startswith('/dev/')]
    assert len(inside) > 5
    assert [path for path in inside if not Path(path).is_relative_to(tmp_path)] == []
    assert list((tmp_path / 'temporary').iterdir()) == []
    assert seen['moved']
    assert [pair for pair in seen['moved'] if pair[0].split('/')[:-1] != pair[1].split('/')[:-1]] == []
    entries = list(tmp_path.rglob('*'))
    assert {'metrics.jsonl', 'config.json', 'real.png'} <= {path.name for path in entries}
    assert list((tmp_path / 'sets' / 'wgan_jax').glob('*.npy'))
    assert [path for path in entries if not path.is_symlink() and path.stat().st_mode & 0o022] == []
    compiled = tmp_path / 'caches' / 'wgan_jax'
    assert stat.S_IMODE(compiled.stat().st_mode) == 0o700
    assert list(compiled.rglob('*-cache')), 'no compiled program was kept'


@pytest.fixture
def no_compilation_cache(monkeypatch, tmp_path):
    """As if none had been set. The user's cache directory is `tmp_path/caches`."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'caches'))
    before = jax.config.jax_compilation_cache_dir
    jax.config.update('jax_compilation_cache_dir', None)
    yield tmp_path / 'caches' / 'wgan_jax'
    jax.config.update('jax_compilation_cache_dir', before)


def test_the_directory_of_compiled_programs_is_private(no_compilation_cache, capsys):
    before = os.umask(0)
    try:
        use_compilation_cache()
    finally:
        os.umask(before)
    assert stat.S_IMODE(no_compilation_cache.stat().st_mode) == 0o700
    assert Path(jax.config.jax_compilation_cache_dir).parent == no_compilation_cache
    assert capsys.readouterr().out == ''


def test_a_directory_of_compiled_programs_that_others_may_write_to_is_not_used(no_compilation_cache, capsys):
    no_compilation_cache.mkdir(parents=True)
    no_compilation_cache.chmod(0o777)
    use_compilation_cache()
    assert jax.config.jax_compilation_cache_dir is None
    assert f'other users can write to {no_compilation_cache}; compiled programs are not kept' in capsys.readouterr().out
    no_compilation_cache.chmod(0o755)
    use_compilation_cache()
    assert Path(jax.config.jax_compilation_cache_dir).parent == no_compilation_cache


def test_without_a_directory_for_compiled_programs_nothing_is_kept(no_compilation_cache, capsys):
    no_compilation_cache.parent.write_text('')
    use_compilation_cache()
    assert jax.config.jax_compilation_cache_dir is None
    assert f'{no_compilation_cache} cannot be created (' in capsys.readouterr().out
