"""Prepares data sets with TFDS and reads prepared ones, in both of its file formats, without TensorFlow."""

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wgan_jax.data.files import MAX_BYTES
from wgan_jax.data.images import Item, printable
from wgan_jax.disk import only_one
from wgan_jax.errors import UserError

_OF_DAMAGE = (None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL)  # numbers of OSErrors that damaged files cause

if TYPE_CHECKING:
    import tensorflow_datasets as tfds


def find(data_dir: Path, name: str) -> 'tfds.core.DatasetBuilder | None':
    """The newest version of the data set `name` prepared in `data_dir`, or None.

    Raises:
      UserError: the data set is damaged.
    """
    import tensorflow_datasets as tfds  # slow to import

    versions = [
        path.parent for path in (data_dir / name).glob('*/dataset_info.json') if tfds.core.Version.is_valid(path.parent.name)
    ]
    if not versions:
        return None
    directory = max(versions, key=lambda path: tfds.core.Version(path.name))
    with _damage_reported(directory):
        for class_name in _class_names(json.loads((directory / 'features.json').read_bytes())):
            if not class_name.startswith('tensorflow_datasets.'):  # TFDS would import any module
                raise ValueError(f'features.json names the class {class_name!r}')
        return tfds.builder_from_directory(directory)


def _class_names(value: object) -> Iterator[str]:
    """The names of classes in the description of features, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from _class_names(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in ('pythonClassName', 'python_class_name', 'type') and isinstance(item, str):
                yield item
            else:
                yield from _class_names(item)


def encoded_images(builder: 'tfds.core.DatasetBuilder', split: str, wanted: Sequence[bool]) -> Iterator[Item]:
    """Generates the encoded images of a split in the order of the prepared files.

    Args:
      wanted: for each image of the split, whether to yield it.

    Raises:
      UserError: files are damaged or missing.
    """
    with _damage_reported(builder.data_path):
        for count, example in enumerate(_examples(builder, split, len(wanted)), start=1):
            content = example['image']
            if not content:  # array_record's result for a file that is cut short
                raise ValueError(f'image {count} of {split} is empty')
            if wanted[count - 1]:
                yield f'image {count} of {split}', lambda content=content: content


def ids(builder: 'tfds.core.DatasetBuilder', split: str, expected: int) -> list[str]:
    """The feature `id` of a split's examples, `expected` in number, in the order of the prepared files.

    Raises:
      UserError: files are damaged or missing, or the examples have no ids.
    """
    if 'id' not in builder.info.features:
        raise UserError(
            f'The images prepared in {builder.data_path} have no ids, by which config.data.fraction chooses them: prepare them '
            'with a newer version of TFDS, or use the original files with --config.data.manual_dir=DIR.'
        )
    with _damage_reported(builder.data_path):
        return [bytes(example['id']).decode() for example in _examples(builder, split, expected)]


def written_order(builder: 'tfds.core.DatasetBuilder', split: str, keys: Sequence[str]) -> list[str]:
    """The keys of a split's examples in the order of the prepared files, which do not contain them.

    TFDS sorts examples by the md5 of the split's name and the key (tensorflow_datasets/core/hashing.py and shuffle.py), whatever
    the number of files. A builder may disable that; then its examples stay in the order in which it generates them.

    Args:
      keys: in the order in which the builder generates the examples.
    """
    if builder.info.disable_shuffling:
        return list(keys)
    return sorted(keys, key=lambda key: hashlib.md5(f'{split}{key}'.encode(), usedforsecurity=False).digest())


def _examples(builder: 'tfds.core.DatasetBuilder', split: str, expected: int) -> Iterator[dict[str, Any]]:
    """The examples of a split, with encoded images."""
    import tensorflow_datasets as tfds  # slow to import

    skip = {'image': tfds.decode.SkipDecoding()}
    if builder.info.file_format.value == 'array_record':
        examples = iter(builder.as_data_source(split, decoders=skip))
    else:
        records = (record for path in builder.info.splits[split].filepaths for record in _tfrecords(Path(path)))
        examples = (builder.info.features.deserialize_example_np(record, decoders=skip) for record in records)
    count = 0
    for count, example in enumerate(examples, start=1):
        if count <= expected:
            yield example
    if count != expected:
        raise ValueError(f'has {count} of {expected} images')


def _tfrecords(path: Path) -> Iterator[bytes]:
    """The records of a TFRecord file: length (8 bytes), its checksum (4), data, its checksum (4).

    The checksums are not verified: decoding checks the images, and their number is known.
    """
    with path.open('rb') as file:
        left = path.stat().st_size
        while header := file.read(12):
            length = int.from_bytes(header[:8], 'little')
            left -= 12 + length + 4
            if left < 0 or length > MAX_BYTES:
                raise ValueError(f'{path.name} is cut short')
            yield file.read(length)
            file.read(4)


@contextlib.contextmanager
def _damage_reported(directory: object) -> Iterator[None]:
    """Turns errors of any type, which TFDS and the readers of its formats raise for damaged files, into a UserError."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno not in _OF_DAMAGE):
            reason = getattr(error, 'strerror', None) or 'too little memory'
            raise UserError(
                f'The data set prepared in {directory} cannot be read ({reason}). It may be intact: give the same command again '
                'when that is mended.'
            ) from error
        raise UserError(damaged(directory, printable(error).split('\\n')[0][:200] or type(error).__name__)) from error


