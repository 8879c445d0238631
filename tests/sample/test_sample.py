"""The command that draws pictures of a run."""

import json

import numpy as np
import pytest
from flax import linen as nn
from PIL import Image

from tests.export.test_stablehlo import leave_run, state_of
from tests.sample.test_movies import decoded, gif_frames, leave_pictures
from wgan_jax.algorithm.state import generate
from wgan_jax.export import __main__ as export_command
from wgan_jax.export import description, stablehlo
from wgan_jax.runs.saved_run import open_run
from wgan_jax.sample import __main__ as command
from wgan_jax.sample import generator
from wgan_jax.sample.grid import grid


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    directory = leave_run(tmp_path_factory.mktemp('runs') / 'tiny', [5, 6])
    leave_pictures(directory, [0, 5])
    return directory


@pytest.fixture(scope='module')
def hundred(run, tmp_path_factory):
    """A directory with the images of the seeds 0 to 99."""
    directory = tmp_path_factory.mktemp('images') / 'hundred'
    command.main([f'--workdir={run}', '--num_images=100', f'--images={directory}'])
    return directory


def pixels(path):
    return np.asarray(Image.open(path))


def grid_of(paths):
    return grid(np.stack([pixels(path) for path in paths])[..., None])[..., 0]


def test_images_are_the_generators_by_seed(run, hundred):
    assert sorted(path.name for path in hundred.iterdir()) == [f'{seed:06d}.png' for seed in range(100)]
    state = open_run(str(run)).state_for_images()
    images = generator.to_uint8(generate(state, generator.latents(np.arange(100, dtype=np.uint32), 3)))
    written = np.stack([pixels(hundred / f'{seed:06d}.png') for seed in range(100)])
    np.testing.assert_allclose(written.astype(int), images[..., 0], atol=1)
    assert (written == images[..., 0]).mean() > 0.99
    assert len(np.unique(written.reshape(100, -1), axis=0)) == 100


def test_a_seed_gives_the_same_picture_with_all_other_options(run, hundred, tmp_path, capsys):
    command.main([f'--workdir={run}', f'--out={tmp_path}'])
    assert capsys.readouterr().out == f'Written: {tmp_path / "grid.png"}\n'
    grid = tmp_path / 'grid.png'
    np.testing.assert_array_equal(pixels(grid), grid_of(hundred / f'{seed:06d}.png' for seed in range(64)))
    once = grid.read_bytes()
    command.main([f'--workdir={run}', f'--out={tmp_path}', '--seed=0', '--num_images=64'])
    assert grid.read_bytes() == once
    command.main([f'--workdir={run}', f'--out={tmp_path}', '--seeds=70,3-5'])
    np.testing.assert_array_equal(pixels(grid), grid_of(hundred / f'{seed:06d}.png' for seed in (70, 3, 4, 5)))
    command.main([f'--workdir={run}', f'--images={tmp_path / "images"}', '--seed=98', '--num_images=2'])
    assert [path.name for path in sorted((tmp_path / 'images').iterdir())] == ['000098.png', '000099.png']
    assert (tmp_path / 'images' / '000098.png').read_bytes() == (hundred / '000098.png').read_bytes()


def test_step_raw_and_truncation_change_the_picture(run, tmp_path):
    written = {}
    for option in ('--step=6', '--step=5', '--raw', '--truncation=0.2', '--seed=1'):
        command.main([f'--workdir={run}', f'--out={tmp_path}', '--num_images=9', option])
        written[option] = pixels(tmp_path / 'grid.png')
    assert len({picture.tobytes() for picture in written.values()}) == 5
    spread = {option: np.std([picture[:48, :48], picture[50:98, 50:98]], axis=0).mean() for option, picture in written.items()}
    assert spread['--truncation=0.2'] < 0.5 * spread['--step=6']


def test_an_exported_generator_gives_the_same_bytes(run, hundred, tmp_path):
    export_command.main([f'--workdir={run}', f'--out={tmp_path}'])
    command.main([f'--generator={tmp_path / "generator.stablehlo"}', '--num_images=70', f'--images={tmp_path / "images"}'])
    for path in (tmp_path / 'images').iterdir():
        assert path.read_bytes() == (hundred / path.name).read_bytes()
    command.main([f'--generator={tmp_path / "generator.stablehlo"}', '--seeds=1'])
    np.testing.assert_array_equal(pixels(tmp_path / 'generated' / 'grid.png'), grid_of([hundred / '000001.png']))


def test_a_walk_goes_through_its_seeds_and_back(run, hundred, tmp_path):
    command.main([f'--workdir={run}', f'--out={tmp_path}', '--walk', '--seeds=1,7'])
    frames = [frame for frame, _ in gif_frames(tmp_path / 'walk.gif')]
    assert len(frames) == 50
    small = np.stack([frame[::36, ::36, 0] for frame in frames])  # 8 pixels, 48 in a grid, 288 in a film
    np.testing.assert_array_equal(small[0], pixels(hundred / '000001.png'))
    np.testing.assert_array_equal(small[25], pixels(hundred / '000007.png'))
    jumps = np.abs(np.diff(np.concatenate([small, small[:1]]).astype(int), axis=0)).max(axis=(1, 2))
    assert jumps.max() < 0.5 * np.abs(small[0].astype(int) - small[25]).max()
    images, rate = decoded(tmp_path / 'walk.mp4')
    assert (len(images), rate) == (50, 25)
    np.testing.assert_allclose(images[25].astype(int), frames[25], atol=30)


