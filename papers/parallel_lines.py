"""Earth mover's and Jensen-Shannon distance of two parallel lines (Arjovsky et al. 2017, Example 1 and figure 1).

The data are (0, Z) and the generator makes (theta, Z), with Z uniform in [0, 1]. The paper draws the exact distances: |theta|, and
log 2 wherever theta is not 0. This figure adds what networks find: the estimate of a critic, and the bound log 2 - loss / 2 of a
discriminator, each trained for a long time at every theta while the generator is fixed.

The critic has a gradient penalty, because clipping gives an unknown multiple of the distance (section 3 of the paper). A penalty of
weight lambda allows a slope of 1 + d / (2 lambda) at the distance d, so the estimate is up to 5 % too high at d = 1.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from papers.shared.critics import critic_loss, generator_gradient, new_critic, train_critic
from papers.shared.output import Options, write_csv
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.noise import ImageNoise
from wgan_jax.algorithm.optimizers import make_optimizer
from wgan_jax.data.source import POINT_SHAPE
from wgan_jax.devices import compiling
from wgan_jax.models import make_network
from wgan_jax.runs.files import save_figure
from wgan_jax.sample.colours import BLUE, GREY

_GP_WEIGHT = 10.0  # as in Gulrajani et al. 2017
_MEASURED = 8192  # points on which a trained critic is evaluated


class Size(NamedTuple):
    """How much is trained."""

    num_thetas: int  # on either side of 0
    num_features: int
    num_updates: int  # of a critic, for each theta
    batch_size: int


QUICK = Size(num_thetas=5, num_features=64, num_updates=600, batch_size=256)
FULL = Size(num_thetas=20, num_features=512, num_updates=5_000, batch_size=256)


def draw(options: Options, size: Size | None = None) -> None:
    """Writes parallel_lines.png and parallel_lines.csv: distances in the units of the plane, divergences in nats."""
    size = size or (QUICK if options.quick else FULL)
    thetas = np.arange(-size.num_thetas, size.num_thetas + 1) / size.num_thetas
    critic_losses, critic_gradients = trained(thetas, 'wasserstein', size)
    discriminator_losses, discriminator_gradients = trained(thetas, 'minimax', size)
    columns = {
        'theta': thetas,
        'em': np.abs(thetas),
        'em_estimate': -critic_losses,
        'em_gradient': critic_gradients,
        'js': np.where(thetas == 0, 0.0, math.log(2)),
        'js_estimate': math.log(2) - discriminator_losses / 2,
        'js_gradient': discriminator_gradients / 2,
    }
    write_csv(options.out / 'parallel_lines.csv', columns)
    _picture(columns, options)
    apart = thetas != 0
    error, slopes = np.abs(columns['em_estimate'] - columns['em']).max(), np.abs(critic_gradients[apart])
    bound, slope = columns['js_estimate'][apart].min(), np.abs(columns['js_gradient'][apart]).max()
    print(
        f"The critic's estimate is within {error:.3f} of |theta|; at theta other than 0 its slope is {slopes.min():.2f} to "
        f"{slopes.max():.2f}. There the discriminator's bound is at least {bound:.3f} nats (log 2 = {math.log(2):.3f}) and its "
        f'slope at most {slope:.2g}, from which a generator cannot learn.'
    )


def trained(thetas: np.ndarray, name: str, size: Size, image_noise: ImageNoise | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The losses of trained critics, without penalty, and of each the derivative of the generator's loss by theta.

    Args:
      thetas: [N].
      name: of the loss.
      size: how much is trained.
      image_noise: on the points of both lines.
    """
    game = {'loss': LOSSES[name], 'gp_weight': _GP_WEIGHT if name == 'wasserstein' else 0.0, 'image_noise': image_noise}
    critic = make_network('critic', POINT_SHAPE, 'mlp', num_features=size.num_features)
    optimizer = make_optimizer('adam', 1e-3, 0.5, 0.9)

    def lines(key: jax.Array, theta: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
        real, fake = jax.random.uniform(key, (2, count, 1))
        real = jnp.concatenate([0 * real, real], axis=1)
        return real.reshape(-1, *POINT_SHAPE), jnp.concatenate([0 * fake + theta, fake], axis=1)

    def one(theta: jax.Array) -> tuple[jax.Array, jax.Array]:
        init_key, train_key, measure_key, noise_key = jax.random.split(jax.random.key(0), 4)
        sample = functools.partial(lines, theta=theta, count=size.batch_size)
        state, _ = train_critic(new_critic(init_key, critic, optimizer), sample, train_key, num_updates=size.num_updates, **game)
        real, latents = lines(measure_key, theta, _MEASURED)
        if image_noise is not None:  # the generator adds a shift to its latents, so noise on them is noise on its points
            keys = jax.random.split(noise_key, (2, _MEASURED))
            real, latents = (image_noise.add(points, own, state.step) for points, own in zip((real, latents), keys, strict=True))
        gradient = generator_gradient(state, latents, LOSSES[name])
        return critic_loss(state, real, latents, LOSSES[name]), gradient['shift'][0, 0, 0, 0]

    return jax.tree.map(np.asarray, compiling.compiled(functools.partial(jax.lax.map, one))(jnp.asarray(thetas, jnp.float32)))


def _picture(columns: dict[str, np.ndarray], options: Options) -> None:
    """Distances above, their derivatives below; lines are exact, dots are from networks."""
    figure = Figure(figsize=(9, 5.6), layout='constrained')
    ((em, js), (em_slope, js_slope)) = figure.subplots(2, 2, sharex=True)
    thetas, line = columns['theta'], np.linspace(-1, 1, 201)
    em.plot(line, np.abs(line), color=GREY, label=r'exact: $|\theta|$')
    em.plot(thetas, columns['em_estimate'], 'o', color=BLUE, label='estimate of a trained critic')
    em.set(ylabel='distance', title="Earth mover's distance")
    js.axhline(math.log(2), color=GREY, label=r'exact: $\log\,2$, and 0 at $\theta = 0$')
    js.plot(0, math.log(2), 'o', color=GREY, markerfacecolor='white', zorder=3)
    js.plot(0, 0, 'o', color=GREY, markersize=10, markerfacecolor='none')
    js.plot(thetas, columns['js_estimate'], 'o', color=BLUE, markersize=5, label='bound of a trained discriminator')
    js.set(ylabel='nats', title='Jensen-Shannon divergence')
    for side in (line[line < 0], line[line > 0]):
        em_slope.plot(side, np.sign(side), color=GREY)
        js_slope.plot(side, 0 * side, color=GREY)
    em_slope.plot(thetas, columns['em_gradient'], 'o', color=BLUE)
    js_slope.plot(thetas, columns['js_gradient'], 'o', color=BLUE)
    for above, below in ((em, em_slope), (js, js_slope)):
        below.set(xticks=np.linspace(-1, 1, 5), xlabel=r'$\theta$', ylabel=r'derivative by $\theta$', ylim=(-1.3, 1.3))
        above.legend(loc='center' if above is js else 'upper center')
    save_figure(figure, options.out / 'parallel_lines.png')
