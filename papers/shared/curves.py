"""The estimate of a run over training beside the quality of its samples: figures 3 and 4 of the WGAN paper."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import rankdata

from papers.shared.output import Options, write_csv
from papers.shared.runs import History, Size, histories
from wgan_jax.runs.files import save_figure
from wgan_jax.sample.colours import BLUE, GREY, ORANGE, PALE_BLUE
from wgan_jax.sample.grid import grid

_WINDOW = 15  # log points per median
_GRIDS, _SHOWN = 3, 9  # number of steps with samples in the picture, and samples of each

Estimate = Callable[[dict[str, np.ndarray]], np.ndarray]  # columns of metrics.jsonl -> the estimate at each log point


class Curve(NamedTuple):
    """A run with its estimate."""

    run: History
    raw: np.ndarray  # the estimate at each log point
    median: np.ndarray  # its running median
    at_scores: np.ndarray  # the median at each scored step
    correlation: float  # Spearman's, of at_scores and quality; nan if one of them is constant


def follow(
    options: Options, name: str, games: dict[str, tuple[str, dict[str, Any]]], size: Size, estimate: Estimate
) -> tuple[dict[str, Curve], str]:
    """Trains each game, and writes <name>.csv (scored steps) and <name>_curves.csv (log points).

    Returns:
      The curves by title, and the name of the score.
    """
    runs, score = histories(options, name, games, size)
    found = {title: curve(run, estimate) for title, run in runs.items()}
    scored = [
        {'step': one.run.scored, 'estimate': one.at_scores, score: one.run.quality, 'spearman': [one.correlation] * size.num_scores}
        for one in found.values()
    ]
    logged = [{'step': one.run.steps, 'estimate': one.raw, 'estimate_median': one.median} for one in found.values()]
    for path, tables in ((f'{name}.csv', scored), (f'{name}_curves.csv', logged)):
        titles = np.repeat(list(found), [len(table['step']) for table in tables])
        joined = {column: np.concatenate([table[column] for table in tables]) for column in tables[0]}
        write_csv(options.out / path, {'players': titles, **joined})
    return found, score


def curve(run: History, estimate: Estimate) -> Curve:
    """The estimate of a run, its running median, and its correlation with the quality."""
    raw = estimate(run.metrics)
    median = running_median(raw)
    at_scores = np.interp(run.scored, run.steps, median)
    constant = min(np.ptp(at_scores), np.ptp(run.quality)) == 0
    correlation = np.nan if constant else np.corrcoef(rankdata(at_scores), rankdata(run.quality))[0, 1]
    return Curve(run, raw, median, at_scores, float(correlation))


def running_median(values: np.ndarray) -> np.ndarray:
    """The median of the 15 values around each one, fewer near the ends."""
    half = _WINDOW // 2
    return np.array([np.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])


def in_words(correlation: float) -> str:
    """A correlation with two digits, or 'not defined'."""
    return 'not defined' if np.isnan(correlation) else f'{correlation:.2f}'


def picture(found: dict[str, Curve], options: Options, name: str, label: str, score: str, ceiling: float | None = None) -> None:
    """Writes <name>.png: for each run the estimate, the score, and samples at a few steps.

    Args:
      found: from follow.
      options: of the command.
      name: of the figure.
      label: of the estimate.
      score: name of the score.
      ceiling: the upper bound of the estimate, drawn as a line.
    """
    figure = Figure(figsize=(4 * len(found), 7.6), layout='constrained')
    places = figure.add_gridspec(3, _GRIDS * len(found), height_ratios=(2.2, 1.7, 1.7))
    worst = max(one.run.quality.max() for one in found.values())
    for column, (title, one) in enumerate(found.items()):
        columns = slice(_GRIDS * column, _GRIDS * (column + 1))
        axes = figure.add_subplot(places[0, columns])
        axes.plot(one.run.steps, one.raw, color=PALE_BLUE, label='mean of a few steps')
        axes.plot(one.run.steps, one.median, color=BLUE, label=f'median of {_WINDOW} of these')
        if ceiling is not None:
            axes.axhline(ceiling, color=GREY, linestyle='--', label='log 2')
        axes.set(title=title, xlabel='step', ylabel=label)
        axes.set_ylim(min(0.0, one.median.min()), 1.08 * one.raw.max())  # a single step may be far below
        axes.legend(fontsize='small')
        axes = figure.add_subplot(places[1, columns])
        axes.plot(one.run.scored, one.run.quality, 'o-', color=ORANGE)
        axes.set(xlabel='step', ylabel=f'{score} (lower is better)', ylim=(0, 1.08 * worst))
        axes.set_title(f"Spearman's correlation of both: {in_words(one.correlation)}", fontsize='medium')
        for part, index in enumerate(np.linspace(0, len(one.run.scored) - 1, _GRIDS).round().astype(int)):
            axes = figure.add_subplot(places[2, _GRIDS * column + part])
            axes.imshow(grid(one.run.samples[index, :_SHOWN]), cmap='gray', vmin=0, vmax=255)
            axes.set_title(f'step {one.run.scored[index]}', fontsize='medium')
            axes.axis('off')
    save_figure(figure, options.out / f'{name}.png')
