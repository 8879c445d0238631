"""MNIST as a TFDS builder that needs no TensorFlow (TFDS's own builder cannot prepare the data set without it)."""

from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds
from PIL import Image

from wgan_jax.data import idx

URL = 'https://storage.googleapis.com/cvdf-datasets/mnist/'
FILES = {  # name: (bytes, sha256) of the four original files
    'train-images-idx3-ubyte.gz': (9912422, '440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609'),
    'train-labels-idx1-ubyte.gz': (28881, '3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c'),
    't10k-images-idx3-ubyte.gz': (1648877, '8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6'),
    't10k-labels-idx1-ubyte.gz': (4542, 'f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6'),
}
SPLITS = {'train': ('train', 60000), 'test': ('t10k', 10000)}  # split: (prefix of its files, number of images)


class MnistIdx(tfds.core.GeneratorBasedBuilder):
    """MNIST (LeCun et al. 1998) from the four original IDX files, downloaded or taken from a manual directory."""

    VERSION = tfds.core.Version('1.0.0')

    @property
    def url_infos(self) -> dict[str, Any]:
        """The size and checksum that TFDS's download manager verifies for each file, downloaded or found."""
        info = tfds.download.checksums.UrlInfo
        return {URL + name: info(size=size, checksum=sha256, filename=name) for name, (size, sha256) in FILES.items()}

    def _info(self) -> tfds.core.DatasetInfo:
        features = {'image': tfds.features.Image(shape=(28, 28, 1)), 'label': tfds.features.ClassLabel(num_classes=10)}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator[tuple[int, dict]]]:
        # One after the other: when one download fails, no other thread is still writing.
        paths = {name: dl_manager.download(URL + name) for name in FILES}
        return {
            split: self._generate_examples(paths[f'{prefix}-images-idx3-ubyte.gz'], paths[f'{prefix}-labels-idx1-ubyte.gz'], count)
            for split, (prefix, count) in SPLITS.items()
        }

    def _generate_examples(self, images_path: Any, labels_path: Any, count: int) -> Iterator[tuple[int, dict]]:
        images, labels = (idx.parse(path.read_bytes()) for path in (images_path, labels_path))
        for i in range(count):  # as PIL images: TFDS encodes arrays with TensorFlow
            yield i, {'image': Image.fromarray(images[i]), 'label': int(labels[i])}
