"""The networks, by name. Each name has a generator and a critic.

    generator(latents, train=..., axis_name=...)    latents [B, latent_dim] -> images [B, H, W, C] in [-1, 1]
    critic(images, train=..., axis_name=...)        images [B, H, W, C] in [-1, 1] -> scores [B]

`train` turns on dropout and the use of the batch's own statistics. `axis_name` is the axis of a pmap over which batch statistics
are averaged, or None. Images and scores have at least float32 precision, whatever the dtype of the network.

Attributes that several networks have:

    image_shape     (height, width, channels)
    num_features    the width: filters, or units, of the layer that the network's docstring names
    norm            'batch', 'layer' or 'none'; see layers.normalize
    dtype           of the computation, except for a critic's last layer; None: that of inputs and parameters
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
      dtype: see above.
      **options: other attributes of the network; None stands for the network's default.

    Raises:
      UserError: the name is unknown, the network has no such option, or options do not go together.
    """
    if network not in NETWORKS:
        raise UserError(f'config.{player}.network={network!r} is unknown; known networks: {", ".join(sorted(NETWORKS))}.')
    cls = NETWORKS[network][('generator', 'critic').index(player)]
    given = {name: value for name, value in options.items() if value is not None}
    known = {field.name for field in dataclasses.fields(cls)} - {'image_shape', 'dtype', 'parent', 'name'}
    for name in sorted(given.keys() - known):
        has = f'has only {", ".join(sorted(known))}' if known else 'has no options'
        raise UserError(
            f'config.{player}.{name}={given[name]!r} does not apply to config.{player}.network={network}, which {has}: set it to '
            'None.'
        )
    made = cls(image_shape=tuple(image_shape), dtype=dtype, **given)
    if getattr(made, 'weights', 'plain') != 'plain' and getattr(made, 'norm', 'none') != 'none':
        raise UserError(
            f'config.{player}.weights={made.weights} bounds slopes only without normalisation, which can stretch its input: set '
            f'config.{player}.norm=none.'
        )
    if getattr(made, 'activation', None) == 'max_min' and getattr(made, 'num_features', 0) % 2:
        raise UserError(
            f'config.{player}.activation=max_min sorts pairs of features: config.{player}.num_features={made.num_features} must be '
            'even.'
        )
    return made
