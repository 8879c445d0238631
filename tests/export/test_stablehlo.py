"""A generator in a file, read by a program that has only jax."""

import hashlib
import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax import export as jax_export

from tests.algorithm.test_steps import make_state
from tests.tiny_runs import tiny
from wgan_jax.algorithm.state import generate
from wgan_jax.algorithm.steps import zero_sums
from wgan_jax.errors import UserError
from wgan_jax.export import __main__ as main_program
from wgan_jax.export import command, stablehlo
from wgan_jax.models import NETWORKS, make_network
from wgan_jax.runs.build import build
from wgan_jax.runs.checkpoint import Checkpoints
from wgan_jax.runs.saved_run import open_run

_QUICK = ('dcgan', 'mlp')  # networks whose critic is exported in a few seconds
LATENTS = np.random.default_rng(0).standard_normal((5, 3), np.float32)


def leave_run(directory, steps, **changes):
    """Writes the checkpoints of a run without training, with different weights at each step."""
    config = tiny(**changes)
    config.generator.norm = 'batch'
    experiment = build(config)
    record = {**config.to_dict(), 'data_set': {'num_images': 1, 'crc32': 0}, 'rewinds': 0}
    state = experiment.create_state()
    with Checkpoints(directory / 'checkpoints', len(steps)) as checkpoints:
        for step in steps:
            other = jax.tree.map(lambda leaf, step=step: leaf + 0.01 * step, state.ema)
            checkpoints.save(step, (state.replace(ema=other), zero_sums(config.gp_weight)), record)
    return directory


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return leave_run(tmp_path_factory.mktemp('runs') / 'tiny', [5, 6])


def test_another_process_generates_the_same_images_without_our_code(run, tmp_path, capsys):
    main_program.main([f'--workdir={run}', f'--out={tmp_path}', '--step=5'])
    facts = json.loads((tmp_path / 'generator.json').read_text())
    assert capsys.readouterr().out.splitlines()[-3:] == facts['load']
    np.save(tmp_path / 'latents.npy', LATENTS)
    more = (
        "images = generator.call(numpy.load('latents.npy'))",
        "assert generator.call(numpy.load('latents.npy')[:2]).shape == (2, 8, 8, 1)",
        "import sys; assert not {'wgan_jax', 'flax', 'orbax'} & set(sys.modules)",
        "numpy.save('images.npy', images)",
    )
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    program = '\n'.join([*facts['load'], *more])
    subprocess.run([sys.executable, '-c', program], cwd=tmp_path, env=environment, check=True)
    saved = open_run(str(run), '5')
    images = np.load(tmp_path / 'images.npy')
    np.testing.assert_allclose(images, generate(saved.state_for_images(), LATENTS), atol=1e-6)
    assert np.abs(images - generate(saved.state_for_images(raw=True), LATENTS)).max() > 1e-3
    assert np.abs(images - generate(saved.state, LATENTS)).max() > 1e-3  # with running statistics
    assert (facts['step'], facts['generator']) == (5, 'exponential moving average')
    assert (facts['input']['shape'], facts['output']['shape']) == (['batch', 3], ['batch', 8, 8, 1])
    assert facts['config']['data'] == 'digits'


def test_raw_exports_the_generator_itself(run, tmp_path):
    description = command.export(main_program.parse([f'--workdir={run}', f'--out={tmp_path}', '--raw']))
    assert (description['generator'], description['step']) == ('raw', 6)
    images = stablehlo.load(tmp_path / 'generator.stablehlo').call(LATENTS)
    np.testing.assert_allclose(images, generate(open_run(str(run)).state_for_images(raw=True), LATENTS), atol=1e-6)


def state_of(generator, players):
    return jax.jit(lambda: make_state(lambda batch_norm: (generator, players()[1])))()


