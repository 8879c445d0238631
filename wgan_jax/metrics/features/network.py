"""What the metrics need to know of a feature network, and how images go through one."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from wgan_jax.devices.compiling import in_batches
from wgan_jax.metrics.checks import check_images


class FeatureNetwork(NamedTuple):
    """A trained network with its weights, and what a score must say about it."""

    name: str  # as in the names of scores: 'inception', 'mnist_cnn'
    image_shape: tuple[int, int, int] | None  # of the images that it takes; None: any
    num_features: int
    num_classes: int | None  # None: its outputs are not class logits
    weights_sha256: str
    preprocessing: str  # one sentence for the protocol of a score: crop, resizer, scaling
    # uint8 [N, H, W, C] -> features float32 [N, num_features], logits float32 [N, num_classes]
    apply: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def apply_in_batches(
    function: Callable[[np.ndarray], tuple[jax.Array, jax.Array]], images: np.ndarray, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The features and logits that a compiled function of batches gives for all images, which may be memory-mapped.

    Raises:
      ValueError: the images are not uint8 [N, H, W, C] with N > 0.
    """
    check_images(1, images=images)
    features, logits = zip(*in_batches(function, images, batch_size), strict=True)
    return np.concatenate(features), np.concatenate(logits)
