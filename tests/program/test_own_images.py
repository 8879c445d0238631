"""Whole runs on a folder of images."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from tests.tiny_runs import lines, tiny, train
from wgan_jax.errors import UserError


@pytest.fixture
def photos(tmp_path):
    directory = tmp_path / 'photos'
    directory.mkdir()
    for i, mode in enumerate(['RGB', 'L', 'P', 'RGBA', 'CMYK'] * 4):
        pixels = np.random.default_rng(i).integers(0, 256, (20, 30, 3)).astype(np.uint8)
        Image.fromarray(pixels).convert(mode).save(directory / f'{i}.{"jpg" if mode in ("RGB", "CMYK") else "png"}')
    (directory / 'notes.txt').write_text('no image')
    return directory


def run(tmp_path, photos, **changes):
    """Trains in two parts."""
    config = tiny(num_steps=2, sample_every=4, checkpoint_every=4)
    config.data.update(name='folder', folder=str(photos), dir=str(tmp_path / 'sets'), image_size=16, holdout=0.0, **changes)
    train(config, tmp_path / 'run')
    config.num_steps = 4
    train(config, tmp_path / 'run')
    return config


@pytest.mark.parametrize('channels', [pytest.param(1, marks=pytest.mark.slow), 3])
def test_from_photos_to_samples(tmp_path, photos, channels, capsys):
    run(tmp_path, photos, channels=channels)
    assert 'notes.txt is not an image in a known format' in capsys.readouterr().out
    assert lines(tmp_path / 'run')[-1]['step'] == 4
    for name in ('real', 'step_000004'):
        with Image.open(tmp_path / 'run' / 'samples' / f'{name}.png') as picture:
            assert picture.mode == ('RGB' if channels == 3 else 'L')
            assert picture.size == (98, 98)  # 2 x 2 images of 16 pixels, enlarged 3 times, with a line between
    assert json.loads((tmp_path / 'run' / 'config.json').read_text())['data']['channels'] == channels


def test_a_run_continues_only_with_the_images_that_it_started_with(tmp_path, photos):
    config = run(tmp_path, photos)
    config.num_steps = 6
    config.data.folder = str(photos.rename(tmp_path / 'moved'))
    train(config, tmp_path / 'run')
    config.num_steps = 8
    pixels = Image.open(tmp_path / 'moved' / '1.png').convert('L')
    pixels.putpixel((15, 10), 255 - pixels.getpixel((15, 10)))
    pixels.save(tmp_path / 'moved' / '1.png')
    with pytest.raises(UserError, match=r'holds a run on other images \(crc32: '):
        train(config, tmp_path / 'run')
    Image.new('RGB', (20, 20)).save(tmp_path / 'moved' / 'new.png')
    with pytest.raises(UserError, match=r'holds a run on other images \(crc32: .*; num_images: 20 -> 21\): '):
        train(config, tmp_path / 'run')


def test_a_folder_may_have_any_name(tmp_path, photos):
    run(tmp_path, photos.rename(tmp_path / os.fsdecode(b'\xff')))
    assert (tmp_path / 'run' / 'metrics.jsonl').exists()


def test_a_missing_folder_is_refused(tmp_path):
    config = tiny()
    config.data.update(name='folder', folder=str(tmp_path / 'gone'), image_size=16)
    with pytest.raises(UserError, match=r'config\.data\.folder=.*gone cannot be read'):
        train(config, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_a_run_does_not_train_on_its_own_pictures(tmp_path, photos):
    config = tiny()
    config.data.update(name='folder', folder=str(photos), dir=str(tmp_path / 'sets'), image_size=16)
    with pytest.raises(
        UserError, match=r'run lies in .*photos, of which every image is used, and the pictures of the run would become training'
    ):
        train(config, photos / 'run')
    assert not (photos / 'run').exists()
