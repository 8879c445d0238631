"""The critic of a run as a file."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.export.test_stablehlo import leave_run
from wgan_jax.errors import UserError
from wgan_jax.export import __main__ as main_program
from wgan_jax.export import command, stablehlo
from wgan_jax.runs.saved_run import open_run
from wgan_jax.sample import __main__ as sample_program

IMAGES = np.random.default_rng(0).uniform(-1, 1, (5, 8, 8, 1)).astype(np.float32)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return leave_run(tmp_path_factory.mktemp('runs') / 'tiny', [6])


def scores_of(critic, images):
    return critic.apply_fn({'params': critic.params, 'batch_stats': critic.batch_stats}, images, train=False)


def test_another_process_scores_images_without_our_code(run, tmp_path, capsys):
    main_program.main([f'--workdir={run}', f'--out={tmp_path}', '--player=critic'])
    facts = json.loads((tmp_path / 'critic.json').read_text())
    printed = capsys.readouterr().out
    assert f'Written: {tmp_path / "critic.stablehlo"}, the critic of step 6. To load it:' in printed
    assert printed.splitlines()[-4:] == facts['load']
    np.save(tmp_path / 'own.npy', IMAGES)
    more = (
        'assert scores.shape == (16,)',
        "assert critic.call(numpy.load('own.npy')[:2]).shape == (2,)",
        "import sys; assert not {'wgan_jax', 'flax', 'orbax'} & set(sys.modules)",
        "numpy.save('scores.npy', critic.call(numpy.load('own.npy')))",
    )
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    subprocess.run(
        [sys.executable, '-c', '\n'.join([*facts['load'], *more])], cwd=tmp_path, env=environment, check=True, timeout=120
    )
    scores = np.load(tmp_path / 'scores.npy')
    np.testing.assert_allclose(scores, scores_of(open_run(str(run)).state.critic, IMAGES), atol=1e-6)
    assert np.ptp(scores) > 0.01


def test_the_description_of_a_critic(run, tmp_path):
    facts = command.export(main_program.parse([f'--workdir={run}', f'--out={tmp_path}', '--player=critic']))
    assert facts == json.loads((tmp_path / 'critic.json').read_text())
    assert (facts['player'], facts['step'], facts['file']) == ('critic', 6, 'critic.stablehlo')
    assert facts['input'] == {
        'shape': ['batch', 8, 8, 1], 'dtype': 'float32', 'name': 'images', 'layout': 'NHWC', 'range': [-1, 1]
    }  # fmt: skip
    meaning = 'high for real images; only differences between scores of the same critic have a meaning'
    assert facts['output'] == {'shape': ['batch'], 'dtype': 'float32', 'name': 'scores', 'meaning': meaning}
    assert facts['config']['network'] == {'network': 'mlp', 'num_features': 4, 'num_layers': 1}
    assert 'generator' not in facts
    assert sorted(path.name for path in tmp_path.iterdir()) == ['critic.json', 'critic.stablehlo']


@pytest.mark.parametrize('loss', ['minimax', 'non_saturating'])
def test_the_scores_of_a_gan_are_logits(tmp_path, loss):
    run = leave_run(tmp_path / 'gan', [1], loss=loss, gp_weight=0.0)
    facts = command.export(main_program.parse([f'--workdir={run}', '--player=critic']))
    assert facts['output']['meaning'] == (
        'high for real images; they are logits: the sigmoid of a score is the estimated probability that its image is real'
    )
    assert (run / 'exported' / 'critic.stablehlo').is_file()


def test_the_generator_is_the_default_and_both_fit_into_one_directory(run, tmp_path):
    critic, generator = (
        command.export(main_program.parse([f'--workdir={run}', f'--out={tmp_path}', *more])) for more in (['--player=critic'], [])
    )
    assert (critic['player'], generator['player']) == ('critic', 'generator')
    names = [f'{player}.{end}' for player in ('critic', 'generator') for end in ('json', 'stablehlo')]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert stablehlo.load(tmp_path / 'generator.stablehlo').latent_dim == 3


def test_a_critic_makes_no_pictures(run, tmp_path, capsys):
    command.export(main_program.parse([f'--workdir={run}', f'--out={tmp_path}', '--player=critic']))
    message = f'{tmp_path / "critic.stablehlo"} is a critic, which scores images and makes none: give --generator the generator'
    with pytest.raises(SystemExit) as ended:
        sample_program.main([f'--generator={tmp_path / "critic.stablehlo"}'])
    assert str(ended.value).startswith(f'Error: {message}')
    assert '\n' not in str(ended.value)
    assert not (tmp_path / 'generated').exists()
    facts = json.loads((tmp_path / 'critic.json').read_text())
    (tmp_path / 'critic.json').write_text(json.dumps({**facts, 'player': 'generator'}))
    with pytest.raises(UserError, match=r'critic\.stablehlo is not the generator that .*critic\.json describes'):
        stablehlo.load(tmp_path / 'critic.stablehlo')


def test_there_is_no_average_of_a_critic(run, capsys):
    with pytest.raises(SystemExit):
        main_program.parse([f'--workdir={run}', '--player=critic', '--raw'])
    assert '--raw has no meaning with --player=critic, of which there is no average: leave one out' in capsys.readouterr().err
