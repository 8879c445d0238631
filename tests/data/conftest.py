"""A small CelebA: 13 images in an archive that the builder takes for the original."""

import hashlib
import io
import zipfile

import pytest
from PIL import Image

from wgan_jax.data import celeba, celeba_builder

SPLITS = {'train': range(1, 9), 'validation': range(9, 11), 'test': range(11, 14)}


def face(number, size=(178, 218)):
    """One grey level each, as JPEG."""
    buffer = io.BytesIO()
    Image.new('RGB', size, (10 * number,) * 3).save(buffer, 'JPEG', quality=95)
    return buffer.getvalue()


@pytest.fixture
def manual(tmp_path, monkeypatch):
    """A directory with an archive of 13 images that the builder takes for the original."""
    monkeypatch.setattr(celeba, 'SPLITS', SPLITS)
    monkeypatch.setattr(celeba_builder, 'SPLITS', SPLITS)
    directory = tmp_path / 'manual'
    directory.mkdir()
    path = directory / celeba.ARCHIVE
    with zipfile.ZipFile(path, 'w') as archive:
        for number in range(1, 14):
            archive.writestr(f'img_align_celeba/{number:06d}.jpg', face(number))
    content = path.read_bytes()
    monkeypatch.setattr(celeba_builder, 'FILES', {celeba.ARCHIVE: (len(content), hashlib.sha256(content).hexdigest())})
    return directory
