"""Trains the small classifiers that serve as feature networks.

    python -m wgan_jax.metrics.features.train_classifier mnist_cnn --data=DIR          # the four original files of MNIST
    python -m wgan_jax.metrics.features.train_classifier digits_cnn
    python -m wgan_jax.metrics.features.train_classifier celeba_attributes --data=DIR  # images and list_attr_celeba.txt or .zip

Each is trained on the training split alone and tested on the test split. The same machine and versions give the same bits. Others
give different weights of the same quality; scores are compared only if the weights have the same hash.
"""

import argparse
import functools
import hashlib
import sys
import zipfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from wgan_jax.algorithm.state import named_leaves
from wgan_jax.data import celeba_files, digits, idx
from wgan_jax.data.files import open_files
from wgan_jax.data.images import UnusableImage, decode
from wgan_jax.errors import UserError
from wgan_jax.metrics.features.classifiers import ARCHITECTURES

_BATCH = 128
_EPOCHS = {'mnist_cnn': 6, 'digits_cnn': 60, 'celeba_attributes': 6}
_SHIFT = {'mnist_cnn': 2, 'digits_cnn': 1, 'celeba_attributes': 4}  # pixels that each training image is moved at random, at most
_CROP = 140  # pixels of CelebA images, as in the configs

Labelled = tuple[np.ndarray, np.ndarray]  # uint8 [N, H, W, C], and int [N] or {0, 1} [N, attributes]


def train(name: str, images: np.ndarray, labels: np.ndarray, epochs: int) -> dict[str, Any]:
    """Trains with Adam, a cosine learning rate from 2e-3 to 0, and images that are shifted and disturbed at random."""
    network, _ = ARCHITECTURES[name]
    batches = len(images) // _BATCH
    optimizer = optax.adam(optax.cosine_decay_schedule(2e-3, epochs * batches))
    variables = network.init(jax.random.key(0), images[:1])
    carry = variables['params'], variables['batch_stats'], optimizer.init(variables['params'])

    @jax.jit
    def step(carry: Any, images: jax.Array, labels: jax.Array, offsets: jax.Array, key: jax.Array) -> tuple[Any, jax.Array]:
        params, stats, state = carry
        dropout_key, noise_key = jax.random.split(key)

        def loss(params: Any) -> tuple[jax.Array, Any]:
            (_, logits), changed = network.apply(
                {'params': params, 'batch_stats': stats},
                _disturbed(_shifted(images, offsets, _SHIFT[name]), noise_key),
                train=True,
                mutable=['batch_stats'],
                rngs={'dropout': dropout_key},
            )
            if labels.ndim == 1:
                each = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            else:
                each = optax.sigmoid_binary_cross_entropy(logits, labels)
            return each.mean(), changed['batch_stats']

        (value, stats), gradients = jax.value_and_grad(loss, has_aux=True)(params)
        updates, state = optimizer.update(gradients, state)
        return (optax.apply_updates(params, updates), stats, state), value

    random = np.random.Generator(np.random.Philox(key=0))
    for epoch in range(epochs):
        total = 0.0
        order = random.permutation(len(images))
        for i in range(batches):
            chosen = order[i * _BATCH : (i + 1) * _BATCH]
            offsets = random.integers(0, 2 * _SHIFT[name] + 1, (_BATCH, 2))
            key = jax.random.key(epoch * batches + i)
            carry, value = step(carry, images[chosen], labels[chosen], offsets, key)
            total += float(value)
        print(f'Epoch {epoch + 1} of {epochs}: loss {total / batches:.4f}', flush=True)
    return {'params': carry[0], 'batch_stats': carry[1]}


def accuracy(name: str, variables: dict[str, Any], images: np.ndarray, labels: np.ndarray) -> float:
    """The share of labels that are predicted correctly."""
    predict = jax.jit(functools.partial(ARCHITECTURES[name][0].apply, variables))
    logits = np.concatenate([np.asarray(predict(images[start : start + 1000])[1]) for start in range(0, len(images), 1000)])
    return float(np.mean((np.argmax(logits, axis=-1) if labels.ndim == 1 else logits > 0) == labels))


def _shifted(images: jax.Array, offsets: jax.Array, most: int) -> jax.Array:
    """Images moved by offset - most pixels; the border is repeated."""
    padded = jnp.pad(images, [(0, 0), (most, most), (most, most), (0, 0)], mode='edge')
    move = lambda image, offset: jax.lax.dynamic_slice(image, (offset[0], offset[1], 0), images.shape[1:])  # noqa: E731
    return jax.vmap(move)(padded, offsets)


