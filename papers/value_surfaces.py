"""Value surfaces of critics near their optimum, with clipping and with a penalty (Gulrajani et al. 2017, figure 1a).

The generator is fixed: a generated point is a point of the data plus unit noise (section 3.1 of the paper). Networks, batches,
learning rates, clipping and the weight of the penalty are those of the authors' gan_toy.py (igul222/improved_wgan_training,
commit fa66c57); the paper itself names a weight of 10 for all experiments. As there, the penalty is taken between a generated point
and the data point it was made from. Weights start as in PyTorch, with a sixth of the variance of the authors' He initialisation,
and RMSProp is PyTorch's, where theirs is TensorFlow's.

Contour lines do not show how high a surface is, so the title gives its height. A weight of 0.1 is a weak penalty: slopes are well
above 1. The quick size has narrower critics and ten times the learning rates.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from papers.shared.critics import new_critic, train_critic
from papers.shared.output import Options, write_csv
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.optimizers import make_optimizer
from wgan_jax.algorithm.state import GANState
from wgan_jax.data.source import POINT_SHAPE
from wgan_jax.data.toys import TOYS
from wgan_jax.devices import compiling
from wgan_jax.metrics.critic.estimates import score
from wgan_jax.models import make_network
from wgan_jax.runs.files import save_figure
from wgan_jax.sample.plane import draw_surface

_CRITICS = {  # name: (label, optimizer, learning rate, clip_value, gp_weight)
    'clipping': ('weight clipping', 'rmsprop', 5e-5, 0.01, 0.0),
    'penalty': ('gradient penalty', 'adam', 1e-4, None, 0.1),
}
_POINTS = 65_536  # of the data
_SHOWN = 400  # real points in the picture, and as many generated ones
_MEASURED = 8192  # points of each kind on which a trained critic is evaluated
_LIMIT = 2.5  # of the coordinates in the picture


class Size(NamedTuple):
    """How much is trained."""

    num_features: int
    num_updates: int  # of each critic
    batch_size: int
    rate_factor: float  # times the authors' learning rates


QUICK = Size(num_features=128, num_updates=2_000, batch_size=256, rate_factor=10)
FULL = Size(num_features=512, num_updates=50_000, batch_size=256, rate_factor=1)


def draw(options: Options, size: Size | None = None) -> None:
    """Writes value_surfaces.png and value_surfaces.csv, a line for each critic."""
    size = size or (QUICK if options.quick else FULL)
    figure = Figure(figsize=(9, 6.4), layout='constrained')
    rows = []
    for critic, line in zip(_CRITICS, figure.subplots(2, len(TOYS)), strict=True):
        line[0].set_ylabel(_CRITICS[critic][0], fontsize='large')
        for name, axes in zip(TOYS, line, strict=True):
            rows.append({'data': name, 'critic': critic, **_surface(name, critic, size, axes)})
    axes.legend(loc='lower right', markerscale=2)
    save_figure(figure, options.out / 'value_surfaces.png')
    write_csv(options.out / 'value_surfaces.csv', {name: [row[name] for row in rows] for name in rows[0]})
    clipped, penalised = ([row for row in rows if row['critic'] == critic] for critic in _CRITICS)
    print(
        f'The height of a surface, highest minus lowest value in the picture, is {_range(clipped, "span")} with clipping and '
        f'{_range(penalised, "span")} with the penalty. A real point scores higher than a generated one in '
        f'{_range(clipped, "told_apart")} of all pairs with clipping, and in {_range(penalised, "told_apart")} with the penalty.'
    )


def _range(rows: list[dict[str, Any]], name: str) -> str:
    values = [row[name] for row in rows]
    return f'{min(values):.2g} to {max(values):.2g}'


def _surface(name: str, critic: str, size: Size, axes: Axes) -> dict[str, float]:
    """Trains a critic, draws its surface, and returns the numbers of its line."""
    data = jnp.asarray(TOYS[name](_POINTS, 0))
    state, real, fake = compiling.compiled(functools.partial(_trained, critic=critic, size=size))(data)
    score_points = compiling.compiled(lambda points: score(state.critic, points, None))
    low, high = draw_surface(axes, score_points, real[:_SHOWN], fake[:_SHOWN], limit=_LIMIT)
    axes.set(title=f'{name}, height {high - low:.2g}', xticks=[], yticks=[])
    real_scores, fake_scores = np.asarray(score_points(real)), np.sort(score_points(fake.reshape(-1, *POINT_SHAPE)))
    return {
        'low': low,
        'high': high,
        'span': high - low,
        'estimate': float(real_scores.mean() - fake_scores.mean()),
        # Share of the pairs of a real and a generated point in which the real one has the higher score.
        'told_apart': float(np.searchsorted(fake_scores, real_scores).mean() / len(fake_scores)),
    }


def _trained(data: jax.Array, *, critic: str, size: Size) -> tuple[GANState, jax.Array, jax.Array]:
    """A trained critic, and real and generated points to evaluate it on."""
    _, optimizer, learning_rate, clip_value, gp_weight = _CRITICS[critic]
    init_key, train_key, measure_key = jax.random.split(jax.random.key(0), 3)
    network = make_network('critic', POINT_SHAPE, 'mlp', num_features=size.num_features)
    start = new_critic(init_key, network, make_optimizer(optimizer, size.rate_factor * learning_rate, 0.5, 0.9, clip_value))

    def sample(key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
        place_key, noise_key = jax.random.split(key)
        real = data[jax.random.randint(place_key, (count,), 0, len(data))]
        return real.reshape(-1, *POINT_SHAPE), real + jax.random.normal(noise_key, real.shape)

    batch = functools.partial(sample, count=size.batch_size)
    game = {'loss': LOSSES['wasserstein'], 'gp_weight': gp_weight}
    state, _ = train_critic(start, batch, train_key, num_updates=size.num_updates, **game)
    return state, *sample(measure_key, _MEASURED)
