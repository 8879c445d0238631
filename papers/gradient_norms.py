"""Gradients by layer and weights of deep critics on the Swiss roll, with clipping and with a penalty: figure 1b of WGAN-GP.

Source: Gulrajani et al. 2017, section 3 and figure 1b, and the authors' gan_toy.py for what these leave open. Generator and critic
are ReLU MLPs of 12 layers without norms, with He's initialisation. Both are trained, either with weights clipped at c by RMSProp
5e-5, or with a penalty of weight 10 by Adam 1e-4. The gradient is that of the critic's loss without penalty.

The quick size has 128 units per layer instead of 512, and 400 rounds; after these the weights under the penalty still have their
initial distribution. The full size is for a GPU and has not been run. Norms below 1e-17 are not drawn.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from papers.shared.output import Options, write_csv
from wgan_jax.algorithm import steps
from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.algorithm.optimizers import make_optimizer
from wgan_jax.algorithm.state import GANState, PlayerState, create_state
from wgan_jax.data import toys
from wgan_jax.data.plan import index_plan
from wgan_jax.data.source import POINT_SHAPE
from wgan_jax.devices import compiling
from wgan_jax.metrics.critic.lipschitz import lipschitz
from wgan_jax.models import make_network
from wgan_jax.runs.files import save_figure
from wgan_jax.sample.colours import BLUE, ORANGE, RED, YELLOW

METHODS = {  # name: c of weight clipping, None for the penalty
    'clipping, c = 0.1': 0.1,
    'clipping, c = 0.01': 0.01,
    'clipping, c = 0.001': 0.001,
    'gradient penalty': None,
}
_COLOURS = dict(zip(METHODS, (RED, ORANGE, YELLOW, BLUE), strict=True))
_LATENT_DIM, _POINTS, _N_CRITIC, _GP_WEIGHT = 2, 65_536, 5, 10.0
_MEASURED = 4096  # points on which a trained critic is evaluated
_LEAST = 1e-17  # smaller norms lose digits or become 0, because their squares underflow in float32


class Size(NamedTuple):
    """How large the players are, and how long they are trained."""

    num_layers: int  # hidden layers of each player
    num_features: int
    batch_size: int
    num_rounds: int


QUICK = Size(num_layers=12, num_features=128, batch_size=128, num_rounds=400)
FULL = Size(num_layers=12, num_features=512, batch_size=256, num_rounds=20_000)


def draw(options: Options, size: Size | None = None) -> None:
    """Trains a critic by each of METHODS, and writes gradient_norms.png, gradient_norms.csv and gradient_norms_weights.csv."""
    size = size or (QUICK if options.quick else FULL)
    points = toys.TOYS['swiss_roll'](_POINTS, 0).reshape(-1, *POINT_SHAPE)
    panels = {name: measure(train(size, clip_value, points), clip_value, points, size) for name, clip_value in METHODS.items()}
    _picture(panels, options)
    layers = np.arange(size.num_layers + 1, -1, -1)  # from the output layer to the first; 0 is the point itself
    norms = {name: found['gradient_norms'] for name, found in panels.items()}
    write_csv(options.out / 'gradient_norms.csv', {'layer': layers, **norms})
    weights = {}
    for name, found in panels.items():
        weights |= {f'{name}: left edge': found['weight_edges'][:-1], f'{name}: weights': found['weight_counts']}
    write_csv(options.out / 'gradient_norms_weights.csv', weights)
    factors = {name: of_layers[-2] / of_layers[0] for name, of_layers in norms.items()}
    ends = {name: found['weight_counts'][[0, -1]].sum() / found['weight_counts'].sum() for name, found in panels.items()}
    print(
        'From the last layer to the first, the gradient changes by a factor of '
        + ', '.join(f'{factor:.2g} ({name})' for name, factor in factors.items())
        + '. The share of the weights in the two outermost of 50 bins is '
        + ', '.join(f'{100 * share:.2g} % ({name})' for name, share in ends.items())
        + '.'
    )


def train(size: Size, clip_value: float | None, points: np.ndarray) -> GANState:
    """Both players after all rounds; points [N, 1, 1, 2]."""
    layers = {'num_layers': size.num_layers, 'num_features': size.num_features}
    generator = make_network('generator', POINT_SHAPE, 'mlp', **layers, bounded=False)
    critic = make_network('critic', POINT_SHAPE, 'mlp', **layers)
    name, rate = ('adam', 1e-4) if clip_value is None else ('rmsprop', 5e-5)
    optimizer = {'name': name, 'learning_rate': rate, 'b1': 0.5, 'b2': 0.9}
    optimizers = make_optimizer(**optimizer), make_optimizer(**optimizer, clip_value=clip_value)
    init_key, train_key = jax.random.split(jax.random.key(0))
    state = _with_he_initialisation(create_state(init_key, generator, critic, *optimizers, latent_dim=_LATENT_DIM))
    gp_weight = _GP_WEIGHT if clip_value is None else 0.0
    indices = index_plan(0, 0, size.num_rounds, _N_CRITIC, size.batch_size, len(points))

    def run(state: GANState, points: jax.Array, indices: jax.Array) -> GANState:
        settings = {'loss': LOSSES['wasserstein'], 'latent_dim': _LATENT_DIM, 'gp_weight': gp_weight}
        sums, rounds = steps.zero_sums(gp_weight), jnp.int32(len(indices))
        return steps.train_rounds(state, sums, points, indices, rounds, train_key, image_shape=POINT_SHAPE, **settings)[0]

    return compiling.compiled(run)(state, points.reshape(len(points), -1), indices)


def measure(state: GANState, clip_value: float | None, points: np.ndarray, size: Size) -> dict[str, np.ndarray]:
    """The results of lipschitz.lipschitz on 4,096 of the points."""
    found = lipschitz(
        state,
        points[:_MEASURED],
        jax.random.key(1),
        batch_size=size.batch_size,
        latent_dim=_LATENT_DIM,
        loss=LOSSES['wasserstein'],
        clip_value=clip_value,
    )
    return jax.device_get(found)


def _with_he_initialisation(state: GANState) -> GANState:
    """Rescales kernels to U(-sqrt(6 / fan_in), sqrt(6 / fan_in)) and sets biases to 0 (He et al. 2015).

    The networks start with PyTorch's U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)).
    """

    def leaf(value: jax.Array) -> jax.Array:
        return value * math.sqrt(6.0) if value.ndim == 2 else jnp.zeros_like(value)

    def player(state: PlayerState) -> PlayerState:
        return state.replace(params=jax.tree.map(leaf, state.params))

    return state.replace(generator=player(state.generator), critic=player(state.critic))


def _picture(panels: dict[str, dict[str, np.ndarray]], options: Options) -> None:
    figure = Figure(figsize=(11, 4.8), layout='constrained')
    grid = figure.add_gridspec(2, 4)
    axes = figure.add_subplot(grid[:, :2])
    for name, found in panels.items():
        norms = found['gradient_norms'][:-1]
        shown = np.where(norms > _LEAST, norms, np.nan)
        axes.plot(np.arange(len(norms), 0, -1), shown, 'o-', color=_COLOURS[name], label=name)
    axes.invert_xaxis()
    axes.set(yscale='log', xlabel='layer of the critic, from the last to the first', ylabel='norm of the gradient (logarithmic)')
    axes.set_title("Gradient of the critic's loss at each layer")
    axes.legend()
    for place, (name, found) in enumerate(panels.items()):
        axes = figure.add_subplot(grid[place // 2, 2 + place % 2])
        counts, edges = found['weight_counts'], found['weight_edges']
        axes.stairs(100 * counts / counts.sum(), edges, fill=True, color=_COLOURS[name])
        axes.set(title=name, xlabel='weight', ylabel='share in %')
        axes.locator_params(axis='x', nbins=3)
    save_figure(figure, options.out / 'gradient_norms.png')
