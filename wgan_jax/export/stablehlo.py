"""A generator or a critic as one file that runs with jax alone: StableHLO that contains the weights, described by a JSON file.

jax.export makes the file: a FlatBuffer around a portable program. Reading it unpickles nothing and imports nothing: every field is
a number, a name or an array, and the containers are tuples, lists and dictionaries, or types that the reading program has
registered by name; jax registers none that runs code (jax/_src/export/serialization.py). Still it is a program, which XLA compiles
and runs: accept it only from those from whom you would accept a program. The SHA-256 detects damage, not malice, since whoever can
change one file can change the other.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax import export

from wgan_jax import convolutions
from wgan_jax.algorithm.state import GANState, generate
from wgan_jax.disk import read_bytes
from wgan_jax.errors import UserError
from wgan_jax.export.description import FORMAT, kind

PLATFORMS = ('cpu', 'cuda', 'rocm', 'tpu')
_VERSIONS = range(export.minimum_supported_calling_convention_version, export.maximum_supported_calling_convention_version + 1)


class Generator(NamedTuple):
    """A generator in inference mode, with its weights."""

    call: Callable[..., jax.Array]  # latents [B, latent_dim], float32 -> images [B, H, W, C] in [-1, 1], float32
    latent_dim: int
    image_shape: tuple[int, ...]


def export_generator(state: GANState, latent_dim: int) -> export.Exported:
    """The generator of a state, or its average if there is one, in inference mode: latents [B, latent_dim] -> images [B, H, W, C].

    The program is for a batch of any size on all of PLATFORMS. It uses XLA's convolutions, also on CPU: the faster ones of training
    depend on the size of the batch, which is open here.
    """

    def generator(latents: jax.Array) -> jax.Array:
        return generate(state, latents)

    return _export(generator, (latent_dim,))


def export_critic(state: GANState, image_shape: tuple[int, ...]) -> export.Exported:
    """The critic of a state in inference mode: images [B, H, W, C] in [-1, 1] -> scores [B]; the rest as for export_generator.

    Dropout is off, and batch norm uses its running averages, so a score does not depend on the other images of the batch.
    """
    weights = {'params': state.critic.params, 'batch_stats': state.critic.batch_stats}

    def critic(images: jax.Array) -> jax.Array:
        return state.critic.apply_fn(weights, images, train=False)

    return _export(critic, image_shape)


def _export(function: Callable[[jax.Array], jax.Array], shape: tuple[int, ...]) -> export.Exported:
    """Exports a function of one float32 array [B, *shape] whose results have at least float32 precision."""
    inputs = jax.ShapeDtypeStruct(export.symbolic_shape(', '.join(map(str, ('batch', *shape)))), np.float32)
    with convolutions.compiling_for('gpu'):
        return export.export(jax.jit(function), platforms=PLATFORMS)(inputs)


def of_exported(exported: export.Exported) -> Generator:
    """The generator in an exported program, which is the same before writing and after reading."""
    return Generator(jax.jit(exported.call), exported.in_avals[0].shape[1], exported.out_avals[0].shape[1:])


def load(path: Path) -> Generator:
    """Reads an exported generator, after checking it against its JSON file.

    Raises:
      UserError: a file is missing, damaged, of another version, for other devices, or not a generator.
    """
    if path.is_dir():
        raise UserError(f'{path} is a directory: give --generator a file that python -m wgan_jax.export wrote.')
    described = path.with_suffix('.json')
    if path == described:
        raise UserError(f'{path} only describes a generator: give --generator the .stablehlo file beside it.')
    try:
        content = read_bytes(path)
        facts = json.loads(read_bytes(described))
        known, sha256, shapes = facts['format'], facts['sha256'], [facts['input']['shape'], facts['output']['shape']]
        jax_then = facts['versions']['jax']
    except OSError as error:
        raise UserError(
            f'{error.filename} cannot be read ({error.strerror}): give --generator a file that python -m wgan_jax.export wrote, '
            'with its JSON file beside it.'
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f'{described} is damaged, or does not describe a generator: export it again.') from error
    if known != FORMAT:
        raise UserError(f'{described} has another format ({known}): use the version of this program that wrote it.')
    if facts.get('player') == 'critic':
        raise UserError(
            f'{path} is a critic, which scores images and makes none: give --generator the generator of that run, which python -m '
            'wgan_jax.export writes without --player=critic.'
        )
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UserError(f'{path} is not the file that {described} describes (its SHA-256 is another one): export it again.')
    unreadable = (
        f'{path} was written by jax {jax_then} and cannot be read by jax {jax.__version__}: use a jax as new as that (files of '
        'older versions can be read for at least six months), or export it again.'
    )
    try:
        exported = export.deserialize(bytearray(content))
    except Exception as error:  # flatbuffers, numpy and jax raise many kinds for bytes that are not an exported program
        raise UserError(unreadable) from error
    platform = export.default_export_platform()
    if exported.calling_convention_version not in _VERSIONS or platform not in exported.platforms:
        raise UserError(
            f'{path} supports {", ".join(exported.platforms)} and calling convention {exported.calling_convention_version}, and '
            f'this machine needs {platform} and {_VERSIONS[0]} to {_VERSIONS[-1]}: export it again.'
        )
    avals = [*exported.in_avals, *exported.out_avals]
    right = len(exported.in_avals) == len(exported.out_avals) == 1 and [aval.ndim for aval in avals] == [2, 4]
    if not right or [kind(aval) for aval in avals] != [{'shape': shape, 'dtype': 'float32'} for shape in shapes]:
        raise UserError(f'{path} is not the generator that {described} describes: export it again.')
    generator = of_exported(exported)
    try:
        generator.call.lower(jax.ShapeDtypeStruct((1, generator.latent_dim), np.float32))
    except jax.errors.JaxRuntimeError as error:  # the program itself is read only here; an older jax may not support it
        raise UserError(unreadable) from error
    return generator
