"""The feature networks by name, and which one fits which images."""

import functools
from collections.abc import Callable
from pathlib import Path

from wgan_jax.errors import UserError
from wgan_jax.metrics.features import classifiers, inception, inception_weights
from wgan_jax.metrics.features.network import FeatureNetwork

_OF_DATA = {'mnist': 'mnist_cnn', 'digits': 'digits_cnn'}  # data set: the network that was trained on it
# Makes a network from its file of weights, or from the default weights for None.
_LOADERS: dict[str, Callable[[Path | None], FeatureNetwork]] = {
    **{name: functools.partial(classifiers.classifier, name) for name in classifiers.ARCHITECTURES},
    'inception': lambda weights: inception.inception(inception_weights.find(weights)),
}


def name_for(wanted: str | None, data_set: str, image_shape: tuple[int, ...]) -> str | None:
    """The name of the feature network to use; None for none.

    Args:
      wanted: a name in the registry, 'none', or None for the network that was trained on the data set, if there is one.
      data_set: a name in data.SOURCES.
      image_shape: (height, width, channels).

    Raises:
      UserError: the network is unknown, or does not take these images.
    """
    name = wanted or _OF_DATA.get(data_set)
    if name in (None, 'none'):
        return None
    if name not in _LOADERS:
        raise UserError(f'config.eval_features={name!r} is unknown; known: {", ".join(_LOADERS)}, none.')
    _, shape = classifiers.ARCHITECTURES.get(name, (None, None))
    if shape not in (None, tuple(image_shape)):
        sizes = ['x'.join(map(str, size)) for size in (shape, image_shape)]
        raise UserError(f'config.eval_features={name} takes images of {sizes[0]}, but these are {sizes[1]}: use inception or none.')
    return name


def gives(name: str | None) -> tuple[str, ...]:
    """Which fields of a score_table.Sample a feature network fills; None for no network."""
    if name is None:
        return ()
    if name == 'inception':  # of images of any kind, so its classes are not those of the data set
        return ('features', 'logits')
    return ('features', 'logits', 'shares') if name in classifiers.SHA256 else ('features',)


def load(name: str, weights: Path | None) -> FeatureNetwork:
    """Loads a feature network from a file of weights; None for the file in the package or, for inception, inception_weights.find.

    Raises:
      UserError: the weights cannot be found or are not the right ones; the message says what to fetch.
    """
    return _LOADERS[name](weights)
