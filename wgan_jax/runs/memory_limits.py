"""The least memory that a run can need: a config that cannot fit is refused before anything of that size is allocated."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from wgan_jax.algorithm.state import GANState
from wgan_jax.data.source import Source
from wgan_jax.devices import parallel
from wgan_jax.errors import UserError
from wgan_jax.runs.config import flatten, schedule_of


class TooLarge(UserError):
    """A compiled program needs more memory than a device has."""


class Part(NamedTuple):
    """An array or a tree on each device, and the keys that determine its size."""

    name: str
    num_bytes: int
    keys: Sequence[str]


def check(config: ConfigDict, source: Source, state: GANState | None = None, *, num_devices: int) -> None:
    """Refuses a config whose arrays alone need more memory than a device has.

    Args:
      config: a config that config.check accepts.
      source: its data source.
      state: shapes of the state; None to check everything else, before they are known.
      num_devices: devices that share a batch.

    Raises:
      UserError: the message says what needs how much, and which keys to reduce.
    """
    pixels = math.prod(source.image_shape)
    image_bytes = pixels * np.dtype(source.dtype).itemsize
    batch = config.batch_size // num_devices
    n_critic = max(schedule_of(config).kinds(0, config.num_steps))
    critic_key = 'n_critic' if n_critic == config.n_critic else 'boost.n_critic'
    parts = [
        Part('real and fake images', 8 * batch // config.grad_accumulation * pixels, ['batch_size', 'data.image_size']),
        Part('latents', 4 * config.batch_size * config.latent_dim, ['latent_dim', 'batch_size']),
        Part('the images of a round', n_critic * batch * (image_bytes + 4), [critic_key, 'batch_size', 'data.image_size']),
        Part('samples', 4 * config.num_samples * (pixels + config.latent_dim), ['num_samples', 'latent_dim', 'data.image_size']),
    ]
    if config.data.placement == 'device' and source.num_images:
        parts.append(Part('the data set', source.num_images * image_bytes, ['data.placement', 'data.fraction', 'data.image_size']))
    if state is not None:
        sizes = ('num_features', 'num_layers', 'num_extra_layers')
        generator, critic = ([f'{player}.{name}' for name in sizes] for player in ('generator', 'critic'))
        parts.append(Part('the generator', num_bytes((state.generator, state.ema)), [*generator, 'latent_dim', 'data.image_size']))
        parts.append(Part('the critic', num_bytes(state.critic), [*critic, 'data.image_size']))
    total, available = sum(part.num_bytes for part in parts), parallel.known_bytes_per_device()
    if available is not None and total > available:
        raise UserError(_too_much(config, parts, total, available))


def check_round(state: int, images: int, working: int) -> None:
    """Refuses a compiled program that does not fit.

    Args:
      state: bytes of the state.
      images: bytes of the images on a device.
      working: bytes of the program's temporary memory.

    Raises:
      TooLarge: their sum is more than a device has.
    """
    available = parallel.known_bytes_per_device()
    if available is not None and state + images + working > available:
        remedy = 'make config.batch_size smaller, or config.grad_accumulation larger.'
        if state + working <= available:
            remedy = f'set config.data.placement=host, use fewer or smaller images, or {remedy}'
        raise TooLarge(
            f'A round needs {gib(working)} of working memory per device, {gib(state)} for the state and {gib(images)} for images, '
            f'and there are {gib(available)}: {remedy}'
        )


def num_bytes(tree: Any) -> int:
    """Bytes of a tree of arrays or shapes."""
    return sum(math.prod(leaf.shape) * jnp.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(tree))


def gib(size: int) -> str:
    """A size in GiB, for a message."""
    return f'{size / 2**30:,.2f} GiB' if size < 2**50 else f'{size / 2**30:.1e} GiB'


def _too_much(config: ConfigDict, parts: list[Part], total: int, available: int) -> str:
    flat = flatten(config)
    largest, *others = sorted(parts, key=lambda part: -part.num_bytes)
    shares = [f'{part.name} {gib(part.num_bytes)}' for part in (largest, *others) if 10 * part.num_bytes > total]
    keys = [f'config.{key}={flat[key]}' for key in largest.keys if flat[key] is not None]
    return (
        f'This config needs at least {gib(total)} of memory per device, and there are {gib(available)} '
        f'({", ".join(shares)}): change {" or ".join(keys)}.'
    )
