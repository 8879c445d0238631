"""What a feature network is to the metrics, and how images go through one."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np


class FeatureNetwork(NamedTuple):
    """A network that was trained elsewhere, with its weights, and all that a score must say of it."""

    name: str  # as it stands in the names of metrics, 'inception', 'mnist_cnn'
    image_shape: tuple[int, int, int] | None  # the only images it takes; None: any
    num_features: int
    num_classes: int | None  # None: it gives no logits
    weights_sha256: str
    preprocessing: str  # one sentence for the protocol of a score: crop, resizer, scaling
    # uint8 [N, H, W, C] -> features float32 [N, num_features], logits float32 [N, num_classes]
    apply: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def in_batches(function: Callable[[np.ndarray], Any], images: np.ndarray, batch_size: int) -> Any:
    """What `function` gives for each image, taken in batches of one size so that it is compiled once.

    The last batch is filled up with zeros, and what comes of those is cut off: no image is left out.

    Args:
      function: uint8 [batch_size, H, W, C] -> arrays [batch_size, ...], one or a pytree of them; each image by itself.
      images: uint8 [N, H, W, C], may be memory-mapped.
      batch_size: images per call.

    Returns:
      The arrays [N, ...], on the host.

    Raises:
      ValueError: the images are not uint8 [N, H, W, C] with at least one, or the batch size is not positive.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
        raise ValueError(f'images must be uint8 [N, H, W, C] with N > 0, not {images.dtype} {images.shape}')
    if batch_size < 1:
        raise ValueError(f'batch_size={batch_size} must be greater than 0')
    results = []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        filling = np.zeros((batch_size - len(batch), *images.shape[1:]), np.uint8)
        outputs = function(np.concatenate([batch, filling]))
        results.append(jax.tree.map(lambda array: np.asarray(array)[: len(batch)], outputs))
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *results)
