"""Eight virtual CPU devices, quick compilation, and an error wherever arrays of different rank are broadcast."""

import contextlib
import functools
import gc
import itertools
import os
import shutil
import tempfile
import zlib
from pathlib import Path

# Before jax is imported. NPROC widens XLA's thread pool: with fewer threads than virtual devices its collectives can deadlock.
os.environ.setdefault('NPROC', '16')
os.environ['XLA_FLAGS'] = os.environ.get('XLA_FLAGS', '') + ' --xla_force_host_platform_device_count=8'
# Most of the time goes into compiling programs that run for milliseconds. test_train compiles them with all optimisations.
os.environ['XLA_FLAGS'] += ' --xla_backend_optimization_level=0'
os.environ['JAX_PLATFORMS'] = 'cpu'
# A program that several tests use, or processes that they start, is compiled once, and kept for the next time. The first
# process of pytest comes here first.
if 'WGAN_JAX_TEST_PROGRAMS' not in os.environ:
    _PROGRAMS = tempfile.TemporaryDirectory(prefix='wgan_jax_tests_')
    os.environ['WGAN_JAX_TEST_PROGRAMS'] = os.environ['JAX_COMPILATION_CACHE_DIR'] = _PROGRAMS.name
    os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0'

import jax
import jaxlib
import pytest
from flax import linen as nn
from hypothesis import Phase, settings
from hypothesis import strategies as st

jax.config.update('jax_numpy_rank_promotion', 'raise')
ROOT = Path(__file__).parent.parent  # of the repository
SEEDS = st.integers(0, 2**32 - 1)
# Code for another process: peak() is the most memory that it has used, in MiB. Its ru_maxrss would be no less than that of pytest.
PEAK = (
    'import pathlib, re\n'
    'peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1024\n'
)
LINUX = pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='the peak of the memory of a process is read from /proc')
_TESTS = itertools.count(1)
_MOST_KEPT = 2**30  # bytes of compiled programs; the quick tests have a tenth of it


def examples(number):
    """The same examples in every run, and a failure at once: to shrink one, each try would compile again."""
    return settings(max_examples=number, deadline=None, derandomize=True, database=None, phases=[Phase.generate])


def pytest_configure(config):
    # jax writes its cache in place: a process may read what another has half written, and then compiles the program itself.
    config.addinivalue_line('filterwarnings', 'ignore:Error reading persistent compilation cache entry:UserWarning')
    if (kept := _kept_programs(config)) is not None:
        shutil.copytree(kept, _PROGRAMS.name, dirs_exist_ok=True)


@pytest.hookimpl(trylast=True)  # when the other processes have ended
def pytest_sessionfinish(session, exitstatus):
    kept = _kept_programs(session.config)
    if kept is None or exitstatus != pytest.ExitCode.OK:
        return  # a process that has crashed or was stopped may have left half a program
    programs = [path for path in Path(_PROGRAMS.name).iterdir() if path.is_file()]
    if sum(path.stat().st_size for path in programs) > _MOST_KEPT:
        shutil.rmtree(kept)
        return
    for path in programs:
        if not (kept / path.name).exists():
            shutil.copy(path, kept / f'{path.name}.partial')
            (kept / f'{path.name}.partial').replace(kept / path.name)


def _kept_programs(config):
    """Where programs are kept between runs of the tests, for this jax and this processor; None in all processes but the first."""
    if '_PROGRAMS' not in globals() or not hasattr(config, 'cache'):
        return None
    info = Path('/proc/cpuinfo')
    flags = (
        next((line for line in info.read_text().splitlines() if line.startswith(('flags', 'Features'))), '')
        if info.exists()
        else ''
    )
    with contextlib.suppress(OSError):  # a checkout that cannot be written
        return config.cache.mkdir(f'programs_{jaxlib.__version__}_{zlib.crc32(flags.encode()):08x}')


class TinyGenerator(nn.Module):
    """latents -> [B, 4, 4, 1], one layer, with batch norm when asked."""

    image_shape: tuple[int, int, int] = (4, 4, 1)
    batch_norm: bool = False

    @nn.compact
    def __call__(self, latents, *, train, axis_name=None):
        x = nn.Dense(16)(latents)
        if self.batch_norm:
            x = nn.BatchNorm(use_running_average=not train, axis_name=axis_name)(x)
        return jax.numpy.tanh(x).reshape(-1, *self.image_shape)


class TinyCritic(nn.Module):
    """images -> scores [B], two layers, so that the penalty reaches every parameter."""

    batch_norm: bool = False

    @nn.compact
    def __call__(self, images, *, train, axis_name=None):
        x = nn.Dense(8)(images.reshape(images.shape[0], -1))
        if self.batch_norm:
            x = nn.BatchNorm(use_running_average=not train, axis_name=axis_name)(x)
        return nn.Dense(1)(nn.softplus(x))[:, 0]


def in_float64(state):
    """A state for the tests in double precision."""
    return jax.tree.map(lambda leaf: leaf.astype('float64') if leaf.dtype == 'float32' else leaf, state)


@pytest.fixture(autouse=True)
def few_programs():
    """Releases compiled programs when there are many: a process may map 65,530 pieces of memory, and each takes several.

    Beyond that, XLA ends the process with a segmentation fault.
    """
    yield
    maps = Path('/proc/self/maps')  # takes some milliseconds to read, so not after each test
    if next(_TESTS) % 10 == 0 and maps.exists() and maps.read_bytes().count(b'\n') > 15_000:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def players():
    """Makes (generator, critic) of one or two layers, with batch norm or without."""
    return make_players


@functools.cache  # jax traces a function again for other networks, even if they are equal
def make_players(batch_norm=False):
    return TinyGenerator(batch_norm=batch_norm), TinyCritic(batch_norm=batch_norm)


@pytest.fixture(scope='session')
def straight(tmp_path_factory):
    """The directory of the run of tiny_runs.tiny(), trained without a stop; no test may change it."""
    from tests import tiny_runs  # imports the whole package, which most tests do not need

    directory = tmp_path_factory.mktemp('straight') / 'run'
    tiny_runs.train(tiny_runs.tiny(), directory)
    return directory


@pytest.fixture
def double_precision():
    """float64 for one test, where a difference above rounding is a bug."""
    jax.config.update('jax_enable_x64', True)
    yield
    jax.config.update('jax_enable_x64', False)


@pytest.fixture(scope='module')
def module_in_double_precision():
    """float64 for the tests of a module: hypothesis accepts no fixtures of a single test."""
    jax.config.update('jax_enable_x64', True)
    yield
    jax.config.update('jax_enable_x64', False)
