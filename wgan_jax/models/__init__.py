"""The networks, by name.

Every generator is called as `generator(latents, train=..., axis_name=...)` with latents [B, latent_dim] and returns images
[B, H, W, C] in [-1, 1]; every critic as `critic(images, train=..., axis_name=...)` and returns scores [B]. `axis_name` is the
axis over which batch statistics are averaged inside pmap, None elsewhere. Images and scores are float32 at least, whatever a
network computes in.
"""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp

from wgan_jax.errors import UserError
from wgan_jax.models.dcgan import DCGANCritic, DCGANGenerator
from wgan_jax.models.keras_cnn import KerasCNNCritic, KerasCNNGenerator
from wgan_jax.models.mlp import MLPCritic, MLPGenerator
from wgan_jax.models.resnet import ResNetCritic, ResNetGenerator
from wgan_jax.models.upsample_cnn import UpsampleCNNCritic, UpsampleCNNGenerator

NETWORKS: dict[str, tuple[type[nn.Module], type[nn.Module]]] = {  # name -> (generator, critic)
    'dcgan': (DCGANGenerator, DCGANCritic),
    'keras_cnn': (KerasCNNGenerator, KerasCNNCritic),
    'mlp': (MLPGenerator, MLPCritic),
    'resnet': (ResNetGenerator, ResNetCritic),
    'upsample_cnn': (UpsampleCNNGenerator, UpsampleCNNCritic),
}


def make_network(
    player: str, image_shape: tuple[int, ...], network: str, *, dtype: jnp.dtype | None = None, **options: object
) -> nn.Module:
    """Builds one player's network.

    Args:
      player: 'generator' or 'critic'.
      image_shape: (height, width, channels).
      network: a name in NETWORKS.
      dtype: of the network's computation; None: that of inputs and parameters.
      **options: attributes of the network; None means the network's own default.

    Raises:
      UserError: the name is unknown, or the network has no such option.
    """
    if network not in NETWORKS:
        raise UserError(f'config.{player}.network={network!r} is unknown; known networks: {", ".join(sorted(NETWORKS))}.')
    cls = NETWORKS[network][('generator', 'critic').index(player)]
    given = {name: value for name, value in options.items() if value is not None}
    known = {field.name for field in dataclasses.fields(cls)} - {'image_shape', 'dtype', 'parent', 'name'}
    for name in sorted(given.keys() - known):
        raise UserError(
            f'config.{player}.{name}={given[name]!r} does not apply to config.{player}.network={network}, which has only '
            f'{", ".join(sorted(known))}: set it to None.'
        )
    return cls(image_shape=tuple(image_shape), dtype=dtype, **given)
