"""Small classifiers for use as feature networks: the weights of `mnist_cnn` and `digits_cnn` come with the package.

`wgan_jax.metrics.features.train_classifier` trains them. A distance on their features carries their name and is never called FID.
"""

import hashlib
import io
import math
import zipfile
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.algorithm.state import named_leaves
from wgan_jax.disk import read_bytes
from wgan_jax.errors import UserError
from wgan_jax.metrics.features.network import FeatureNetwork, apply_in_batches
from wgan_jax.models.layers import Conv

SHA256 = {  # of the files in weights/: other weights would give other scores under the same name
    'mnist_cnn': 'dce056bfe1c97774ea835bbe4f887e09e3d63ae11866cc57baee117fa3d9a047',
    'digits_cnn': 'c0442495dd30b60451bf077cc8d8f7f6612a3122b15eb1e882f0be097bf71bd8',
}
_BATCH = 500
_HEADER_BYTES = 2**16  # of a .npy file, at most
_MAX_BYTES = 2**26  # of a file of weights: thirty times the largest


class Classifier(nn.Module):
    """Stages of two 3x3 convolutions and a max-pool, then one hidden layer and one linear layer."""

    widths: tuple[int, ...]  # filters of each stage, which halves the image (rounded down)
    num_features: int  # units of the hidden layer; their values after the ReLU are the features
    num_classes: int

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Uint8 [B, H, W, C] -> features [B, num_features], logits [B, num_classes]."""
        x = images.astype(jnp.float32) / 127.5 - 1.0
        for width in self.widths:
            for _ in range(2):
                x = Conv(width, (3, 3), padding=1, use_bias=False)(x)
                x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
            x = nn.max_pool(x, (2, 2), strides=(2, 2))
        x = nn.Dense(self.num_features, use_bias=False)(x.reshape(x.shape[0], -1))
        features = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
        dropped = nn.Dropout(0.3, deterministic=not train)(features)
        return features, nn.Dense(self.num_classes)(dropped)


ARCHITECTURES = {  # name: (the network, the images it takes)
    'mnist_cnn': (Classifier(widths=(16, 32, 64), num_features=128, num_classes=10), (28, 28, 1)),
    'digits_cnn': (Classifier(widths=(16, 32), num_features=64, num_classes=10), (8, 8, 1)),
    'celeba_attributes': (Classifier(widths=(16, 32, 64, 128), num_features=128, num_classes=40), (64, 64, 3)),
}


def classifier(name: str, weights: Path | None = None) -> FeatureNetwork:
    """Loads a classifier from a file that train_classifier wrote; None for the one in the package.

    Raises:
      UserError: the file cannot be read, or does not hold weights of this classifier.
    """
    network, image_shape = ARCHITECTURES[name]
    if weights is None and name not in SHA256:
        raise UserError(
            f'The weights of {name} do not come with the package: train them with '
            f'`python -m wgan_jax.metrics.features.train_classifier {name} --data=DIR`, and give the file with '
            '--config.eval_weights=FILE (train.py) or --weights=FILE (evaluate).'
        )
    path = weights or Path(__file__).parent / 'weights' / f'{name}.npz'
    try:
        content = read_bytes(path, _MAX_BYTES)
    except OSError as error:
        raise UserError(f'The weights {path} cannot be read ({error.strerror}): check the path.') from error
    digest = hashlib.sha256(content).hexdigest()
    if weights is None and digest != SHA256[name]:
        raise UserError(f'{path} is not the file that came with the package (its SHA-256 differs): reinstall the package.')
    variables = _variables(content, name, path)

    @jax.jit
    def predict(images: jax.Array) -> tuple[jax.Array, jax.Array]:
        with jax.default_matmul_precision('highest'):  # TensorFloat-32 and bfloat16 would make a score depend on the device
            return network.apply(variables, images)

    return FeatureNetwork(
        name=name,
        image_shape=image_shape,
        num_features=network.num_features,
        num_classes=network.num_classes if name in SHA256 else None,  # an image has several attributes, but one class
        weights_sha256=digest,
        preprocessing=f'images of {"x".join(map(str, image_shape))} as they are, 0 to 255 scaled to [-1, 1]',
        apply=lambda images: apply_in_batches(predict, images, _BATCH),
    )


def _variables(content: bytes, name: str, path: Path) -> dict:
    shapes = template(name)
    named = named_leaves(shapes)
    wrong = f'{path} does not hold weights of this version of {name}: give a file that train_classifier wrote.'
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {info.filename: info for info in archive.infolist()}
            if not _are_possible(members, named):
                raise UserError(wrong)
            arrays = {key: _array(_unpacked(archive, members[f'{key}.npy']), shape) for key, shape in named.items()}
    except UserError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise errors of a dozen types for damaged files
        raise UserError(f'{path} is not a file of weights (an .npz file of plain arrays), or is damaged: give another.') from error
    if any(array is None for array in arrays.values()):
        raise UserError(wrong)
    infinite = [key for key, array in arrays.items() if not np.isfinite(array).all()]
    if infinite:
        raise UserError(f'{path} has values that are not finite, in {infinite[0]}: give another file.')
    return jax.tree.unflatten(jax.tree.structure(shapes), [arrays[key] for key in named])


def _are_possible(members: dict[str, zipfile.ZipInfo], shapes: dict[str, jax.ShapeDtypeStruct]) -> bool:
    """Whether the files of an archive can be these arrays; checked before anything is unpacked."""
    if members.keys() != {f'{key}.npy' for key in shapes}:
        return False
    if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in members.values()):
        return False  # the others have no limit on memory
    return all(members[f'{key}.npy'].file_size <= _HEADER_BYTES + 8 * math.prod(shape.shape) for key, shape in shapes.items())


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as file:
        return file.read(info.file_size)  # read() without a size would unpack more than a wrong size says


def _array(content: bytes, shape: jax.ShapeDtypeStruct) -> np.ndarray | None:
    """The array in a .npy file; None if it has another shape than the one wanted, whatever it claims to hold."""
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    found = read_header(file) if read_header else (None, False, np.dtype(object))
    if found[0] != shape.shape or found[2].kind != 'f':
        return None
    return np.load(io.BytesIO(content), allow_pickle=False)


def template(name: str) -> dict:
    """The variables of a classifier, as shapes."""
    network, shape = ARCHITECTURES[name]
    return jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, *shape), jnp.uint8))
