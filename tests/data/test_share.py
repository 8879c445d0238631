"""A share of a data set: which images, how many, and that they are the same ones wherever a data set comes from."""

import io
import zipfile

import lmdb
import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tests.data.conftest import SPLITS, face, images_of, official
from tests.data.encoding import encoded
from tests.data.test_celeba import levels
from tests.data.test_lsun import room
from tests.tiny_runs import images_of as images_of_run
from tests.tiny_runs import tiny
from wgan_jax.data import identity, lsun, make_source
from wgan_jax.data.share import share, share_size
from wgan_jax.errors import UserError

NUMBERS = list(range(1, 162_771))
BEDROOMS = {f'{value:040x}': value for value in range(10, 110, 10)}  # key in the LMDB: grey level


def test_the_number_is_exact():
    for count, fraction, size in ((162_770, 0.1, 16_277), (1797, 0.01, 18), (60_000, 1 / 3, 20_000), (5, 0.001, 1), (7, 1.0, 7)):
        assert share_size(count, fraction) == size
        assert len(share(range(count), fraction)) == size


def test_the_choice_is_random_and_always_the_same():
    assert share(range(20), 0.25) == [0, 7, 9, 18, 19]
    tenth = np.array(share(NUMBERS, 0.1))
    per_tenth = np.histogram(tenth, bins=10, range=(1, 162_771))[0]
    # The share of each tenth of the numbers has a standard deviation of sqrt(16,277 * 0.1 * 0.9) = 38.
    np.testing.assert_allclose(per_tenth, 1628, atol=5 * 38)
    assert np.ptp(per_tenth) > 10


def test_the_choice_depends_on_what_an_image_is_and_not_on_its_place():
    backwards = share(NUMBERS[::-1], 0.1)
    assert backwards[::-1] == share(NUMBERS, 0.1)
    files = [f'anywhere/{number:06d}.png' for number in NUMBERS]
    assert [int(name[9:15]) for name in share(files, 0.1, lambda name: int(name[9:15]))] == backwards[::-1]


def test_a_smaller_share_is_part_of_a_larger_one():
    tenth, fifth = share(NUMBERS, 0.1), share(NUMBERS, 0.2)
    assert set(tenth) < set(fifth)


def load(name, root, fraction=0.5, **options):
    given = {} if name == 'mnist' else {'image_size': 16}
    return make_source(name, fraction, dir=str(root), **given, **options).load()


def as_set(images):
    return {image.tobytes() for image in images}


with tfds.core.registered.skip_registration():  # TFDS has builders with these names

    class CelebA(tfds.core.GeneratorBasedBuilder):
        """Shuffled, under the keys that TFDS's own builder has."""

        VERSION = tfds.core.Version('2.1.0')

        def _info(self):
            image = tfds.features.Image(shape=(218, 178, 3), encoding_format='jpeg')
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({'image': image}))

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(numbers) for split, numbers in SPLITS.items()}

        def _generate_examples(self, numbers):
            for number in numbers:
                yield f'{number:06d}.jpg', {'image': io.BytesIO(face(number))}

    class Lsun(tfds.core.GeneratorBasedBuilder):
        """Ten images; the keys of the examples are their places in the LMDB."""

        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name='bedroom', version='3.1.0')]  # noqa: RUF012

        def _info(self):
            features = {'id': tfds.features.Text(), 'image': tfds.features.Image(encoding_format='jpeg')}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {'train': self._generate_examples()}

        def _generate_examples(self):
            for i, (key, value) in enumerate(BEDROOMS.items()):
                yield i, {'id': key, 'image': io.BytesIO(encoded(Image.new('RGB', (40, 32), (value,) * 3), 'JPEG'))}


@pytest.fixture
def prepared(manual, tmp_path):
    """Makes a small celeb_a with TFDS itself, and returns its directory."""

    def prepare(root, num_shards=1):
        config = tfds.download.DownloadConfig(num_shards=num_shards)
        builder = CelebA(data_dir=root, file_format='array_record')
        builder.download_and_prepare(download_dir=tmp_path / 'down', download_config=config)
        return root

    return prepare


@pytest.mark.parametrize('split', [*SPLITS, 'all'])
def test_the_same_faces_from_an_archive_a_folder_and_a_set_prepared_by_tfds(manual, prepared, tmp_path, split):
    with zipfile.ZipFile(manual / 'img_align_celeba.zip') as archive:
        archive.extractall(tmp_path / 'unpacked')
    ours = {'manual_dir': str(manual), 'split': split}
    packed = load('celeba', tmp_path / 'sets', **ours)
    numbers = list(range(1, 14)) if split == 'all' else list(SPLITS[split])
    assert len(packed) == max(1, round(len(numbers) / 2))
    assert set(levels(packed)) < set(numbers)
    unpacked = load('celeba', tmp_path / 'sets', manual_dir=str(tmp_path / 'unpacked'), split=split)
    np.testing.assert_array_equal(unpacked, packed)
    for num_shards in (1, 2):
        from_tfds = load('celeba', prepared(tmp_path / f'tfds{num_shards}', num_shards), split=split)
        assert len(from_tfds) == len(packed)
        assert as_set(from_tfds) == as_set(packed)


def test_the_order_in_which_tfds_writes(prepared, tmp_path):
    """Otherwise the numbers of the images would be wrong: the files contain neither names nor numbers."""
    whole = load('celeba', prepared(tmp_path), 1.0)
    order = [round(image.mean() / 10) for image in whole]
    assert sorted(order) == list(SPLITS['train'])
    assert order != sorted(order)
    first, rest = SPLITS['train'][:4], SPLITS['train'][4:]
    assert set(levels(load('celeba', tmp_path))) not in (set(first), set(rest), set(order[:4]))


