"""A discriminator and critics near their optimum between two Gaussians (Arjovsky et al. 2017, section 3 and figure 2).

The data are N(-3, 1) and the generator makes N(3, 1); the paper does not give the positions of its two Gaussians. With a fixed
generator, a discriminator D that is trained for a long time approaches p / (p + q). This is flat under both densities: log(1 - D)
has no gradient where the generated points are. The gradient of the trained D is smaller than the exact one, since no sample so far
out contradicts it. The gradients of critics do not vanish anywhere.

The paper's critic is clipped, so its scale is unknown; it is drawn divided by its mean slope between the two means. It is trained
with Adam, for speed, and not with the RMSProp that the paper advises. The second critic has a gradient penalty and is drawn as it
is. The penalty is one-sided: on a line a slope can only be positive or negative, so a two-sided penalty has a second optimum, in
which the real points get the lower scores.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
import scipy.stats
from matplotlib.figure import Figure

from papers.shared.critics import new_critic, train_critic
from papers.shared.output import Options, write_csv
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.optimizers import make_optimizer
from wgan_jax.devices import compiling
from wgan_jax.metrics.critic.estimates import score
from wgan_jax.models import make_network
from wgan_jax.runs.files import save_figure
from wgan_jax.sample.colours import DARK_GREY, FAKE, GREEN, PURPLE, REAL

_SHAPE = (1, 1, 1)  # a number as an image
_MEAN = 3.0  # of the generated points; the mean of the data is -3
_CRITICS = {  # name: (loss, clip_value, gp_weight)
    'discriminator': ('minimax', None, 0.0),
    'clipped': ('wasserstein', 0.01, 0.0),
    'penalised': ('wasserstein', None, 10.0),
}


class Size(NamedTuple):
    """How much is trained."""

    num_features: int
    num_updates: int  # of each critic
    batch_size: int


QUICK = Size(num_features=64, num_updates=2_000, batch_size=256)
FULL = Size(num_features=512, num_updates=10_000, batch_size=1024)


def draw(options: Options, size: Size | None = None) -> None:
    """Writes two_gaussians.png and two_gaussians.csv: densities, values and gradients along the line."""
    size = size or (QUICK if options.quick else FULL)
    x = np.linspace(-8, 8, 321)
    measured = {name: compiling.compiled(functools.partial(_trained, name=name, size=size)) for name in _CRITICS}
    (logit, logit_slope), *critics = (
        (np.asarray(values, np.float64) for values in measure(jnp.asarray(x, jnp.float32))) for measure in measured.values()
    )
    left, middle, right = (int(np.argmin(np.abs(x - place))) for place in (-_MEAN, 0, _MEAN))
    columns = {
        'x': x,
        'real': scipy.stats.norm.pdf(x, -_MEAN),
        'generated': scipy.stats.norm.pdf(x, _MEAN),
        'discriminator': scipy.special.expit(logit),
        'discriminator_exact': scipy.special.expit(-2 * _MEAN * x),
        # The absolute derivative of log(1 - D) is D times that of the logit.
        'discriminator_gradient': np.abs(scipy.special.expit(logit) * logit_slope),
        'discriminator_gradient_exact': 2 * _MEAN * scipy.special.expit(-2 * _MEAN * x),
    }
    for name, (value, slope) in zip(('clipped', 'penalised'), critics, strict=True):
        scale = 1.0 if name == 'penalised' else (value[left] - value[right]) / (2 * _MEAN)
        columns |= {name: (value - value[middle]) / scale, f'{name}_gradient': np.abs(slope / scale)}
    write_csv(options.out / 'two_gaussians.csv', columns)
    _picture(columns, options)
    near = np.abs(x - _MEAN) <= 2
    clipped, penalised = (columns[f'{name}_gradient'][near].min() for name in ('clipped', 'penalised'))
    error = np.abs(columns['discriminator'] - columns['discriminator_exact']).max()
    trained, exact = (columns[name][right] for name in ('discriminator_gradient', 'discriminator_gradient_exact'))
    print(
        f'The discriminator is within {error:.2f} of p / (p + q). At x = {_MEAN:g}, in the middle of the generated points, the '
        f'gradient of log(1 - D) is {trained:.1g} (exactly {exact:.1g}). From {_MEAN - 2:g} to {_MEAN + 2:g} the gradient of the '
        f'clipped critic is at least {clipped:.2g}, and the gradient of the penalised critic at least {penalised:.2g}.'
    )


def _trained(x: jax.Array, *, name: str, size: Size) -> tuple[jax.Array, jax.Array]:
    """The scores of a trained critic at x [N], and their derivatives."""
    loss, clip_value, gp_weight = _CRITICS[name]
    init_key, train_key = jax.random.split(jax.random.key(0))
    critic = make_network('critic', _SHAPE, 'mlp', num_features=size.num_features)
    start = new_critic(init_key, critic, make_optimizer('adam', 1e-3, 0.5, 0.9, clip_value))

    def sample(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        real, fake = jax.random.normal(key, (2, size.batch_size, 1))
        return (real - _MEAN).reshape(-1, *_SHAPE), fake + _MEAN

    state, _ = train_critic(
        start, sample, train_key, num_updates=size.num_updates, loss=LOSSES[loss], gp_weight=gp_weight, gp_one_sided=True
    )
    return jax.vmap(jax.value_and_grad(lambda x: score(state.critic, x.reshape(1, *_SHAPE), None)[0]))(x)


def _picture(columns: dict[str, np.ndarray], options: Options) -> None:
    """The discriminator, the critics, and all gradients, each over the two densities."""
    figure = Figure(figsize=(11, 3.7), layout='constrained')
    values, critics, gradients = figure.subplots(1, 3)
    x = columns['x']
    values.plot(x, columns['discriminator'], color=GREEN, label='D, trained')
    values.plot(x, columns['discriminator_exact'], '--', color='black', linewidth=1, label='p / (p + q)')
    critics.plot(x, columns['clipped'], color=PURPLE, label='clipped, scaled')
    critics.plot(x, columns['penalised'], color=DARK_GREY, label='penalised')
    gradients.plot(x, columns['discriminator_gradient'], color=GREEN, label='log(1 - D), trained')
    gradients.plot(x, columns['discriminator_gradient_exact'], '--', color='black', linewidth=1, label='log(1 - D), exact')
    gradients.plot(x, columns['clipped_gradient'], color=PURPLE, label='clipped critic')
    gradients.plot(x, columns['penalised_gradient'], color=DARK_GREY, label='penalised critic')
    gradients.set(yscale='log', ylim=(1e-15, 1e3))
    for axes, title in zip((values, critics, gradients), ('Discriminator', 'WGAN critic', 'Size of the gradient'), strict=True):
        axes.set(title=title, xlabel='x')
        densities = axes.twinx()
        for name, mean, colour in (('real', -_MEAN, REAL), ('generated', _MEAN, FAKE)):
            densities.fill_between(x, columns[name], color=colour, alpha=0.25, linewidth=0)
            densities.text(mean, 0.1, name, color=colour, ha='center')
        densities.set(ylim=(0, 1.2), yticks=[])
        axes.set_zorder(densities.get_zorder() + 1)
        axes.patch.set_visible(False)
        axes.legend(fontsize='small', loc='center left' if axes is gradients else 'upper right')
    save_figure(figure, options.out / 'two_gaussians.png')
