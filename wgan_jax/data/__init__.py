"""Data sets, by name. Each becomes one array [N, H, W, C], uint8 or points as they are; a plan says which ones a step sees."""

import inspect
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from wgan_jax.data import celeba, digits, folder, lsun, mnist, toys
from wgan_jax.data.cache import identity
from wgan_jax.data.source import Source, make_source

__all__ = ['SOURCES', 'held_out_of', 'identity', 'source_of']

SOURCES: dict[str, Callable[..., Source]] = {
    'celeba': celeba.source,
    'digits': digits.source,
    'folder': folder.source,
    'lsun_bedroom': lsun.source,
    'mnist': mnist.source,
    **{name: toys.source_of_toy(name) for name in toys.TOYS},
}
_HELD_OUT = {  # data set: {split that is trained on: the one to measure with}
    'celeba': {'train': 'validation', 'validation': 'test', 'test': 'validation'},
    'digits': {'train': 'test', 'test': 'train'},
    'folder': {'train': 'test', 'test': 'train'},
    'lsun_bedroom': {'train': 'validation', 'validation': 'train'},
    'mnist': {'train': 'test', 'test': 'train'},
    **{name: {'train': 'test', 'test': 'train'} for name in toys.TOYS},
}


def source_of(data: ConfigDict) -> Source:
    """The source that the section `data` of a config describes; see source.make_source."""
    return make_source(SOURCES, data.name, data.fraction, _options(data))


def held_out_of(data: ConfigDict) -> Source | None:
    """The images that a run on `data` is not trained on, whatever its fraction; None where its split leaves none."""
    builder = SOURCES[data.name]
    split = data.split or inspect.signature(builder).parameters['split'].default
    other = _HELD_OUT[data.name].get(split)
    if other is None or (data.name == 'folder' and data.holdout == 0):
        return None
    return make_source(SOURCES, data.name, 1.0, {**_options(data), 'split': other})


def _options(data: ConfigDict) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in ('name', 'fraction', 'placement')}
