import re

import jax
import numpy as np
import pytest

from tests.tiny_runs import compile_once, prepared, tiny
from wgan_jax.devices import parallel
from wgan_jax.runs import memory_limits
from wgan_jax.runs.build import build, prepare_group
from wgan_jax.runs.members import combine
from wgan_jax.runs.memory_limits import num_bytes
from wgan_jax.training import dry_run, rounds


@pytest.fixture(autouse=True)
def _compile_once(monkeypatch):
    for module in (dry_run, rounds):
        monkeypatch.setattr(module, 'compile_rounds', compile_once)


def test_the_memory_of_the_process_grows_by_what_is_allocated():
    before = dry_run.of_process()
    array = np.ones(2**24)  # 128 MiB
    after = dry_run.of_process()
    np.testing.assert_allclose(after - before, array.nbytes, rtol=0.1)


def test_a_run_needs_its_state_its_images_and_room_for_a_round():
    config = tiny()
    experiment = prepared(config)
    before = dry_run.of_process()
    need = dry_run.memory_of(experiment, (1500, 8, 8, 1))
    assert need.state == num_bytes(experiment.create_state())
    assert not need.on_host
    assert need.images == 1500 * 64
    assert need.working > config.batch_size // jax.device_count() * 64 * 4  # at least one batch of images in float32
    on_devices = jax.device_count() * (need.state + need.images + need.working)
    assert need.process >= before + on_devices + 2 * need.state
    assert str(need).startswith(f'state {need.state / 2**20:.1f} MiB, images ')


@pytest.mark.slow
def test_the_placement_and_the_boost_change_the_memory(capsys):
    config = tiny(batch_size=512, sample_every=4)
    config.data.placement = 'host'
    config.boost.update(n_critic=64, until=config.num_steps)
    dry_run.dry_run(prepared(config))
    output = capsys.readouterr().out
    assert 'images: 1,500, 0.09 MiB in host memory, two chunks of them on each device' in output
    assert ', images 2.0 MiB, ' in output  # 2 * 4 rounds * 64 updates * 512 / 8 images * 64 bytes


def test_a_dry_run_prints_parameters_and_memory_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dry_run.dry_run(prepared(tiny()))
    output = capsys.readouterr().out
    # 3 * 4 + 4, batch norm 2 * 4, 4 * 64 + 64; and 64 * 4 + 4, 4 + 1
    generator = """
generator      output   parameters  statistics
latents        [B, 3]
Dense_0        [B, 4]           16           0
BatchNorm_0    [B, 4]            8           8
Dense_1        [B, 64]         320           0
total                          344           8
generator: 344 parameters
"""
    critic = """
critic     output        parameters
images     [B, 8, 8, 1]
Dense_0    [B, 4]               260
Dense_1    [B, 1]                 5
total                           265
critic: 265 parameters
"""
    assert generator + critic in output
    assert 'images: 1,500, 0.09 MiB on each device' in output
    assert 'memory per device: state ' in output
    assert ', images 0.1 MiB, ' in output
    assert '\nproducts: float32\n' in output
    assert re.search(r'^time: \d\S* s per round, .+ for 12 rounds, without pictures and scores$', output, re.MULTILINE)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_does_not_fit_is_not_timed(capsys, monkeypatch):
    def check_round(*sizes):
        raise memory_limits.TooLarge('It needs more.')

    monkeypatch.setattr(memory_limits, 'check_round', check_round)
    dry_run.dry_run(prepared(tiny()))
    assert capsys.readouterr().out.endswith('time: not measured, since this machine cannot train it. It needs more.\n')


def test_in_epochs_of_an_unknown_number_of_images_the_length_is_unknown(capsys):
    config = tiny(interval_unit='epochs')
    experiment = prepared(config)
    source = experiment.data.source._replace(num_images=None)
    dry_run.dry_run(experiment._replace(data=experiment.data._replace(source=source)))
    output = capsys.readouterr().out
    assert 'images: an unknown number, 0.000 MiB each; what follows includes one batch' in output
    assert re.search(r'^time: \d\S* s per round$', output, re.MULTILINE)


def test_of_a_group_that_does_not_fit_as_many_are_timed_as_do(capsys, monkeypatch):
    config = tiny()
    config.data.placement = 'host'
    one_state = memory_limits.num_bytes(build(config).create_state())

    def check_round(state, images, working):
        if state > 1.5 * one_state:
            raise memory_limits.TooLarge('It needs more.')

    monkeypatch.setattr(memory_limits, 'check_round', check_round)
    monkeypatch.setattr(jax, 'device_count', lambda: 2)
    monkeypatch.setattr(parallel, 'all_devices', lambda: jax.devices()[:2])
    dry_run.dry_run_of_group(prepare_group(combine(config, {'': {}}, 3)))
    output = capsys.readouterr().out
    assert '3 runs at a time need too much memory: 2 at a time.' in output
    seconds, length = re.search(r'^  time: (\S+) s per round of 2, (.+) for 12 rounds$', output, re.MULTILINE).groups()
    assert float(length.removesuffix(' s')) == pytest.approx(2 * 12 * float(seconds), rel=0.02)
    assert re.search(r'^in all: 3 runs, ', output, re.MULTILINE)


def test_of_a_group_in_epochs_of_an_unknown_number_of_images_the_length_is_unknown(capsys):
    experiments = prepare_group(combine(tiny(interval_unit='epochs'), {'': {}}, 2))
    source = next(iter(experiments.values())).data.source._replace(num_images=None)
    unknown = {name: one._replace(data=one.data._replace(source=source)) for name, one in experiments.items()}
    dry_run.dry_run_of_group(unknown)
    output = capsys.readouterr().out
    assert re.search(r'^  memory per device: .*, with one image of an unknown number$', output, re.MULTILINE)
    assert re.search(r'^  time: \S+ s per round of all$', output, re.MULTILINE)
    assert output.endswith('in all: 2 runs\n')