def test_walks_side_by_side_begin_at_every_fourth_seed(run, hundred, tmp_path):
    command.main([f'--workdir={run}', f'--out={tmp_path}', '--walk', '--num_images=3', '--seed=8'])
    frames = [frame[::3, ::3, 0] for frame, _ in gif_frames(tmp_path / 'walk.gif')]
    assert len(frames) == 100
    for frame, seeds in ((0, (8, 12, 16)), (75, (11, 15, 19))):
        np.testing.assert_array_equal(frames[frame], grid_of(hundred / f'{seed:06d}.png' for seed in seeds))


def test_the_film_of_training(run, tmp_path):
    command.main([f'--workdir={run}', f'--out={tmp_path}', '--training'])
    assert [duration for _, duration in gif_frames(tmp_path / 'training.gif')] == [200, 2200]
    images, rate = decoded(tmp_path / 'training.mp4')
    assert (len(images), rate) == (12, 5)
    np.testing.assert_allclose(images[[0, 1, 11], 0, 0], [[0] * 3, [5] * 3, [5] * 3], atol=3)
    assert np.all(pixels(tmp_path / 'training.png')[0] == 5)


class PointGenerator(nn.Module):
    image_shape: tuple[int, int, int] = (1, 1, 2)

    @nn.compact
    def __call__(self, latents, *, train, axis_name=None):
        return self.param('scale', nn.initializers.constant(3.0), ()) * latents[:, None, None, :2]


def test_points_in_the_plane_are_only_scattered(players, tmp_path, monkeypatch):
    program = stablehlo.export_generator(state_of(PointGenerator(), players), 3)
    content = bytes(program.serialize())
    facts = description.describe_generator(program, content, 'points.stablehlo', {})
    (tmp_path / 'points.stablehlo').write_bytes(content)
    (tmp_path / 'points.json').write_text(json.dumps(facts))
    drawn = []
    monkeypatch.setattr('wgan_jax.sample.command.save_figure', lambda figure, path: drawn.append(figure.axes[0]))
    source = f'--generator={tmp_path / "points.stablehlo"}'
    command.main([source, '--num_images=70'])
    points = drawn[0].collections[0].get_offsets()
    np.testing.assert_allclose(points, 3 * generator.latents(np.arange(70, dtype=np.uint32), 3)[:, :2], rtol=1e-6)
    assert facts['output']['name'] == 'points'
    for option in ('--walk', f'--images={tmp_path / "images"}'):
        with pytest.raises(SystemExit, match=r'makes points, which are shown in one picture: omit --walk and --images'):
            command.main([source, option])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--workdir=nowhere'], r'Error: nowhere is no directory; give the directory of a run\.'),
        (['--workdir=nowhere', '--training'], r'Error: nowhere is no directory; give the directory of a run\.'),
        (['--step=3'], r'Error: --step=3 is not a checkpoint of .*; there are: 5, 6'),
        (['--images=FULL'], r'Error: FULL is not empty'),
        (['--images=.'], r'Error: \. is not empty'),
        (['--out=FILE/out'], r'Error: FILE/out.* cannot be written \(Not a directory\): give another --out'),
        (['--num_images=500000'], r'Error: 500000 images make a picture of .*: ask for fewer, or give --images'),
        (
            ['--walk', '--seeds=0-99999'],
            r'Error: 2,500,000 frames make a film of .*, and the limit is 1\.00 GiB: ask for fewer walks',
        ),
    ],
)
def test_mistakes_are_reported_in_one_sentence(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'FULL').mkdir()
    (tmp_path / 'FULL' / 'photo.png').write_bytes(b'')
    (tmp_path / 'FILE').write_text('')
    with pytest.raises(SystemExit, match=message):
        command.main([*([] if arguments[0].startswith('--workdir') else [f'--workdir={run}']), *arguments])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--seeds=9-5'], "argument --seeds: '9-5' is not a range"),
        (['--seeds=1,x'], "argument --seeds: 'x' is not a seed: give numbers and ranges, such as 0,1,5-9"),
        (['--seeds=1', '--num_images=2'], '--num_images has no meaning with --seeds: leave one out'),
        (['--seed=-1'], '--seed=-1 must be at least 0'),
        (['--seed=4294967295'], '--seed=4294967295 must be at least 0 and less than'),
        (['--truncation=0'], '--truncation=0 must be a finite number greater than 0'),
        (['--truncation=nan'], '--truncation=nan must be a finite number greater than 0'),
        (['--num_images=0'], '--num_images=0 must be from 1 to 1000000'),
        (['--num_images=17', '--walk'], '--num_images=17 must be from 1 to 16'),
        (['--training', '--seed=0'], '--seed has no meaning with --training'),
        (['--training', '--raw'], '--raw has no meaning with --training'),
        (['--training', '--walk'], 'not allowed with argument'),
        (['--generator=FILE', '--trust_code'], 'not allowed with argument'),
        (['--images=DIR', '--out=DIR'], '--out has no meaning with --images: leave one out'),
        (['--generator=FILE'], 'not allowed with argument'),
    ],
)
def test_nonsensical_options_are_refused_before_anything_is_read(capsys, arguments, message):
    with pytest.raises(SystemExit, match='2'):
        command.main(['--workdir=nowhere', *arguments])
    assert message in capsys.readouterr().err
