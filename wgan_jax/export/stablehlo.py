"""A generator as one file that runs with jax alone: StableHLO with the weights inside, and generator.json that describes it.

The file is what jax.export makes: a FlatBuffer around a portable program. Reading it unpickles nothing and imports nothing: every
field is a number, a name or an array, and of containers it can make tuples, lists and dictionaries, or types that the reading
program has registered under a name; jax registers none that runs code (jax/_src/export/serialization.py). It is a program all
the same, which XLA compiles and runs: take it from those from whom you would take a program. The SHA-256 finds damage, not
malice, for whoever can change one file can change the other.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import export

from wgan_jax import convolutions
from wgan_jax.algorithm.state import GANState, generate
from wgan_jax.data.source import is_plane
from wgan_jax.errors import UserError
from wgan_jax.runs import files
from wgan_jax.sample.generator import BATCH

FORMAT = 1  # of generator.json
PLATFORMS = ('cpu', 'cuda', 'rocm', 'tpu')
_VERSIONS = range(export.minimum_supported_calling_convention_version, export.maximum_supported_calling_convention_version + 1)


class Generator(NamedTuple):
    """A generator in inference mode, with its weights."""

    call: Callable[..., jax.Array]  # latents [B, latent_dim], float32 -> images [B, H, W, C] in [-1, 1], float32
    latent_dim: int
    image_shape: tuple[int, ...]


def export_generator(state: GANState, latent_dim: int) -> export.Exported:
    """The generator of a state, or its average if there is one, for a batch of any size on all of PLATFORMS.

    Convolutions are XLA's own on each, also on CPU, where training has faster ones: those are chosen by the size of the batch.
    """

    def generator(latents: jax.Array) -> jax.Array:
        with convolutions.compiling_for('gpu'):
            return generate(state, latents)

    latents = jax.ShapeDtypeStruct(export.symbolic_shape(f'batch, {latent_dim}'), np.float32)
    return export.export(jax.jit(generator), platforms=PLATFORMS)(latents)


def of_exported(exported: export.Exported) -> Generator:
    """What samples from an exported generator: the same program, so the same images, before it is written and once it is read."""
    return Generator(jax.jit(exported.call), exported.in_avals[0].shape[1], exported.out_avals[0].shape[1:])


def describe(exported: export.Exported, content: bytes, file: str, facts: dict[str, Any]) -> dict[str, Any]:
    """What generator.json says of the file with this content, for people and for `load`; `facts` are of the run."""
    latent_dim, plane = exported.in_avals[0].shape[1], is_plane(exported.out_avals[0].shape[1:])
    return {
        'format': FORMAT,
        'file': file,
        'sha256': hashlib.sha256(content).hexdigest(),
        'input': {**_kind(exported.in_avals[0]), 'name': 'latents', 'distribution': 'each entry standard normal, independent'},
        'output': {
            **_kind(exported.out_avals[0]),
            'name': 'points' if plane else 'images',
            'layout': '[batch, 1, 1, (x, y)]' if plane else 'NHWC',
            **({} if plane else {'range': [-1, 1]}),
        },
        'platforms': list(exported.platforms),
        'calling_convention_version': exported.calling_convention_version,
        **facts,
        'versions': files.versions(),
        'load': [
            'import jax.export, numpy  # and pip install flatbuffers',
            f"generator = jax.export.deserialize(open('{file}', 'rb').read())",
            f"images = generator.call(numpy.random.default_rng(0).standard_normal((16, {latent_dim}), 'float32'))",
        ],
    }


def load(path: Path) -> Generator:
    """Reads an exported generator, once all that generator.json says of it is true.

    Raises:
      UserError: a file is missing, damaged, of another version, for other devices, or holds another thing.
    """
    if path.is_dir():
        raise UserError(f'{path} is a directory: give --generator a file that python -m wgan_jax.export wrote.')
    described = path.with_suffix('.json')
    try:
        content = path.read_bytes()
        facts = json.loads(described.read_bytes())
        known, sha256, shapes = facts['format'], facts['sha256'], [facts['input']['shape'], facts['output']['shape']]
        jax_then = facts['versions']['jax']
    except OSError as error:
        raise UserError(
            f'{error.filename} cannot be read ({error.strerror}): give --generator a file that python -m wgan_jax.export wrote, '
            'with its JSON file beside it.'
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f'{described} is damaged, or of another thing than a generator: export it again.') from error
    if known != FORMAT:
        raise UserError(f'{described} has another format ({known}): use the version of this program that wrote it.')
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f'{path} is not the file that {described} describes (its SHA-256 is another one): export it again.')
    unreadable = (
        f'{path} cannot be read by jax {jax.__version__}; jax {jax_then} wrote it, and what reads it is that or a newer one, for '
        'six months at least: export it again.'
    )
    try:
        exported = export.deserialize(bytearray(content))
    except Exception as error:  # of flatbuffers, numpy and jax, for whatever bytes somebody gave a right SHA-256
        raise UserError(unreadable) from error
    platform = export.default_export_platform()
    if exported.calling_convention_version not in _VERSIONS or platform not in exported.platforms:
        raise UserError(
            f'{path} is for {", ".join(exported.platforms)} and version {exported.calling_convention_version} of calls; here are '
            f'{platform} and versions {_VERSIONS[0]} to {_VERSIONS[-1]}: export it again.'
        )
    avals = [*exported.in_avals, *exported.out_avals]
    right = len(exported.in_avals) == len(exported.out_avals) == 1 and [aval.ndim for aval in avals] == [2, 4]
    if not right or [_kind(aval) for aval in avals] != [{'shape': shape, 'dtype': 'float32'} for shape in shapes]:
        raise UserError(f'{path} is no generator such as {described} describes: export it again.')
    generator = of_exported(exported)
    try:
        generator.call.lower(jax.ShapeDtypeStruct((BATCH, generator.latent_dim), np.float32))
    except jax.errors.JaxRuntimeError as error:  # only now is the program itself looked at, which an older jax cannot read
        raise UserError(unreadable) from error
    return generator


def _kind(aval: Any) -> dict[str, Any]:
    return {'shape': [size if isinstance(size, int) else str(size) for size in aval.shape], 'dtype': aval.dtype.name}
