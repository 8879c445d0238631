"""MNIST through TFDS: 60,000 training images of 28x28 pixels."""

import contextlib
import io
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from wgan_jax.data import prepared
from wgan_jax.data.cache import cached
from wgan_jax.errors import UserError

IMAGE_SHAPE = (28, 28, 1)
NUM_IMAGES = 60000


def load(data_dir: str | None = None, manual_dir: str | None = None) -> np.ndarray:
    """uint8 [60000, 28, 28, 1], memory-mapped, in the same order wherever it came from.

    Looks, in this order, for: our cache; the data set `mnist` as TFDS's own builder prepares it; the same from our builder; the
    four original files in `manual_dir`; the download.

    Args:
      data_dir: where data sets live; None for TFDS's own place.
      manual_dir: a directory with the four original files, so that nothing is downloaded.

    Raises:
      UserError: the set could not be had; the message names the files to get and where to put them.
    """
    root = Path(data_dir or os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets').expanduser()
    path = root / 'wgan_jax' / 'mnist-train-28x28x1-v1.npy'
    return cached(path, (NUM_IMAGES, *IMAGE_SHAPE), lambda: _canonical(_read(root, manual_dir)))


def _canonical(images: np.ndarray) -> np.ndarray:
    """Sorted, then shuffled by a fixed permutation: the builders write the same images in different orders."""
    rows = np.ascontiguousarray(images.reshape(len(images), -1))
    order = np.argsort(rows.view(f'S{rows.shape[1]}')[:, 0], kind='stable')
    return images[order[np.random.Generator(np.random.Philox(key=0)).permutation(len(rows))]]


def _read(root: Path, manual_dir: str | None) -> np.ndarray:
    builder = prepared.find(root, 'mnist') or prepared.find(root, 'mnist_idx') or _prepare(root, manual_dir)
    return prepared.read_images(builder, 'train')


def _prepare(root: Path, manual_dir: str | None) -> object:
    """Runs our TFDS builder; leaves the prepared data set, or nothing."""
    import requests
    import tensorflow_datasets as tfds

    from wgan_jax.data import mnist_builder

    files = ', '.join(mnist_builder.FILES)
    if manual_dir is None:
        remedy = f'Put the four original files ({files}) into one directory and pass it as --config.data.manual_dir=DIR.'
    else:
        remedy = f'Put the four original files ({files}) into {manual_dir}, unchanged and still compressed.'
        missing = [name for name in mnist_builder.FILES if not Path(manual_dir).expanduser().joinpath(name).is_file()]
        if missing:
            raise UserError(
                f'config.data.manual_dir={manual_dir} has no {", ".join(missing)}: put the original files there, still compressed.'
            )
    print(f'Preparing MNIST in {root}, this once.')
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()

    existed = root.exists()
    downloads = None
    try:
        root.mkdir(parents=True, exist_ok=True)
        downloads = tempfile.mkdtemp(dir=root, prefix='downloading_')
        if manual_dir is None:  # TFDS tries for minutes before it says that there is no network
            requests.head(mnist_builder.URL + next(iter(mnist_builder.FILES)), timeout=30).close()
        builder = mnist_builder.MnistIdx(data_dir=root, file_format='array_record')
        config = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
        with contextlib.redirect_stdout(io.StringIO()):  # TFDS announces sets of unknown size
            builder.download_and_prepare(download_dir=downloads, download_config=config)
        return builder
    except tfds.download.download_manager.NonMatchingChecksumError as error:
        name = next(name for name in mnist_builder.FILES if name in str(error))
        where = f'from {mnist_builder.URL}' if manual_dir is None else f'in {manual_dir}'
        raise UserError(
            f'MNIST could not be prepared: {name} {where} is not the original file (wrong checksum). {remedy}'
        ) from error
    except (requests.RequestException, tfds.download.DownloadError) as error:
        reason = f'the download from {mnist_builder.URL} failed ({_reason(error)})'
        raise UserError(f'MNIST could not be prepared: {reason}. {remedy}') from error
    except OSError as error:
        raise UserError(
            f'MNIST could not be prepared in {root} ({error.strerror or error}); choose another place with --config.data.dir=DIR.'
        ) from error
    finally:
        if downloads is not None:
            shutil.rmtree(downloads, ignore_errors=True)
        _remove_if_empty(root / mnist_builder.MnistIdx.name)
        if not existed:
            _remove_if_empty(root)


def _reason(error: Exception) -> str:
    """What a person understands of an HTTP client's error."""
    import requests

    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return 'the connection broke off'
    if isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.Timeout):
        return 'no connection'
    return str(error).rstrip('.')


def _remove_if_empty(directory: Path) -> None:
    if directory.is_dir() and not any(directory.iterdir()):
        directory.rmdir()
