"""Samples of three generators, each trained as a WGAN and as a GAN: figures 5 to 7 of the WGAN paper.

Source: Arjovsky et al. 2017, section 4.3 and figures 5 to 7. The generators are a DCGAN; a DCGAN without batch norm and with a
constant number of filters; and an MLP of 4 layers of 512 units. The critic is always a DCGAN with batch norm. In the paper the GAN
fails without batch norm and drops modes with the MLP, and the WGAN does neither.

The quick size uses scikit-learn's digits and upsample_cnn for the convolutional players, whose widths stay as they are. The full
size is that of configs/celeba_*.py, scored by swd, which needs no weights. It is for a GPU and has not been run.
"""

import numpy as np
from matplotlib.figure import Figure

from papers.shared.output import Options, write_csv
from papers.shared.players import CONVOLUTIONAL_CRITIC, CONVOLUTIONAL_GENERATOR, MLP, learning_rates
from papers.shared.runs import History, Size, histories
from wgan_jax.runs.files import save_figure
from wgan_jax.sample.grid import grid

_WITHOUT_NORM = {**CONVOLUTIONAL_GENERATOR, 'norm': 'none'}
_QUICK_WGAN = ('WGAN', 'digits_wgan', {'clip_value': 0.02, **learning_rates(5e-4)})
_QUICK_GAN = ('GAN', 'digits_gan', learning_rates(1e-3))
QUICK_GAMES = {  # (game, generator): (name of a config, changes of its keys)
    (game, title): (config, {**changes, 'generator': generator, 'critic': CONVOLUTIONAL_CRITIC})
    for game, config, changes in (_QUICK_WGAN, _QUICK_GAN)
    for title, generator in (('convolutional', CONVOLUTIONAL_GENERATOR), ('without batch norm', _WITHOUT_NORM), ('MLP', MLP))
}
FULL_GAMES = {
    (game, title): (f'celeba_{game.lower()}{suffix}', {})
    for game in ('WGAN', 'GAN')
    for title, suffix in (('DCGAN', ''), ('without batch norm, constant width', '_nobn'), ('MLP', '_mlp'))
}
QUICK = Size(num_steps=1000, num_scores=1, num_samples=1000)
FULL = Size(num_steps=100_000, num_scores=1, num_samples=10_000)


def draw(options: Options) -> None:
    """Trains the six pairs of players, and writes generators.png and generators.csv."""
    games, size = (QUICK_GAMES, QUICK) if options.quick else (FULL_GAMES, FULL)
    found, score = histories(options, 'generators', games, size)
    _picture(found, options, score)
    qualities = [run.quality[-1] for run in found.values()]
    columns = {'game': [game for game, _ in found], 'generator': [title for _, title in found], score: qualities}
    write_csv(options.out / 'generators.csv', columns)
    print(
        f'{score} after {size.num_steps} steps, lower is better: '
        + ', '.join(f'{quality:.3g} ({game}, {title})' for (game, title), quality in zip(found, qualities, strict=True))
        + '.'
    )


def _picture(found: dict[tuple[str, str], History], options: Options, score: str) -> None:
    figure = Figure(figsize=(9.6, 6.9), layout='constrained')
    panels = figure.subplots(2, len(found) // 2)
    for axes, ((game, title), run) in zip(np.ravel(panels), found.items(), strict=True):
        axes.imshow(grid(run.samples[-1]), cmap='gray', vmin=0, vmax=255)
        axes.set_title(f'{game}, {title}\n{score} {run.quality[-1]:.3g}', fontsize='medium')
        axes.axis('off')
    save_figure(figure, options.out / 'generators.png')
