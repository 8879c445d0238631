"""The least memory that a run can take: a config that surely does not fit is refused before anything of that size is made."""

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
from wgan_jax.runs.config import flatten, make_schedule
from wgan_jax.sample.grid import grid_bytes

PICTURE_BYTES = 2**30  # the most of a grid: some copies of it are made, and TensorBoard takes less than twice as much


class Part(NamedTuple):
    """Something that lies on each device, and the keys that its size depends on."""

    name: str
    num_bytes: int
    keys: Sequence[str]


def check(config: ConfigDict, source: Source, state: GANState | None = None) -> None:
    """Refuses a config that needs more memory than there is, however well its program is compiled.

    Args:
      config: a config that config.validate has nothing against.
      source: its images.
      state: shapes of the run's state; None where they are not known yet, for what else there is.

    Raises:
      UserError: the message says what takes how much, and which keys to make smaller.
    """
    pixels = math.prod(source.image_shape)
    image_bytes = pixels * np.dtype(source.dtype).itemsize
    batch = config.batch_size // jax.device_count()
    n_critic = max(make_schedule(config).kinds(0, config.num_steps))
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
    picture = grid_bytes(config.num_samples, source.image_shape)
    if picture > PICTURE_BYTES:
        raise UserError(
            f'config.num_samples={config.num_samples} images make a picture of {gib(picture)}, and {gib(PICTURE_BYTES)} is the '
            'most: use fewer.'
        )


def check_round(state: int, images: int, working: int) -> None:
    """Refuses what compiled and yet does not fit.

    Args:
      state: bytes of the state.
      images: bytes of images on a device.
      working: bytes that the program takes besides.

    Raises:
      UserError: together they are more than a device has.
    """
    available = parallel.known_bytes_per_device()
    if available is not None and state + images + working > available:
        remedy = 'make config.batch_size smaller, or config.grad_accumulation larger.'
        if state + working <= available:
            remedy = f'set config.data.placement=host, use fewer or smaller images, or {remedy}'
        raise UserError(
            f'A round takes {gib(working)} of working memory per device, besides {gib(state)} of state and {gib(images)} of '
            f'images, more than the {gib(available)} that there are: {remedy}'
        )


def num_bytes(tree: Any) -> int:
    """Bytes of a tree of arrays or shapes."""
    return sum(math.prod(leaf.shape) * jnp.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(tree))


def gib(size: int) -> str:
    """A size for a message."""
    return f'{size / 2**30:,.2f} GiB' if size < 2**50 else f'{size / 2**30:.1e} GiB'


def _too_much(config: ConfigDict, parts: list[Part], total: int, available: int) -> str:
    flat = flatten(config)
    largest, *others = sorted(parts, key=lambda part: -part.num_bytes)
    shares = [f'{part.name} {gib(part.num_bytes)}' for part in (largest, *others) if 10 * part.num_bytes > total]
    keys = [f'config.{key}={flat[key]}' for key in largest.keys if flat[key] is not None]
    return (
        f'This config needs at least {gib(total)} of memory per device, more than the {gib(available)} that there are '
        f'({", ".join(shares)}): change {" or ".join(keys)}.'
    )
