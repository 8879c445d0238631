"""The feature networks, by name, and which one fits which images."""

from wgan_jax.errors import UserError
from wgan_jax.metrics.features import classifiers
from wgan_jax.metrics.features.network import FeatureNetwork

_OF_DATA = {'mnist': 'mnist_cnn', 'digits': 'digits_cnn'}  # data set: the network that was trained on it
NETWORKS = (*classifiers.ARCHITECTURES, 'inception')


def name_for(wanted: str | None, data_set: str, image_shape: tuple[int, ...]) -> str | None:
    """The name of the feature network to use; None for none.

    Args:
      wanted: a name in NETWORKS, 'none', or None for the one that was trained on the data set, if there is one.
      data_set: a name in data.SOURCES.
      image_shape: (height, width, channels).

    Raises:
      UserError: there is no such network, or it does not take these images.
    """
    if wanted == 'none':
        return None
    name = wanted or _OF_DATA.get(data_set)
    if name is None:
        return None
    if name not in NETWORKS:
        raise UserError(f'config.eval_features={name!r} is unknown; known: {", ".join(NETWORKS)}, none.')
    shape = classifiers.ARCHITECTURES[name][1] if name != 'inception' else None
    if shape not in (None, tuple(image_shape)):
        sizes = ['x'.join(map(str, size)) for size in (shape, image_shape)]
        raise UserError(f'config.eval_features={name} takes images of {sizes[0]}, and these are {sizes[1]}: use inception or none.')
    return name


def load(name: str, weights: str | None) -> FeatureNetwork:
    """The network, with its weights from a file, or from where they are kept.

    Raises:
      UserError: the weights are not to be had, or are not right; the message says what to fetch.
    """
    if name == 'inception':
        from wgan_jax.metrics.features import (
            inception,
            inception_weights,  # only it needs them
        )

        return inception.inception(inception_weights.find(weights))
    return classifiers.classifier(name, weights)