@pytest.mark.parametrize('file_format', ['array_record', 'tfrecord'])
def test_the_same_faces_from_both_formats_of_tfds(manual, prepared, tmp_path, file_format):
    official(prepared(tmp_path / 'ours') / 'celeb_a' / '2.1.0', tmp_path / 'copy' / 'celeb_a' / '2.1.0', file_format)
    assert as_set(load('celeba', tmp_path / 'copy')) == as_set(load('celeba', tmp_path, manual_dir=str(manual)))


def test_a_share_is_an_array_of_its_own_and_the_whole_set_stays_as_it_was(manual, tmp_path):
    whole = load('celeba', tmp_path, 1.0, manual_dir=str(manual))
    half, quarter = (load('celeba', tmp_path, fraction, manual_dir=str(manual)) for fraction in (0.5, 0.25))
    assert as_set(quarter) < as_set(half) < as_set(whole)
    # In the order of the whole set.
    assert [image.tobytes() for image in whole if image.tobytes() in as_set(half)] == [image.tobytes() for image in half]
    assert isinstance(half, np.memmap)
    names = sorted(path.name.split('-crop')[0] for path in (tmp_path / 'wgan_jax').iterdir())
    assert names == ['celeba-train', 'celeba-train-share0.25', 'celeba-train-share0.5']
    assert [identity(images)['num_images'] for images in (whole, half, quarter)] == [8, 4, 2]
    assert len({identity(images)['crc32'] for images in (whole, half, quarter)}) == 3


def test_an_unusable_file_is_left_out_and_changes_no_other_choice(manual, tmp_path):
    complete = levels(load('celeba', tmp_path / 'a', manual_dir=str(manual)))
    with zipfile.ZipFile(manual / 'img_align_celeba.zip') as archive:
        archive.extractall(tmp_path / 'unpacked')
    (tmp_path / 'unpacked' / 'img_align_celeba' / f'{complete[0]:06d}.jpg').write_bytes(b'broken')
    assert levels(load('celeba', tmp_path / 'b', manual_dir=str(tmp_path / 'unpacked'))) == complete[1:]


def test_the_same_digits_from_files_and_from_a_set_prepared_by_tfds(files, tmp_path):
    whole, half = (load('mnist', tmp_path / 'ours', fraction, manual_dir=str(files)) for fraction in (1.0, 0.5))
    official(tmp_path / 'ours' / 'mnist_idx' / '1.0.0', tmp_path / 'theirs' / 'mnist' / '3.0.1', 'tfrecord')
    np.testing.assert_array_equal(load('mnist', tmp_path / 'theirs'), half)
    assert len(half) == 6
    assert as_set(half) < as_set(images_of('train'))
    assert as_set(half) != as_set(whole[:6])
    assert identity(half) != identity(whole)


def test_the_same_bedrooms_from_the_lmdb_from_files_and_from_a_set_prepared_by_tfds(tmp_path, monkeypatch):
    (tmp_path / 'bedroom_train_lmdb').mkdir()
    with (
        lmdb.open(str(tmp_path / 'bedroom_train_lmdb'), map_size=2**20) as environment,
        environment.begin(write=True) as transaction,
    ):
        for key, value in BEDROOMS.items():
            transaction.put(key.encode(), room(value))
            path = tmp_path / 'exported' / key[-2:] / f'{key}.webp'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(room(value))
    monkeypatch.setattr(lsun, 'SPLITS', {'train': 10, 'validation': 1})
    Lsun(config='bedroom', data_dir=tmp_path, file_format='array_record').download_and_prepare(download_dir=tmp_path / 'down')
    found = [
        load('lsun_bedroom', tmp_path, **options)
        for options in ({'manual_dir': str(tmp_path)}, {'manual_dir': str(tmp_path / 'exported')}, {})
    ]
    chosen = [sorted(images[:, 0, 0, 0].tolist()) for images in found]
    assert len(chosen[0]) == 5
    assert chosen[0] not in ([10, 20, 30, 40, 50], [60, 70, 80, 90, 100])
    assert chosen[1] == chosen[2] == chosen[0]


def test_a_prepared_set_without_ids_has_no_share(prepared, tmp_path, monkeypatch):
    from wgan_jax.data import tfds_sets

    builder = tfds_sets.find(prepared(tmp_path), 'celeb_a')
    with pytest.raises(UserError, match=r'have no ids, by which config\.data\.fraction chooses them: prepare them with a newer'):
        tfds_sets.ids(builder, 'train', 8)


def test_sets_without_names_are_chosen_by_place():
    for name, count in (('digits', 1797), ('gaussians_8', 65_536)):
        whole, part = (make_source(name, fraction) for fraction in (1.0, 0.01))
        size = round(count * 0.01)
        assert (whole.num_images, part.num_images) == (count, size)
        np.testing.assert_array_equal(part.load(), whole.load()[share(range(count), 0.01)])
        assert not np.array_equal(part.load(), whole.load()[:size])


def test_runs_with_different_seeds_train_on_the_same_share():
    configs = [tiny(seed=seed) for seed in (0, 1)]
    for config in configs:
        config.data.fraction = 0.1
    one, other = map(images_of_run, configs)
    assert len(one) == 150
    np.testing.assert_array_equal(one, other)
