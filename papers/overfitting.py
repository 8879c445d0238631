"""A critic's loss on images it was trained on and on others, for 1,000 digits and for all of MNIST: figure 5b of WGAN-GP.

Source: Gulrajani et al. 2017, figure 5b: WGAN-GP on 1,000 random digits of MNIST; the critic's negative loss rises on these and
falls on others. The paper does not show all of MNIST, which is added for comparison. The negative loss is taken without penalty, so
it is the Wasserstein estimate. Validation images are MNIST's test split; both kinds are compared with the same samples.

The quick size uses MLPs with two layers of 256 units, because the critic of configs/mnist_wgan_gp.py has dropout, which hides the
effect. The generator has batch norm; without it, it falls behind, and the negative loss rises on all images. The full size uses
upsample_cnn, with a critic four times as wide and without norm; it is for a GPU and has not been run.
"""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

from papers.shared.output import Options, write_csv
from papers.shared.runs import checkpoints, experiment_of, run_dir
from wgan_jax.metrics.critic.estimates import estimates
from wgan_jax.runs.experiment import Experiment
from wgan_jax.runs.files import save_figure
from wgan_jax.sample.colours import BLUE, ORANGE

PARTS = {'1,000 digits': 1000 / 60_000, 'all 60,000 digits': 1.0}  # title: share of MNIST that is trained on
_BATCH = 250  # images that go through the critic together


class Size(NamedTuple):
    """The players, and how long they are trained."""

    num_steps: int
    num_scores: int
    num_measured: int  # images of each kind, at most
    changes: dict[str, Any]  # keys of the config


_MLP = {'network': 'mlp', 'num_features': 256, 'num_layers': 2, 'norm': 'none'}
_UPSAMPLE = {'network': 'upsample_cnn', 'num_features': 64}
_GAME = {'batch_size': 64, 'n_critic': 5}
QUICK = Size(3000, 15, 1000, {**_GAME, 'generator': {**_MLP, 'norm': 'batch'}, 'critic': _MLP})
FULL = Size(50_000, 50, 10_000, {**_GAME, 'generator': {**_UPSAMPLE, 'norm': 'batch'}, 'critic': {**_UPSAMPLE, 'norm': 'none'}})


def draw(options: Options, size: Size | None = None) -> None:
    """Trains a WGAN-GP on each of PARTS, and writes overfitting.png and overfitting.csv."""
    size = size or (QUICK if options.quick else FULL)
    found = {}
    for number, (title, fraction) in enumerate(PARTS.items()):
        changes = {**size.changes, 'data': {'fraction': fraction}}
        experiment = experiment_of('mnist_wgan_gp', options, num_steps=size.num_steps, num_scores=size.num_scores, **changes)
        found[title] = follow(experiment, run_dir(options, 'overfitting', number), size.num_measured)
    _picture(found, options)
    titles = np.repeat(list(found), size.num_scores)
    columns = {name: np.concatenate([one[name] for one in found.values()]) for name in ('step', 'training', 'validation')}
    write_csv(options.out / 'overfitting.csv', {'trained_on': titles, **columns})
    print(f'Negative critic loss at step {size.num_steps}:')
    for title, one in found.items():
        print(
            f'trained on {title}: {one["training"][-1]:.3g} on training images and {one["validation"][-1]:.3g} on validation '
            f'images; the lowest values are {one["training"].min():.3g} and {one["validation"].min():.3g}.'
        )


def follow(experiment: Experiment, directory: Path, num_measured: int) -> dict[str, np.ndarray]:
    """`step`, and the negative critic loss without penalty on `training` and `validation` images, at each checkpoint."""
    source = experiment.data.source
    parts = [np.asarray(part.load()[:num_measured]) for part in (source, source.held_out())]
    settings = {'batch_size': _BATCH, 'latent_dim': experiment.latent_dim}
    found = [(step, estimates(state, *parts, jax.random.key(1), **settings)) for step, state in checkpoints(experiment, directory)]
    return {
        'step': np.array([step for step, _ in found]),
        'training': np.array([one['estimate_train'] for _, one in found]),
        'validation': np.array([one['estimate_held_out'] for _, one in found]),
    }


def _picture(found: dict[str, dict[str, np.ndarray]], options: Options) -> None:
    figure = Figure(figsize=(9, 4), layout='constrained')
    panels = figure.subplots(1, len(found), sharey=True)
    for axes, (title, one) in zip(panels, found.items(), strict=True):
        axes.plot(one['step'], one['training'], 'o-', color=BLUE, label='training images')
        axes.plot(one['step'], one['validation'], 's-', color=ORANGE, label='validation images')
        axes.set(title=f'trained on {title}', xlabel='step')
        axes.legend()
    panels[0].set(ylabel='negative critic loss, without penalty')
    panels[0].set_ylim(bottom=min(0.0, panels[0].get_ylim()[0]))
    save_figure(figure, options.out / 'overfitting.png')
