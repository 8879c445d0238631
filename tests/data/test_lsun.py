import io

import lmdb
import numpy as np
import pytest
from PIL import Image

from tests.data.encoding import encoded
from wgan_jax.data import lsun
from wgan_jax.errors import UserError


def room(level):
    return encoded(Image.new('RGB', (40, 32), (level,) * 3), 'WEBP', lossless=True)


def load(root, manual_dir=None, **options):
    return lsun.source(str(root), manual_dir and str(manual_dir), **{'image_size': 16, **options}).load()


def levels(images):
    return sorted(images[:, 0, 0, 0].tolist())


def test_the_lmdb_of_the_authors(tmp_path):
    for name, values in (('bedroom_train_lmdb', (10, 20, 30)), ('bedroom_val_lmdb', (40,))):
        (tmp_path / 'manual' / name).mkdir(parents=True)
        with (
            lmdb.open(str(tmp_path / 'manual' / name), map_size=2**20) as environment,
            environment.begin(write=True) as transaction,
        ):
            for value in values:
                transaction.put(f'{value:040x}'.encode(), room(value))
    assert levels(load(tmp_path, tmp_path / 'manual')) == [10, 20, 30]
    assert levels(load(tmp_path, tmp_path / 'manual', split='validation')) == [40]
    for given in ('manual/bedroom_train_lmdb', 'manual/bedroom_val_lmdb'):
        split = 'validation' if 'train' in given else 'train'
        with pytest.raises(UserError, match=f'_lmdb, which holds the split {split}: put it there'):
            load(tmp_path, tmp_path / given, split=split)
    assert lsun.source(manual_dir=str(tmp_path / 'manual')).folder is None  # other files there are not read
    images = load(tmp_path, tmp_path / 'manual' / 'bedroom_train_lmdb')
    assert images.shape == (3, 16, 16, 3)
    assert isinstance(images, np.memmap)


def test_images_exported_as_files(tmp_path):
    for value in (10, 20):
        path = tmp_path / 'manual' / f'{value}' / 'a.webp'
        path.parent.mkdir(parents=True)
        path.write_bytes(room(value))
    assert levels(load(tmp_path, tmp_path / 'manual')) == [10, 20]
    assert lsun.source(manual_dir=str(tmp_path / 'manual')).folder == tmp_path / 'manual'  # in which no run may be written
    with pytest.raises(UserError, match=r'config\.data\.manual_dir=.*manual contains .*prepared, where prepared images are kept'):
        load(tmp_path / 'manual' / 'prepared', tmp_path / 'manual')
    with pytest.raises(UserError, match=r'manual has no bedroom_val_lmdb, which holds the split validation'):
        load(tmp_path, tmp_path / 'manual', split='validation')


def test_a_packed_lmdb(tmp_path):
    (tmp_path / 'bedroom_train_lmdb.zip').write_bytes(b'PK')
    with pytest.raises(UserError, match=r'bedroom_train_lmdb\.zip is still packed: unzip it there'):
        load(tmp_path, tmp_path)


def test_what_to_fetch(tmp_path):
    with pytest.raises(UserError, match=r'fetch http://dl\.yf\.io/lsun/scenes/bedroom_train_lmdb\.zip \(43 GB\), unzip it'):
        load(tmp_path / 'sets')
    assert not (tmp_path / 'sets').exists()


def test_a_set_that_tfds_has_prepared(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    class Lsun(tfds.core.GeneratorBasedBuilder):
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name='bedroom', version='3.1.0')]  # noqa: RUF012

        def _info(self):
            image = tfds.features.Image(encoding_format='jpeg')
            features = tfds.features.FeaturesDict({'id': tfds.features.Text(), 'image': image})
            return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

        def _split_generators(self, dl_manager):
            return {'train': self._generate_examples((10, 20, 30)), 'validation': self._generate_examples((40,))}

        def _generate_examples(self, values):
            for i, value in enumerate(values):
                yield i, {'id': str(i), 'image': io.BytesIO(encoded(Image.new('RGB', (256 + value, 256), (value,) * 3), 'JPEG'))}

    monkeypatch.setattr(lsun, 'SPLITS', {'train': 3, 'validation': 1})
    Lsun(config='bedroom', data_dir=tmp_path, file_format='array_record').download_and_prepare(download_dir=tmp_path / 'down')
    assert levels(load(tmp_path)) == [10, 20, 30]
    assert levels(load(tmp_path, split='validation')) == [40]
