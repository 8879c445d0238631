"""Value surfaces of critics at their optimum, clipping against penalty (Gulrajani et al. 2017, section 3.1 and figure 1a).

The generator stands still: each of its points is a point of the data and unit noise. Networks, batches, optimizers, clipping and
the weight of the penalty are those of the authors' gan_toy.py (igul222/improved_wgan_training, commit fa66c57). There each
generated point is paired with the point it was made from, and so it is here: it decides where the penalty looks.

Contour lines do not say how high a surface is, so that stands above each. A weight of 0.1 is a weak penalty: slopes are well above
1. The quick size has narrower critics and ten times the learning rates.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from papers import Options, write_csv
from papers.critics import new_critic, train_a_critic
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

_KINDS = {  # critic: (label, optimizer, its learning rate, clip_value, gp_weight)
    'clipping': ('weight clipping', 'rmsprop', 5e-5, 0.01, 0.0),
    'penalty': ('gradient penalty', 'adam', 1e-4, None, 0.1),
}
_POINTS = 65_536  # of the data
_SHOWN = 400  # of them in the picture, and as many generated
_MEASURED = 8192  # by which the finished critic is judged
_LIMIT = 2.5  # of the picture


class Sizes(NamedTuple):
    """How much is trained."""

    num_features: int
    num_updates: int  # of each critic
    batch_size: int
    haste: float  # by which the authors' learning rates are multiplied


QUICK = Sizes(num_features=128, num_updates=2_000, batch_size=256, haste=10)
FULL = Sizes(num_features=512, num_updates=50_000, batch_size=256, haste=1)


def draw(options: Options, sizes: Sizes | None = None) -> None:
    """Makes value_surfaces.png and value_surfaces.csv, a line for each critic."""
    sizes = sizes or (QUICK if options.quick else FULL)
    figure = Figure(figsize=(9, 6.4), layout='constrained')
    rows = []
    for kind, line in zip(_KINDS, figure.subplots(2, len(TOYS)), strict=True):
        line[0].set_ylabel(_KINDS[kind][0], fontsize='large')
        for name, axes in zip(TOYS, line, strict=True):
            rows.append({'data': name, 'critic': kind, **_one(name, kind, sizes, axes)})
    axes.legend(loc='lower right', markerscale=2)
    save_figure(figure, options.out / 'value_surfaces.png')
    write_csv(options.out / 'value_surfaces.csv', {name: [row[name] for row in rows] for name in rows[0]})
    clipped, penalised = ([row for row in rows if row['critic'] == kind] for kind in _KINDS)
    print(
        f'From its lowest to its highest value in the picture a clipped critic spans {_span(clipped, "span")}, a penalised one '
        f'{_span(penalised, "span")}. It gives a real point more than a generated one in {_span(clipped, "told_apart")} of all '
        f'pairs, the penalised one in {_span(penalised, "told_apart")}: its surface has the shape of the data.'
    )


def _span(rows: list[dict[str, float]], name: str) -> str:
    values = [row[name] for row in rows]
    return f'{min(values):.2g} to {max(values):.2g}'


def _one(name: str, kind: str, sizes: Sizes, axes: Axes) -> dict[str, float]:
    """Trains one critic, draws it, and says what it is like."""
    state, real, fake = compiling.compiled(functools.partial(_trained, kind=kind, sizes=sizes))(jnp.asarray(TOYS[name](_POINTS, 0)))
    rate = compiling.compiled(lambda points: score(state.critic, points, None))
    low, high = draw_surface(axes, rate, real[:_SHOWN], fake[:_SHOWN], limit=_LIMIT)
    axes.set(title=f'{name}, height {high - low:.2g}', xticks=[], yticks=[])
    real_scores, fake_scores = np.asarray(rate(real)), np.sort(rate(fake.reshape(-1, *POINT_SHAPE)))
    return {
        'low': low,
        'high': high,
        'span': high - low,
        'estimate': float(real_scores.mean() - fake_scores.mean()),
        'told_apart': float(np.searchsorted(fake_scores, real_scores).mean() / len(fake_scores)),
    }


def _trained(data: jax.Array, *, kind: str, sizes: Sizes) -> tuple[GANState, jax.Array, jax.Array]:
    """A trained critic, and points of either kind that it has not seen in pairs."""
    _, optimizer, learning_rate, clip_value, gp_weight = _KINDS[kind]
    init_key, train_key, measure_key = jax.random.split(jax.random.key(0), 3)
    critic = make_network('critic', POINT_SHAPE, 'mlp', num_features=sizes.num_features)
    start = new_critic(init_key, critic, make_optimizer(optimizer, sizes.haste * learning_rate, 0.5, 0.9, clip_value))

    def sample(key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
        place_key, noise_key = jax.random.split(key)
        real = data[jax.random.randint(place_key, (count,), 0, len(data))]
        return real.reshape(-1, *POINT_SHAPE), real + jax.random.normal(noise_key, real.shape)

    batch = functools.partial(sample, count=sizes.batch_size)
    state, _ = train_a_critic(
        start, batch, train_key, num_updates=sizes.num_updates, loss=LOSSES['wasserstein'], gp_weight=gp_weight
    )
    return state, *sample(measure_key, _MEASURED)
