"""Samples of three generators, trained as a WGAN and as a GAN: figures 5 to 7 of the WGAN paper.

Source: Arjovsky et al. 2017, section 4.3 and figures 5 to 7: a DCGAN; one without batch norm and with the same number of filters in
each layer; and an MLP of 4 layers of 512 units. The critic is a DCGAN with batch norm each time. There the GAN fails without batch
norm and drops modes with the MLP, and the WGAN does neither.

The quick size takes scikit-learn's digits, where the convolutional players are upsample_cnn, whose widths stay as they are. The
full size is that of configs/celeba_*.py, scored by swd, which needs no weights; it is made for a GPU, and has not been run.
"""

import numpy as np
from matplotlib.figure import Figure

from papers import Options, write_csv
from papers.curves import Size
from papers.players import CONVOLUTIONAL_CRITIC, CONVOLUTIONAL_GENERATOR, MLP, rates
from papers.runs import History, config_of, history, score_name
from wgan_jax.runs.files import save_figure
from wgan_jax.sample import grid

_PLAIN = {**CONVOLUTIONAL_GENERATOR, 'norm': 'none'}
_QUICK_GAMES = {  # (game, generator): (module of configs, changes of its keys)
    (game, title): (module, {**changes, 'generator': generator, 'critic': CONVOLUTIONAL_CRITIC})
    for game, module, changes in (('WGAN', 'digits_wgan', {'clip_value': 0.02, **rates(5e-4)}), ('GAN', 'digits_gan', rates(1e-3)))
    for title, generator in (('convolutional', CONVOLUTIONAL_GENERATOR), ('without batch norm', _PLAIN), ('MLP', MLP))
}
_FULL_GAMES = {
    (game, title): (f'celeba_{game.lower()}{suffix}', {})
    for game in ('WGAN', 'GAN')
    for title, suffix in (('DCGAN', ''), ('without batch norm, constant width', '_nobn'), ('MLP', '_mlp'))
}
QUICK = Size(num_steps=1000, num_scores=1, num_samples=1000)
FULL = Size(num_steps=100_000, num_scores=1, num_samples=10_000)


def draw(options: Options) -> None:
    """Trains the six pairs of players, and writes generators.png and generators.csv."""
    games, size = (_QUICK_GAMES, QUICK) if options.quick else (_FULL_GAMES, FULL)
    found, scores = {}, set()
    for (game, title), (name, changes) in games.items():
        config = config_of(name, options, num_steps=size.num_steps, num_scores=size.num_scores, **changes)
        run_dir = options.out / 'runs' / f'generators_{"quick" if options.quick else "full"}_{len(found)}'
        found[game, title] = history(config, run_dir, size.num_samples)
        scores.add(score_name(config))
    (score,) = scores
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
        axes.imshow(grid.grid(run.samples[-1]), cmap='gray', vmin=0, vmax=255)
        axes.set_title(f'{game}, {title}\n{score} {run.quality[-1]:.3g}', fontsize='medium')
        axes.axis('off')
    save_figure(figure, options.out / 'generators.png')
