"""Which objectives make sense: the loss, what bounds the slopes of the critic, and its optimizer."""

from ml_collections import ConfigDict

from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.errors import UserError
from wgan_jax.runs import extend


def check(config: ConfigDict) -> None:
    """Refuses bounds that exclude each other, and keys of a bound that is not used.

    Raises:
      UserError: one sentence that names the keys and the alternatives.
    """
    bounds = _bounds(config)
    if len(bounds) > 1:
        raise UserError(
            f'{" and ".join(bounds)} bound the slopes of the critic in more than one way: use clip_value for WGAN (gp_weight=0), '
            'gp_weight for WGAN-GP (clip_value=None), or critic.weights with neither (plain in the other cases).'
        )
    if config.critic.power_iterations is not None and config.critic.weights != 'spectral':
        raise UserError(
            f'config.critic.power_iterations={config.critic.power_iterations} needs config.critic.weights=spectral: set it to None.'
        )
    if config.gp_alpha == 'normal' and not config.gp_weight:
        raise UserError('config.gp_alpha=normal needs a gradient penalty: set config.gp_weight=10, or gp_alpha=uniform.')
    if config.gp_one_sided and not config.gp_weight:
        raise UserError('config.gp_one_sided=True needs a gradient penalty: set config.gp_weight=10, or gp_one_sided=False.')


def warnings(config: ConfigDict) -> list[str]:
    """One sentence for each valid but questionable choice."""
    found = []
    optimizer = config.critic_optimizer
    if config.clip_value is not None and optimizer.name != 'rmsprop' and optimizer.b1 > 0:
        found.append(
            f'Clipping with {optimizer.name} and b1={optimizer.b1} for the critic can be unstable '
            '(Arjovsky et al. 2017, section 4): the paper uses rmsprop.'
        )
    if config.clip_value is not None and optimizer.learning_rate > 1e-4:
        found.append(
            f'Clipping with a learning rate of {optimizer.learning_rate} can be unstable '
            '(Arjovsky et al. 2017, section 4): the paper uses 5e-5.'
        )
    if LOSSES[config.loss].penalty is not None and not config.gp_weight:
        found.append(f'The penalty of config.loss={config.loss} is not used: set config.gp_weight to its weight.')
    if ('network', config.critic.network) in extend.OWN:  # what bounds its slopes, and what its activation is, is not known
        return found
    if config.loss == 'wasserstein' and not _bounds(config):
        found.append(
            'Nothing bounds the slopes of this critic, so its estimate can grow without limit: '
            'set config.clip_value, config.gp_weight or config.critic.weights.'
        )
    if config.critic.weights == 'orthogonal' and config.critic.activation not in ('max_min', 'full_sort'):
        found.append(
            'ReLU shrinks the gradients that orthogonal weights keep (Anil et al. 2019, section 3): set '
            'config.critic.activation=max_min.'
        )
    return found


def _bounds(config: ConfigDict) -> list[str]:
    """The keys that bound the slopes of the critic, with their values."""
    used = {
        f'config.clip_value={config.clip_value}': config.clip_value is not None,
        f'config.gp_weight={config.gp_weight}': config.gp_weight > 0 and LOSSES[config.loss].penalty is None,
        f'config.critic.weights={config.critic.weights}': config.critic.weights not in (None, 'plain'),
    }
    return [name for name, is_used in used.items() if is_used]