@pytest.mark.parametrize('network', ['dcgan', 'upsample_cnn'])
def test_networks_can_be_exported(players, network):
    state = state_of(make_network('generator', (16, 16, 3), network, num_features=4), players)
    program = stablehlo.export_generator(state, 3)
    again = stablehlo.of_exported(jax_export.deserialize(program.serialize()))
    assert program.platforms == ('cpu', 'cuda', 'rocm', 'tpu')
    assert (again.latent_dim, again.image_shape) == (3, (16, 16, 3))
    np.testing.assert_allclose(again.call(LATENTS), jax.jit(generate)(state, LATENTS), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize('network', sorted(NETWORKS))
def test_every_network_can_be_exported_at_full_size(players, network):
    """At this size, training on CPU uses convolutions by tiles, which round differently."""
    state = state_of(make_network('generator', (28, 28, 1) if 'cnn' in network else (64, 64, 3), network), players)
    again = stablehlo.of_exported(jax_export.deserialize(stablehlo.export_generator(state, 3).serialize()))
    latents = np.tile(LATENTS, (13, 1))
    np.testing.assert_allclose(again.call(latents), jax.jit(generate)(state, latents), atol=5e-5)


@pytest.mark.parametrize(
    'network', [*_QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS if name not in _QUICK)]
)
def test_critics_can_be_exported(network):
    image_shape = (28, 28, 1) if 'cnn' in network else (16, 16, 3)
    generator = make_network('generator', image_shape, 'mlp', num_features=1, num_layers=1)
    critic = make_network('critic', image_shape, network, num_features=4)
    state = jax.jit(lambda: make_state(lambda batch_norm: (generator, critic)))()
    images = np.random.default_rng(1).uniform(-1, 1, (5, *image_shape)).astype(np.float32)
    program = stablehlo.export_critic(state, image_shape)
    again = jax_export.deserialize(program.serialize())
    assert again.platforms == ('cpu', 'cuda', 'rocm', 'tpu')
    weights = {'params': state.critic.params, 'batch_stats': state.critic.batch_stats}
    scores = jax.jit(lambda images: state.critic.apply_fn(weights, images, train=False))(images)
    np.testing.assert_allclose(again.call(images), scores, atol=1e-5 * (1 + np.abs(scores).max()))
    assert np.ptp(scores) > 1e-4
    np.testing.assert_allclose(again.call(images[:1]), scores[:1], atol=1e-5 * (1 + np.abs(scores).max()))


def write(directory, content, facts):
    (directory / 'generator.stablehlo').write_bytes(content)
    text = json.dumps(facts) if isinstance(facts, dict) else facts
    (directory / 'generator.json').write_text(text)
    return directory / 'generator.stablehlo'


@pytest.fixture(scope='module')
def written(run, tmp_path_factory):
    directory = tmp_path_factory.mktemp('exported')
    facts = command.export(main_program.parse([f'--workdir={run}', f'--out={directory}']))
    return (directory / 'generator.stablehlo').read_bytes(), facts


def test_a_damaged_export_is_refused(written, tmp_path):
    content, facts = written
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    for damaged in (bytes(changed), content[:-1], b''):
        with pytest.raises(UserError, match=r'generator\.json only describes a generator: give --generator the \.stablehlo file'):
            stablehlo.load(write(tmp_path, content, facts).with_suffix('.json'))
        with pytest.raises(UserError, match=r'generator\.stablehlo is not the file that .*generator\.json describes'):
            stablehlo.load(write(tmp_path, damaged, facts))
    for text in ('', '[]', '{"format": 1}', '{"format": 1, "sha256": 3, "input": 4}'):
        with pytest.raises(UserError, match=r'generator\.json is damaged, or does not describe a generator'):
            stablehlo.load(write(tmp_path, content, text))
    with pytest.raises(UserError, match=r'has another format \(2\): use the version of this program that wrote it'):
        stablehlo.load(write(tmp_path, content, {**facts, 'format': 2}))
    (tmp_path / 'generator.json').unlink()
    with pytest.raises(UserError, match=r'generator\.json cannot be read \(No such file or directory\): give --generator'):
        stablehlo.load(tmp_path / 'generator.stablehlo')
    with pytest.raises(UserError, match=r'is a directory: give --generator a file'):
        stablehlo.load(tmp_path)


def test_other_programs_are_refused_even_with_the_right_sha256(written, tmp_path):
    def load(content, **changes):
        return stablehlo.load(write(tmp_path, content, {**written[1], 'sha256': hashlib.sha256(content).hexdigest(), **changes}))

    def of(function, count=1, **options):
        latents = jax.ShapeDtypeStruct(jax_export.symbolic_shape('batch, 3'), np.float32)
        return bytes(jax_export.export(jax.jit(function), **options)(*[latents] * count).serialize())

    for content in (b'no program', bytes(1000), b'\xff' * 1000):
        with pytest.raises(UserError, match=r'was written by jax .* and cannot be read by jax .* at least six months'):
            load(content)
    another = r'is not the generator that .*generator\.json describes'
    with pytest.raises(UserError, match=another):
        load(of(lambda x: 2 * x))
    with pytest.raises(UserError, match=another):
        load(of(lambda x, y: x + y, count=2))
    with pytest.raises(UserError, match=another):
        load(of(lambda x: x.reshape(-1, 1, 1, 3)))
    with pytest.raises(UserError, match=r'supports tpu and calling convention \d+, and this machine needs cpu'):
        load(of(lambda x: 2 * x, platforms=['tpu']))
    assert load(written[0]).latent_dim == 3
