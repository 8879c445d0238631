"""MNIST through TFDS: 60,000 training and 10,000 test images of 28x28 pixels."""

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wgan_jax.data import tfds_sets
from wgan_jax.data.cache import cached, data_root
from wgan_jax.data.images import decode, decode_all
from wgan_jax.data.source import Source, choose, existing, held_out
from wgan_jax.errors import UserError

SPLITS = {'train': 60000, 'test': 10000}
IMAGE_SHAPE = (28, 28, 1)


def source(dir: str | None = None, manual_dir: str | None = None, split: str = 'train') -> Source:
    """uint8 [60000, 28, 28, 1]; the order does not depend on where the images come from.

    Uses the first of these that exists: our cache; the data set `mnist` prepared by TFDS; the one prepared by our builder; the
    four original files in `manual_dir`; the download.

    Args:
      dir: directory of the data sets; None for TFDS's default.
      manual_dir: a directory with the four original files, which are then not downloaded.
      split: 'train' or 'test'.

    Raises:
      UserError: from `load`, the data set cannot be read or downloaded; the message says which files to fetch by hand.
    """
    choose('split', split, SPLITS)

    def load() -> np.ndarray:
        root = data_root(dir)

        def blocks() -> Iterator[np.ndarray]:
            builder = tfds_sets.find(root, 'mnist') or tfds_sets.find(root, 'mnist_idx') or _prepare(root, manual_dir)
            items = tfds_sets.encoded_images(builder, split, [True] * SPLITS[split])
            decode_one = functools.partial(decode, size=28, channels=1, expected=(28, 28))
            images = np.concatenate(list(decode_all(items, SPLITS[split], decode_one, IMAGE_SHAPE, builder.data_path)))
            if len(images) != SPLITS[split]:
                raise UserError(tfds_sets.damaged(builder.data_path, f'{SPLITS[split] - len(images)} images cannot be used'))
            yield _canonical(images)

        return cached(root, f'mnist-{split}-28x28x1-v1', IMAGE_SHAPE, SPLITS[split], blocks)

    return Source(IMAGE_SHAPE, SPLITS[split], load, held_out=held_out(source, split, dir=dir, manual_dir=manual_dir))


def _canonical(images: np.ndarray) -> np.ndarray:
    """Sorts and then shuffles by a fixed permutation, because the builders write the same images in different orders."""
    rows = np.ascontiguousarray(images.reshape(len(images), -1))
    order = np.argsort(rows.view(f'S{rows.shape[1]}')[:, 0], kind='stable')
    return images[order[np.random.Generator(np.random.Philox(key=0)).permutation(len(rows))]]


def _prepare(root: Path, manual_dir: str | None) -> object:
    from wgan_jax.data import mnist_download  # imports tensorflow_datasets, which is slow

    files = ', '.join(mnist_download.FILES)
    remedy = f'Put the four original files ({files}) into one directory and pass it as --config.data.manual_dir=DIR.'
    if manual_dir is not None:
        remedy = f'Put the four original files ({files}) into {manual_dir}, unchanged and still compressed.'
        missing = [name for name in mnist_download.FILES if not (existing('manual_dir', manual_dir) / name).is_file()]
        if missing:
            raise UserError(
                f'config.data.manual_dir={manual_dir} has no {", ".join(missing)}: put the original files there, still compressed.'
            )
    urls = {name: mnist_download.URL + name for name in mnist_download.FILES}
    return tfds_sets.prepare(mnist_download.MnistIdx, root, manual_dir, 'MNIST', urls, remedy)
