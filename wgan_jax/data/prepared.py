"""Reads data sets that TFDS has prepared, in either of its file formats, without TensorFlow."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from absl import logging

from wgan_jax.errors import UserError

if TYPE_CHECKING:
    import tensorflow_datasets as tfds


def find(data_dir: Path, name: str) -> 'tfds.core.DatasetBuilder | None':
    """The newest version of the data set `name` prepared in `data_dir`, or None."""
    import tensorflow_datasets as tfds  # slow to import, and a cached data set does without it

    versions = [
        path.parent for path in (data_dir / name).glob('*/dataset_info.json') if tfds.core.Version.is_valid(path.parent.name)
    ]
    if not versions:
        return None
    return tfds.builder_from_directory(max(versions, key=lambda path: tfds.core.Version(path.name)))


def read_images(builder: 'tfds.core.DatasetBuilder', split: str) -> np.ndarray:
    """Every image of a split, uint8 [N, H, W, C], in the order of the files.

    Raises:
      UserError: the files are not all that the data set says it has.
    """
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)  # TFDS recommends OpenCV, once per process
    try:
        return _read_images(builder, split)
    finally:
        logging.set_verbosity(verbosity)


def _read_images(builder: 'tfds.core.DatasetBuilder', split: str) -> np.ndarray:
    expected = builder.info.splits[split].num_examples
    images = None
    count = 0
    for count, image in enumerate(_iterate_images(builder, split), start=1):
        if images is None:
            images = np.empty((expected, *image.shape), np.uint8)
        if count <= expected:
            images[count - 1] = image
    if count != expected:
        raise UserError(_damaged(builder.data_path, f'holds {count} of {expected} images'))
    return images


def _iterate_images(builder: 'tfds.core.DatasetBuilder', split: str) -> Iterator[np.ndarray]:
    if builder.info.file_format.value == 'array_record':
        for example in builder.as_data_source(split):
            yield example['image']
    else:
        for path in builder.info.splits[split].filepaths:
            for record in _tfrecords(Path(path)):
                yield builder.info.features.deserialize_example_np(record)['image']


def _tfrecords(path: Path) -> Iterator[bytes]:
    """The records of a TFRecord file: length (8 bytes), checksum of it (4), data, checksum of it (4).

    The checksums are left alone: the images inside are PNG or JPEG, and their number is known.
    """
    with path.open('rb') as file:
        while header := file.read(12):
            (length,) = struct.unpack('<Q', header[:8])
            record = file.read(length)
            if len(header) < 12 or len(record) < length or len(file.read(4)) < 4:
                raise UserError(_damaged(path.parent, f'{path.name} is cut short'))
            yield record


def _damaged(directory: object, what: str) -> str:
    return (
        f'The data set prepared in {directory} is damaged ({what}): delete that directory, or choose another --config.data.dir=DIR.'
    )
