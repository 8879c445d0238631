"""What a critic says of images it was trained on and of others, on 1,000 digits and on all: figure 5b of the WGAN-GP paper.

Source: Gulrajani et al. 2017, figure 5b: WGAN-GP on 1,000 random digits of MNIST, where the negative loss of the critic rises
on those and falls on other digits. They do not show all of MNIST, which is here to compare with. The negative loss is
that without the penalty: the Wasserstein estimate. Validation is MNIST's test split; both are measured with the same samples.

The quick size takes MLPs with two layers of 256 units: the critic of configs/mnist_wgan_gp.py has dropout, which hides the effect.
The generator has batch norm: without, it falls behind, and the negative loss rises on all images alike.
The full size takes upsample_cnn without norm in a critic four times as wide; it is made for a GPU, and has not been run.
"""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure
from ml_collections import ConfigDict

from papers import Options, write_csv
from papers.runs import checkpoints, config_of
from wgan_jax.data import held_out_of, source_of
from wgan_jax.metrics.critic.estimates import estimates
from wgan_jax.runs.files import save_figure

_BLUE, _ORANGE = '#2a6fbb', '#d9762b'
PARTS = {'1,000 digits': 1000 / 60_000, 'all 60,000 digits': 1.0}  # title: share that is trained on
_BATCH = 250  # images that go through the critic together


class Size(NamedTuple):
    """The players, and how long they are trained."""

    num_steps: int
    num_scores: int
    num_measured: int  # images of either kind, at most
    changes: dict[str, Any]  # keys of the config


_MLP = {'network': 'mlp', 'num_features': 256, 'num_layers': 2, 'norm': 'none'}
_UPSAMPLE = {'network': 'upsample_cnn', 'num_features': 64}
_GAME = {'batch_size': 64, 'n_critic': 5}
QUICK = Size(3000, 15, 1000, {**_GAME, 'generator': {**_MLP, 'norm': 'batch'}, 'critic': _MLP})
FULL = Size(50_000, 50, 10_000, {**_GAME, 'generator': {**_UPSAMPLE, 'norm': 'batch'}, 'critic': {**_UPSAMPLE, 'norm': 'none'}})


def draw(options: Options) -> None:
    """Trains a WGAN-GP on each of PARTS, and writes overfitting.png and overfitting.csv."""
    size = QUICK if options.quick else FULL
    found = {}
    for number, (title, fraction) in enumerate(PARTS.items()):
        config = config_of('mnist_wgan_gp', options, num_steps=size.num_steps, num_scores=size.num_scores, **size.changes)
        config.data.fraction = fraction
        run_dir = options.out / 'runs' / f'overfitting_{"quick" if options.quick else "full"}_{number}'
        found[title] = follow(config, run_dir, size.num_measured)
    _picture(found, options)
    titles = np.repeat(list(found), size.num_scores)
    columns = {name: np.concatenate([one[name] for one in found.values()]) for name in ('step', 'training', 'validation')}
    write_csv(options.out / 'overfitting.csv', {'trained_on': titles, **columns})
    print(
        f'Negative critic loss at step {size.num_steps}: '
        + '; '.join(
            f'{one["training"][-1]:.3g} on training and {one["validation"][-1]:.3g} on validation images, with {title} '
            f'(lowest before: {one["training"].min():.3g} and {one["validation"].min():.3g})'
            for title, one in found.items()
        )
        + '.'
    )


def follow(config: ConfigDict, run_dir: Path, num_measured: int) -> dict[str, np.ndarray]:
    """`step`, and the negative critic loss without penalty on `training` and `validation` images, at each checkpoint."""
    parts = [np.asarray(source.load()[:num_measured]) for source in (source_of(config.data), held_out_of(config.data))]
    steps, training, validation = [], [], []
    for step, state in checkpoints(config, run_dir):
        looked = estimates(state, *parts, jax.random.key(1), batch_size=_BATCH, latent_dim=config.latent_dim)
        steps.append(step)
        training.append(looked['estimate_train'])
        validation.append(looked['estimate_held_out'])
    return {'step': np.array(steps), 'training': np.array(training), 'validation': np.array(validation)}


def _picture(found: dict[str, dict[str, np.ndarray]], options: Options) -> None:
    figure = Figure(figsize=(9, 4), layout='constrained')
    panels = figure.subplots(1, len(found), sharey=True)
    for axes, (title, one) in zip(panels, found.items(), strict=True):
        axes.plot(one['step'], one['training'], 'o-', color=_BLUE, label='training images')
        axes.plot(one['step'], one['validation'], 's-', color=_ORANGE, label='validation images')
        axes.set(title=f'trained on {title}', xlabel='step')
        axes.legend()
    panels[0].set(ylabel='negative critic loss, without penalty')
    panels[0].set_ylim(bottom=min(0.0, panels[0].get_ylim()[0]))
    save_figure(figure, options.out / 'overfitting.png')
