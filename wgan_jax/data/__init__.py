"""Data sets, by name. Each becomes one uint8 array [N, H, W, C]; an index plan says which images a step sees."""

from collections.abc import Callable

from ml_collections import ConfigDict

from wgan_jax.data import celeba, digits, folder, lsun, mnist
from wgan_jax.data.cache import identity
from wgan_jax.data.source import Source, make_source

__all__ = ['SOURCES', 'identity', 'source_of']

SOURCES: dict[str, Callable[..., Source]] = {
    'celeba': celeba.source,
    'digits': digits.source,
    'folder': folder.source,
    'lsun_bedroom': lsun.source,
    'mnist': mnist.source,
}


def source_of(data: ConfigDict) -> Source:
    """The source that the section `data` of a config describes; see source.make_source."""
    options = {name: value for name, value in data.items() if name not in ('name', 'fraction', 'placement')}
    return make_source(SOURCES, data.name, data.fraction, options)
