"""CelebA as a TFDS builder that needs no TensorFlow (TFDS's own builder cannot prepare the data set without it)."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds

from wgan_jax.data.celeba_files import ARCHIVE, HEIGHT, SPLITS, WIDTH

_DRIVE = 'https://drive.usercontent.google.com/download?export=download&confirm=t&id='
URLS = {ARCHIVE: _DRIVE + '0B7EVK8r0v71pZjFTYXZWM3FlRnM'}  # the authors' file, at the address that they give
FILES = {ARCHIVE: (1443490838, '46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74')}  # bytes, sha256


class CelebaAligned(tfds.core.GeneratorBasedBuilder):
    """The aligned and cropped images of CelebA (Liu et al. 2015) in the official splits, as the original JPEG files."""

    VERSION = tfds.core.Version('1.0.0')

    @property
    def url_infos(self) -> dict[str, Any]:
        """The size and checksum that TFDS's download manager verifies."""
        size, checksum = FILES[ARCHIVE]
        return {URLS[ARCHIVE]: tfds.download.checksums.UrlInfo(size=size, checksum=checksum, filename=ARCHIVE)}

    def _info(self) -> tfds.core.DatasetInfo:
        image = tfds.features.Image(shape=(HEIGHT, WIDTH, 3), encoding_format='jpeg')
        # Not shuffled: for a data set of this size, TFDS does that on disk and needs TensorFlow.
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({'image': image}), disable_shuffling=True)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[tuple[int, dict]]]:
        path = dl_manager.download(URLS[ARCHIVE])
        return {split: self._generate_examples(path, numbers) for split, numbers in SPLITS.items()}

    def _generate_examples(self, path: Any, numbers: range) -> Iterator[tuple[int, dict]]:
        with zipfile.ZipFile(path) as archive:
            for number in numbers:
                yield number, {'image': io.BytesIO(archive.read(f'img_align_celeba/{number:06d}.jpg'))}