def _disturbed(images: jax.Array, key: jax.Array) -> jax.Array:
    """Gives half of the images a brighter background, less contrast and noise; float32, 0 to 255.

    Generated digits are grey where real ones are black, and a classifier that was trained without grey assigns all of them to one
    class.
    """
    coin_key, low_key, high_key, size_key, noise_key = jax.random.split(key, 5)
    shape = (len(images), 1, 1, 1)
    low = jax.random.uniform(low_key, shape, maxval=0.3)
    high = jax.random.uniform(high_key, shape, minval=0.5)
    noise = jax.random.uniform(size_key, shape, maxval=0.15) * jax.random.normal(noise_key, images.shape)
    images = images.astype(jnp.float32)
    disturbed = 255.0 * jnp.clip(low + (high - low) * images / 255.0 + noise, 0.0, 1.0)
    return jnp.where(jax.random.bernoulli(coin_key, shape=shape), disturbed, images)


def _read_mnist(directory: Path) -> tuple[Labelled, Labelled]:
    from wgan_jax.data import mnist_download  # imports tensorflow_datasets, which is slow

    parts = []
    for prefix, _ in mnist_download.SPLITS.values():
        arrays = []
        for file in (f'{prefix}-images-idx3-ubyte.gz', f'{prefix}-labels-idx1-ubyte.gz'):
            content = (directory / file).read_bytes()
            if hashlib.sha256(content).hexdigest() != mnist_download.FILES[file][1]:
                raise UserError(f'{directory / file} is not the original file (its SHA-256 differs): download it again.')
            arrays.append(idx.parse(content))
        parts.append((arrays[0][..., None], arrays[1].astype(np.int32)))
    return parts[0], parts[1]


def _read_digits(_: None) -> tuple[Labelled, Labelled]:
    from sklearn.datasets import load_digits  # slow to import

    labels = load_digits().target.astype(np.int32)
    train, test = ((digits.source(split).load(), labels[digits.numbers(split)]) for split in ('train', 'test'))
    return train, test


def _read_celeba(directory: Path) -> tuple[Labelled, Labelled]:
    attributes = _read_attributes(directory)
    files = open_files(celeba_files.find(directory), 'manual_dir')
    parts = []
    for split in ('train', 'test'):
        names = celeba_files.in_split(list(files.marks), split, celeba_files.read_partition(directory))
        if not names:
            raise UserError(f'{directory} has no images of the {split} split.')
        images, labels = [], []
        for name in names:
            try:
                images.append(decode(files.read(name), size=64, crop=_CROP, expected=(celeba_files.WIDTH, celeba_files.HEIGHT)))
                labels.append(attributes[Path(name).stem])
            except UnusableImage as error:
                raise UserError(f'{directory}: {name} {error}: remove or replace it.') from error
            except KeyError as error:
                raise UserError(f'list_attr_celeba.txt has no row for {name}, which is in {directory}.') from error
        parts.append((np.stack(images), np.stack(labels)))
    return parts[0], parts[1]


def _read_attributes(directory: Path) -> dict[str, np.ndarray]:
    """{'000001': {0, 1} [40], ...}."""
    text, archive = directory / 'list_attr_celeba.txt', directory / 'list_attr_celeba.zip'
    if text.exists():
        content = text.read_text()
    elif archive.exists():
        try:
            with zipfile.ZipFile(archive) as file:
                content = file.read(text.name).decode()
        except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
            raise UserError(f'{archive} is damaged, or does not hold {text.name}: download it again.') from error
    else:
        raise UserError(f'{directory} has no {text.name} (or .zip): download it with the images.')
    rows = [line.split() for line in content.splitlines()[2:]]
    return {row[0].split('.')[0]: np.array(row[1:], int) > 0 for row in rows}


_READERS = {'mnist_cnn': _read_mnist, 'digits_cnn': _read_digits, 'celeba_attributes': _read_celeba}


def main() -> None:
    """Trains and tests a classifier, writes its weights to a file and prints the SHA-256."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('name', choices=ARCHITECTURES)
    parser.add_argument('--data', type=Path, help='directory of the files of the data set; not for digits_cnn')
    parser.add_argument('--out', type=Path, help='file to write; default: NAME.npz')
    arguments = parser.parse_args()
    if arguments.data is None and arguments.name != 'digits_cnn':
        sys.exit(f'Error: {arguments.name} needs --data=DIR.')
    path = arguments.out or Path(f'{arguments.name}.npz')
    if path.is_dir() or not path.parent.is_dir():
        sys.exit(f'Error: --out={path} cannot be written: give the name of a file in an existing directory.')
    try:
        training, test = _READERS[arguments.name](arguments.data)
    except OSError as error:
        sys.exit(f'Error: {error.filename} cannot be read ({error.strerror}).')
    except UserError as error:
        sys.exit(f'Error: {error}')
    variables = train(arguments.name, *training, _EPOCHS[arguments.name])
    with path.open('wb') as file:  # np.savez would append .npz to the name
        np.savez(file, **named_leaves(variables))
    print(f'Correct on the test split: {100 * accuracy(arguments.name, variables, *test):.2f} %')
    print(f'{path}: {path.stat().st_size} bytes, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}')


if __name__ == '__main__':
    main()
