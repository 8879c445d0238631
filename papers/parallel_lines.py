"""Earth mover's and Jensen-Shannon distance of two parallel lines (Arjovsky et al. 2017, Example 1 and figure 1).

The data are (0, Z) and the generator gives (theta, Z), with Z uniform in [0, 1]. The paper draws the exact distances: |theta|,
and log 2 wherever theta is not 0. Here they stand beside what networks make of them, as in training: the estimate of a critic, and
the bound log 2 - loss / 2 of a discriminator, each trained long for every theta while the generator stands still.

The critic is kept 1-Lipschitz by the gradient penalty: clipping gives an unknown multiple of the distance (section 3 of the paper).
A penalty of weight lambda lets the slope be 1 + d / (2 lambda) at the distance d, so the estimate lies up to 5 % above it at d = 1.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from papers import Options, write_csv
from papers.critics import critic_loss, generator_gradient, new_critic, train_a_critic
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.optimizers import make_optimizer
from wgan_jax.data.source import POINT_SHAPE
from wgan_jax.devices import compiling
from wgan_jax.models import make_network
from wgan_jax.runs.files import save_figure

_EXACT, _ESTIMATE = '#888888', '#2a6fbb'
_WEIGHT = 10.0  # of the penalty, as in Gulrajani et al. 2017
_MEASURED = 8192  # points that the finished critic is asked about


class Sizes(NamedTuple):
    """How much is trained."""

    num_thetas: int  # on either side of 0, which is one more
    num_features: int
    num_updates: int  # of a critic, for each theta
    batch_size: int


QUICK = Sizes(num_thetas=5, num_features=64, num_updates=600, batch_size=256)
FULL = Sizes(num_thetas=20, num_features=512, num_updates=5_000, batch_size=256)


def draw(options: Options, sizes: Sizes | None = None) -> None:
    """Makes parallel_lines.png and parallel_lines.csv: distances in the units of the plane, divergences in nats."""
    sizes = sizes or (QUICK if options.quick else FULL)
    thetas = np.arange(-sizes.num_thetas, sizes.num_thetas + 1) / sizes.num_thetas
    critics, slopes = _trained(thetas, 'wasserstein', sizes)
    discriminators, pulls = _trained(thetas, 'minimax', sizes)
    columns = {
        'theta': thetas,
        'em': np.abs(thetas),
        'em_estimate': -critics,
        'em_gradient': slopes,
        'js': np.where(thetas == 0, 0.0, math.log(2)),
        'js_estimate': math.log(2) - discriminators / 2,
        'js_gradient': pulls / 2,
    }
    write_csv(options.out / 'parallel_lines.csv', columns)
    _picture(columns, options)
    apart = thetas != 0
    error, slopes = np.abs(columns['em_estimate'] - columns['em']).max(), np.abs(slopes[apart])
    bound, pull = columns['js_estimate'][apart].min(), np.abs(columns['js_gradient'][apart]).max()
    print(
        f"The critic's estimate is within {error:.3f} of |theta|, with a slope of {slopes.min():.2f} to {slopes.max():.2f} beside "
        f'0. The discriminator finds {bound:.3f} nats of at most log 2 = {math.log(2):.3f} at every theta but 0, with a '
        f'slope of {pull:.2g} at most: nothing to learn from.'
    )


def _trained(thetas: np.ndarray, name: str, sizes: Sizes) -> tuple[np.ndarray, np.ndarray]:
    """For each theta the loss of a trained critic of the game `name`, without penalty, and the derivative by theta."""
    game = {'loss': LOSSES[name], 'gp_weight': _WEIGHT if name == 'wasserstein' else 0.0}
    critic = make_network('critic', POINT_SHAPE, 'mlp', num_features=sizes.num_features)
    optimizer = make_optimizer('adam', 1e-3, 0.5, 0.9)

    def lines(key: jax.Array, theta: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
        real, fake = jax.random.uniform(key, (2, count, 1))
        return jnp.concatenate([0 * real, real], axis=1).reshape(-1, *POINT_SHAPE), jnp.concatenate(
            [0 * fake + theta, fake], axis=1
        )

    def one(theta: jax.Array) -> tuple[jax.Array, jax.Array]:
        init_key, train_key, measure_key = jax.random.split(jax.random.key(0), 3)
        sample = functools.partial(lines, theta=theta, count=sizes.batch_size)
        state, _ = train_a_critic(new_critic(init_key, critic, optimizer), sample, train_key, num_updates=sizes.num_updates, **game)
        real, latents = lines(measure_key, theta, _MEASURED)
        gradient = generator_gradient(state, latents, LOSSES[name])
        return critic_loss(state, real, latents, LOSSES[name]), gradient['shift'][0, 0, 0, 0]

    return jax.tree.map(np.asarray, compiling.compiled(functools.partial(jax.lax.map, one))(jnp.asarray(thetas, jnp.float32)))


def _picture(columns: dict[str, np.ndarray], options: Options) -> None:
    """Distances above, their derivatives below; the exact ones as lines, those of networks as points."""
    figure = Figure(figsize=(9, 5.6), layout='constrained')
    ((em, js), (em_slope, js_slope)) = figure.subplots(2, 2, sharex=True)
    thetas, line = columns['theta'], np.linspace(-1, 1, 201)
    em.plot(line, np.abs(line), color=_EXACT, label=r'exact: $|\theta|$')
    em.plot(thetas, columns['em_estimate'], 'o', color=_ESTIMATE, label='estimate of a trained critic')
    em.set(ylabel='distance', title="Earth mover's distance")
    js.axhline(math.log(2), color=_EXACT, label=r'exact: $\log\,2$, and 0 at $\theta = 0$')
    js.plot(0, math.log(2), 'o', color=_EXACT, markerfacecolor='white', zorder=3)
    js.plot(0, 0, 'o', color=_EXACT, markersize=10, markerfacecolor='none')
    js.plot(thetas, columns['js_estimate'], 'o', color=_ESTIMATE, markersize=5, label='bound of a trained discriminator')
    js.set(ylabel='nats', title='Jensen-Shannon divergence')
    for side in (line[line < 0], line[line > 0]):
        em_slope.plot(side, np.sign(side), color=_EXACT)
        js_slope.plot(side, 0 * side, color=_EXACT)
    em_slope.plot(thetas, columns['em_gradient'], 'o', color=_ESTIMATE)
    js_slope.plot(thetas, columns['js_gradient'], 'o', color=_ESTIMATE)
    for above, below in ((em, em_slope), (js, js_slope)):
        below.set(xticks=np.linspace(-1, 1, 5), xlabel=r'$\theta$', ylabel=r'derivative by $\theta$', ylim=(-1.3, 1.3))
        above.legend(loc='center' if above is js else 'upper center')
    save_figure(figure, options.out / 'parallel_lines.png')
