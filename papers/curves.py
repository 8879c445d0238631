"""An estimate that training gives for nothing, beside the quality of samples: what figures 3 and 4 of the WGAN paper share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from papers import Options, write_csv
from papers.runs import History, config_of, history, score_name
from wgan_jax.runs.files import save_figure

_BLUE, _PALE, _ORANGE, _GREY = '#2a6fbb', '#b4cde8', '#d9762b', '#888888'
_WINDOW = 15  # log points to a median
_GRIDS, _SHOWN = 3, 9  # steps of which samples are shown, and how many


class Size(NamedTuple):
    """How long the runs are, and how often and on how many samples they are scored."""

    num_steps: int
    num_scores: int
    num_samples: int


class Curve(NamedTuple):
    """One run, as it is drawn."""

    run: History
    raw: np.ndarray  # the estimate at each log point
    median: np.ndarray  # the same, filtered
    at_scores: np.ndarray  # the filtered estimate at each scored step
    correlation: float  # Spearman's, of at_scores and quality; nan where one of both is constant


def follow(
    options: Options,
    name: str,
    games: dict[str, tuple[str, dict[str, Any]]],
    size: Size,
    estimate: Callable[[dict[str, np.ndarray]], np.ndarray],
) -> tuple[dict[str, Curve], str]:
    """Trains each game, writes its numbers to <name>.csv and <name>_curves.csv, and returns them with the name of the score.

    Args:
      options: of the command.
      name: of the figure.
      games: title: (module of configs, changes of its keys).
      size: of each run.
      estimate: from the columns of metrics.jsonl.
    """
    found, scores = {}, set()
    for number, (title, (config_name, changes)) in enumerate(games.items()):
        config = config_of(config_name, options, num_steps=size.num_steps, num_scores=size.num_scores, **changes)
        run_dir = options.out / 'runs' / f'{name}_{"quick" if options.quick else "full"}_{number}'
        found[title] = curve(history(config, run_dir, size.num_samples), estimate)
        scores.add(score_name(config))
    (score,) = scores
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


def curve(run: History, estimate: Callable[[dict[str, np.ndarray]], np.ndarray]) -> Curve:
    """The estimate of a run, raw and filtered, and how it goes with the quality."""
    from scipy.stats import rankdata

    raw = estimate(run.metrics)
    half = _WINDOW // 2
    median = np.array([np.median(raw[max(0, i - half) : i + half + 1]) for i in range(len(raw))])
    at_scores = np.interp(run.scored, run.steps, median)
    constant = min(np.ptp(at_scores), np.ptp(run.quality)) == 0
    correlation = np.nan if constant else np.corrcoef(rankdata(at_scores), rankdata(run.quality))[0, 1]
    return Curve(run, raw, median, at_scores, float(correlation))


def in_words(correlation: float) -> str:
    """Two digits; none where the estimate or the score is constant."""
    return 'not defined' if np.isnan(correlation) else f'{correlation:.2f}'


def picture(found: dict[str, Curve], options: Options, name: str, label: str, score: str, ceiling: float | None = None) -> None:
    """Writes <name>.png: for each run the estimate, the score, and samples at a few steps.

    Args:
      found: of follow.
      options: of the command.
      name: of the figure.
      label: of the estimate.
      score: name of the score.
      ceiling: a value that the estimate cannot pass, drawn as a line.
    """
    figure = Figure(figsize=(4 * len(found), 7.6), layout='constrained')
    grid = figure.add_gridspec(3, _GRIDS * len(found), height_ratios=(2.2, 1.7, 1.7))
    best = max(one.run.quality.max() for one in found.values())
    for column, (title, one) in enumerate(found.items()):
        place = slice(_GRIDS * column, _GRIDS * (column + 1))
        axes = figure.add_subplot(grid[0, place])
        axes.plot(one.run.steps, one.raw, color=_PALE, label='mean of a few steps')
        axes.plot(one.run.steps, one.median, color=_BLUE, label=f'median of {_WINDOW} of these')
        if ceiling is not None:
            axes.axhline(ceiling, color=_GREY, linestyle='--', label='log 2')
        axes.set(title=title, xlabel='step', ylabel=label)
        axes.set_ylim(min(0.0, one.median.min()), 1.08 * one.raw.max())  # a single step may be far below
        axes.legend(fontsize='small')
        axes = figure.add_subplot(grid[1, place])
        axes.plot(one.run.scored, one.run.quality, 'o-', color=_ORANGE)
        axes.set(
            xlabel='step', ylabel=f'{score} (lower is better)', title=f"Spearman's correlation of both: {in_words(one.correlation)}"
        )
        axes.title.set_fontsize('medium')
        axes.set_ylim(0, 1.08 * best)
        for part, index in enumerate(np.linspace(0, len(one.run.scored) - 1, _GRIDS).round().astype(int)):
            axes = figure.add_subplot(grid[2, _GRIDS * column + part])
            axes.imshow(grid(one.run.samples[index, :_SHOWN]), cmap='gray', vmin=0, vmax=255)
            axes.set_title(f'step {one.run.scored[index]}', fontsize='medium')
            axes.axis('off')
    save_figure(figure, options.out / f'{name}.png')