def damaged(directory: object, what: str) -> str:
    """The message about a damaged data set."""
    return (
        f'The data set prepared in {directory} is damaged ({what}): delete that directory, or choose another --config.data.dir=DIR.'
    )


def prepare(
    builder_class: 'type[tfds.core.DatasetBuilder]',
    root: Path,
    manual_dir: str | None,
    title: str,
    urls: dict[str, str],
    remedy: str,
) -> 'tfds.core.DatasetBuilder':
    """Prepares a data set with one of our TFDS builders; if that fails, nothing is left on the disk.

    Args:
      manual_dir: directory with the files under their original names; None to download them.
      title: name of the data set, for messages.
      urls: file name -> URL from which the builder downloads it.
      remedy: a sentence that says which files to fetch by hand and where to put them.

    Raises:
      UserError: the data set cannot be downloaded, read or written; the message ends with the way out.
    """
    import requests  # optional, a dependency of tensorflow_datasets
    import tensorflow_datasets as tfds  # slow to import

    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    host = next(iter(urls.values())).split('/')[2]
    name = builder_class.name
    downloads = root / f'downloading_{name}'

    def remove_unfinished() -> None:
        for left in (downloads, *root.glob(f'{name}/incomplete*')):
            shutil.rmtree(left, ignore_errors=True)

    try:
        with only_one(root / 'wgan_jax' / f'unfinished_{name}', f'is preparing {name} in {root}'):
            if builder := find(root, name):  # another process has prepared it
                return builder
            print(f'Preparing {title} in {root} (done once).', flush=True)
            remove_unfinished()  # left by a killed process
            try:
                if manual_dir is None:  # without a network, TFDS retries for minutes
                    requests.head(next(iter(urls.values())), timeout=30).close()
                builder = builder_class(data_dir=root, file_format='array_record')
                config = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
                with contextlib.redirect_stdout(io.StringIO()):  # TFDS announces data sets of unknown size
                    builder.download_and_prepare(download_dir=downloads, download_config=config)
                return builder
            finally:
                remove_unfinished()
                if (root / name).is_dir() and not any((root / name).iterdir()):
                    (root / name).rmdir()
    except tfds.download.download_manager.NonMatchingChecksumError as error:
        file = next((file for file, url in urls.items() if url in str(error)), 'a file')
        where = f'{file} from {host}' if manual_dir is None else f'{file} in {manual_dir}'
        raise UserError(f'{title} could not be prepared: {where} is not the original file (wrong checksum). {remedy}') from error
    except (requests.RequestException, tfds.download.DownloadError) as error:
        reason = str(error).rstrip('.')
        if isinstance(error, requests.exceptions.ChunkedEncodingError):
            reason = 'the connection broke off'
        elif isinstance(error, requests.exceptions.ConnectionError | requests.exceptions.Timeout):
            reason = 'no connection'
        raise UserError(f'{title} could not be prepared: the download from {host} failed ({reason}). {remedy}') from error
    except (OSError, RuntimeError) as error:
        known = map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO))
        reason = next((reason for reason in known if reason in str(error)), None)  # array_record has it only in its message
        if isinstance(error, OSError):
            reason = error.strerror or error
        if reason is None:
            raise
        raise UserError(
            f'{title} could not be prepared in {root} ({reason}); choose another place with --config.data.dir=DIR.'
        ) from error
