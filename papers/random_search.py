"""GAN, WGAN, WGAN-GP and WGAN-LP under one budget of random search: the best score of k settings, as k grows.

    python -m papers random_search --quick --manual_dir=DIR      # DIR: the four files of MNIST; downloaded if not given

Source: Lucic et al. 2018 (arXiv 1711.10337), section 5 and figure 4: one seed per setting, drawn from the wide ranges of their code
(configs/sweeps/lucic.py), all games with the same networks and, as in their code, with Adam, but with b2 0.9, as in WGAN-GP, where
their code has 0.999. They score the Frechet distance on Inception features; here it is that on mnist_cnn. The band over k is by
bootstrap: k of the settings are drawn again and again, with replacement.

The quick size has MLPs with two layers of 256, 16 settings of each game and 2,000 rounds of batch 64. The full size has KerasCNN,
100 settings and 20,000 rounds; it is for a GPU and has not been run.
"""

import json
import math
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from configs import mnist_wgan_gp
from configs.sweeps.lucic import get_space
from papers.games_on_mnist import GAMES, SIZES
from papers.shared.output import Options, write_csv
from wgan_jax.devices import parallel
from wgan_jax.errors import UserError
from wgan_jax.runs.build import prepare_group
from wgan_jax.runs.files import save_figure
from wgan_jax.runs.members import combine, setting_of
from wgan_jax.runs.record import read_evaluations
from wgan_jax.runs.settings import draw as draw_settings
from wgan_jax.sample.colours import BLUE, GREEN, ORANGE, RED
from wgan_jax.training.group import train_group

# The optimizer is searched, and their code has Adam for every game.
_GAMES = {game: {key: value for key, value in keys.items() if '_optimizer.' not in key} for game, keys in GAMES['papers'].items()}
_COLOURS = dict(zip(_GAMES, (RED, ORANGE, BLUE, GREEN), strict=True))
_RESAMPLED = 10_000  # times
_BAND = (5, 50, 95)  # percentiles


class Size(NamedTuple):
    """How many settings of each game are drawn, how long each is trained, and on how many samples it is scored."""

    num_settings: int
    num_samples: int
    keys: dict[str, Any]  # changes of configs/mnist_wgan_gp.py, num_steps among them


QUICK = Size(16, 2_000, {**SIZES['mnist', 'small'][1], 'num_steps': 2_000})
FULL = Size(100, 10_000, SIZES['mnist', 'full'][1])


def draw(options: Options, size: Size | None = None) -> None:
    """Trains all settings, and writes random_search.png, .csv (best of k) and _settings.csv (each setting with its score)."""
    size = size or (QUICK if options.quick else FULL)
    parallel.use_a_device_per_core(size.num_settings)
    settings, scores = {}, {}
    for game, keys in _GAMES.items():
        settings[game], scores[game] = _search(options, size, game, keys)
    name = next(iter({metric for metric, _ in scores.values()}))
    best = {game: best_of(np.array(values)) for game, (_, values) in scores.items()}
    budgets = np.arange(1, size.num_settings + 1)
    columns = {'settings': np.tile(budgets, len(best)), 'game': np.repeat(list(best), len(budgets))}
    columns |= {f'percentile_{p}': np.concatenate([b[i] for b in best.values()]) for i, p in enumerate(_BAND)}
    write_csv(options.out / 'random_search.csv', columns)
    rows = [(game, json.dumps(one), value) for game in best for one, value in zip(settings[game], scores[game][1], strict=True)]
    write_csv(
        options.out / 'random_search_settings.csv', dict(zip(('game', 'setting', name), zip(*rows, strict=True), strict=True))
    )
    _picture(best, budgets, name, options)
    for game, (_, values) in scores.items():
        order = np.argsort(values)
        diverged = int(np.sum(~np.isfinite(values)))
        print(
            f'{game}: best {name} {values[order[0]]:.4g} with {json.dumps(settings[game][order[0]])}; median '
            f'{np.median(values):.4g}; {diverged} of {len(values)} diverged'
        )


def best_of(scores: np.ndarray) -> np.ndarray:
    """Percentiles 5, 50 and 95 of the smallest of k scores drawn with replacement, for k from 1 to their number: [3, N]."""
    generator = np.random.Generator(np.random.Philox(key=0))
    drawn = scores[generator.integers(len(scores), size=(_RESAMPLED, len(scores)))]
    # Values that exist, since between infinity, the score of a run that diverged, and a number there is nothing.
    return np.percentile(np.minimum.accumulate(drawn, axis=1), _BAND, axis=0, method='lower')


def _search(options: Options, size: Size, game: str, keys: dict[str, Any]) -> tuple[list[dict[str, Any]], tuple[str, list[float]]]:
    """Trains the settings of a game; returns them, and the name and the values of their scores, infinite if one diverged.

    Raises:
      UserError: a signal has stopped the training, or all settings have diverged.
    """
    config = mnist_wgan_gp.get_config()
    steps = size.keys['num_steps']
    config.update_from_flattened_dict({**size.keys, **keys, 'eval_num_samples': size.num_samples, 'eval_every': steps})
    config.update(log_every=max(1, steps // 20), sample_every=steps, checkpoint_every=max(1, steps // 2), checkpoints_to_keep=1)
    config.data.update(dir=options.dir, manual_dir=options.manual_dir)
    settings = draw_settings(config, get_space(config), size.num_settings, seed=0)
    configs = combine(config, settings, 1)
    directory = options.out / 'runs' / f'random_search_{"quick" if options.quick else "full"}' / game
    print(f'{game}:', flush=True)
    stopped_by = train_group(prepare_group(configs), str(directory))
    if stopped_by is not None:
        raise UserError(f'Stopped by {stopped_by.name}: the same command continues from here.')
    found = {setting_of(name): read_evaluations(directory / name) for name in configs}
    names = [next(iter(lines[-1]['scores'])) for lines in found.values() if lines]
    values = [lines[-1]['scores'][names[0]] if lines else math.inf for lines in found.values()]
    return list(settings.values()), (names[0], values)


def _picture(best: dict[str, np.ndarray], budgets: np.ndarray, name: str, options: Options) -> None:
    figure = Figure(figsize=(6.4, 4), layout='constrained')
    axes = figure.subplots()
    for game, (low, middle, high) in best.items():
        finite = np.isfinite(high)
        axes.fill_between(budgets[finite], low[finite], high[finite], color=_COLOURS[game], alpha=0.2, linewidth=0)
        axes.plot(budgets, middle, 'o-', color=_COLOURS[game], markersize=3, label=game)
    axes.set(xlabel='settings tried', ylabel=f'smallest {name}', yscale='log')
    axes.yaxis.set_major_formatter(lambda value, _: f'{value:g}')
    axes.yaxis.set_minor_formatter(lambda value, _: f'{value:g}' if str(f'{value:e}')[0] in '25' else '')
    axes.legend(frameon=False)
    save_figure(figure, options.out / 'random_search.png')
