"""CelebA on a small set that has the format of the original, and on real images."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.conftest import SPLITS, face
from wgan_jax.data import celeba
from wgan_jax.errors import UserError

REAL = os.environ.get('WGAN_JAX_TEST_DATA')
HAS_REAL = REAL is not None and Path(REAL, 'celeba').is_dir()


def load(root, manual_dir=None, **options):
    return celeba.source(str(root), manual_dir and str(manual_dir), **{'image_size': 16, **options}).load()


def levels(images):
    return sorted(round(image.mean() / 10) for image in images)


def test_an_archive_gives_the_official_splits(manual, tmp_path):
    for split, numbers in SPLITS.items():
        images = load(tmp_path / 'sets', manual, split=split)
        assert images.shape == (len(numbers), 16, 16, 3)
        assert levels(images) == list(numbers)
    assert levels(load(tmp_path / 'sets', manual / celeba.ARCHIVE, split='all')) == list(range(1, 14))


@pytest.mark.parametrize('layout', ['img_align_celeba', 'img_align_celeba/img_align_celeba', 'Img/img_align_celeba', '.'])
def test_unpacked_images_in_the_layouts_of_the_copies(manual, tmp_path, layout):
    packed = load(tmp_path / 'a', manual)
    with zipfile.ZipFile(manual / celeba.ARCHIVE) as archive:
        archive.extractall(tmp_path / 'unpacked')
    (tmp_path / 'copy' / layout).parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(tmp_path / 'unpacked' / 'img_align_celeba', tmp_path / 'copy' / layout, dirs_exist_ok=True)
    (tmp_path / 'copy' / 'list_attr_celeba.csv').write_text('not looked at')
    np.testing.assert_array_equal(load(tmp_path / 'b', tmp_path / 'copy'), packed)


@pytest.mark.parametrize(('end', 'header', 'separator'), [('txt', '', ' '), ('csv', 'image_id,partition\n', ',')])
def test_a_partition_file_decides(manual, tmp_path, end, header, separator):
    lines = [f'{number:06d}.jpg{separator}{part}\n' for number, part in ((1, 2), (2, 0), (3, 1), (4, 0))]
    (manual / f'list_eval_partition.{end}').write_text(header + ''.join(lines))
    for split, numbers in (('train', [2, 4]), ('validation', [3]), ('test', [1])):
        assert levels(load(tmp_path, manual, split=split)) == numbers


def test_a_broken_partition_file(manual, tmp_path):
    (manual / 'list_eval_partition.txt').write_text('000001.jpg 0\n<html>\n')
    with pytest.raises(UserError, match=r"list_eval_partition\.txt, line 2: '<html>' is not a file name and 0, 1 or 2"):
        load(tmp_path, manual)


def test_a_part_of_the_images_will_do_but_not_none(manual, tmp_path, capsys):
    """Images that are not CelebA's are left out."""
    part = tmp_path / 'part'
    part.mkdir()
    for name, content in (('000003', face(3)), ('000004', face(4, (500, 400))), ('holiday', face(5))):
        (part / f'{name}.jpg').write_bytes(content)
    assert levels(load(tmp_path, part)) == [3]
    assert '000004.jpg is 500x400 and not 178x218' in capsys.readouterr().out
    with pytest.raises(UserError, match=r'manual_dir=.*part has no images of the split test, such as 000001\.jpg'):
        load(tmp_path, part, split='test')


def test_crop_and_size_are_part_of_the_name(manual, tmp_path):
    for crop, size in ((140, 16), (108, 16), (160, 16), (178, 16), (140, 32)):
        load(tmp_path, manual, crop=crop, image_size=size)
    names = sorted(path.name.split('-v1-')[0] for path in (tmp_path / 'wgan_jax').iterdir())
    crops = [f'celeba-train-crop{crop}-16x16x3' for crop in (108, 140, 160, 178)]
    assert names == sorted([*crops, 'celeba-train-crop140-32x32x3'])


def test_the_crop_is_cut_from_the_centre(tmp_path):
    """A crop of 140 begins 19 pixels from the left and 39 from the top."""
    pixels = np.random.default_rng(0).integers(0, 256, (218, 178, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / '000001.png')
    np.testing.assert_array_equal(load(tmp_path / 'sets', tmp_path, image_size=140)[0], pixels[39:179, 19:159])


@pytest.mark.skipif(not HAS_REAL, reason='WGAN_JAX_TEST_DATA has no celeba/: real CelebA images are not tested')
def test_real_images_offline_without_tensorflow(tmp_path):
    """In a process of its own, so that what it imports can be seen; with and without the partition file."""
    program = (
        'import sys; from wgan_jax.data import celeba;'
        'images = [celeba.source(sys.argv[1], path, image_size=32, split="test").load() for path in sys.argv[2:]];'
        'print([x.shape for x in images], (images[0] == images[1]).all(), "tensorflow" in sys.modules, "jax" in sys.modules)'
    )
    real = Path(REAL, 'celeba')
    alone = tmp_path / 'alone'
    alone.mkdir()
    (alone / celeba.ARCHIVE).symlink_to((real / celeba.ARCHIVE).resolve())
    command = [sys.executable, '-c', program, str(tmp_path / 'sets'), str(real), str(alone)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    with zipfile.ZipFile(real / celeba.ARCHIVE) as archive:  # which may hold a part of CelebA
        count = sum(celeba.number_of(name) in celeba.SPLITS['test'] for name in archive.namelist() if name.endswith('.jpg'))
    assert output.splitlines()[-1] == f'[({count}, 32, 32, 3), ({count}, 32, 32, 3)] True False False'


@pytest.mark.skipif(not HAS_REAL, reason='WGAN_JAX_TEST_DATA has no celeba/: the real partition file is not tested')
def test_the_official_partition_is_by_number():
    partition = celeba.read_partition(Path(REAL, 'celeba'))
    assert len(partition) == 202599
    assert partition == {number: part for part, numbers in celeba.SPLITS.items() for number in numbers}
