"""A group of runs on the page: mean and band over the seeds of each setting, and the settings ranked by their scores."""

import itertools
import math
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from wgan_jax.evaluate import plots
from wgan_jax.metrics.scores import can_choose, lower_is_better
from wgan_jax.report import captions, drawing
from wgan_jax.report.comparable import SEED_AND_PLACE, last_evaluations, setting_key, why_not_comparable, with_images
from wgan_jax.report.drawing import Panel, Row, colour
from wgan_jax.report.read_runs import Record, number
from wgan_jax.report.score_panels import distinct
from wgan_jax.runs.members import setting_of
from wgan_jax.sample.colours import GREY, RUNS

MOST_SHOWN = len(RUNS)  # runs in the other sections of the page, and settings with a colour
_WIDE = 20.0  # values of a key whose largest is so many times the smallest are drawn on a logarithmic axis
_CURVES = {
    'wasserstein_estimate': 'Estimate',
    'wasserstein_true': 'Exact distance',
    'critic_loss': 'Critic loss',
    'generator_loss': 'Generator loss',
    'gradient_penalty': 'Penalty',
}


class Setting(NamedTuple):
    """The runs on the same images whose configs differ in the seed only."""

    name: str
    runs: list[Record]
    evaluations: list[dict[str, Any] | None]  # of each run, at its last step; None for one that has diverged, or is not there yet

    @property
    def scores(self) -> list[dict[str, float] | None]:
        """The scores of these."""
        return [evaluation and evaluation['scores'] for evaluation in self.evaluations]


class Spread(NamedTuple):
    """A score of the runs of a setting."""

    mean: float
    deviation: float | None  # None for a single run
    low: float
    high: float


class Ranked(NamedTuple):
    """A row of the table of settings."""

    setting: Setting
    place: int | None  # of its colour
    scored: int  # runs with scores of the last step
    scores: list[Spread | None]


class Group(NamedTuple):
    """What the page says about a group."""

    settings: list[Setting]  # the best one first, unless their scores differ in how they were measured
    differs: list[str]  # in which entries of the protocol; then nothing is ranked
    names: list[str]  # of the scores in the table
    table: list[Ranked]
    training: Row
    scores: Row
    keys: Row  # the first score against each key that varies


def settings_of(records: Sequence[Record]) -> list[Setting]:
    """The settings of the runs, in the order of the runs. Runs that repeat a seed of a setting are another setting."""
    records = with_images(records)
    found: dict[tuple[str, int], list[tuple[Record, dict[str, Any] | None]]] = {}
    for record, last in zip(records, last_evaluations(records), strict=True):
        key, seed = setting_key(record), record.config.get('seed')
        place = next(n for n in itertools.count() if all(run.config.get('seed') != seed for run, _ in found.get((key, n), [])))
        found.setdefault((key, place), []).append((record, last))
    settings = []
    for of_setting in found.values():
        runs, evaluations = zip(*of_setting, strict=True)
        settings.append(Setting(setting_of(runs[0].path.name) or runs[0].path.resolve().parent.name, [*runs], [*evaluations]))
    names = [one.name for one in settings]
    return [one._replace(name=one.runs[0].name) if names.count(one.name) > 1 else one for one in settings]


def group_of(records: Sequence[Record]) -> Group | None:
    """The group that these runs are, or None if no two of them differ in the seed only."""
    settings = settings_of(records)
    if all(len(setting.runs) < 2 for setting in settings) and len(settings) <= MOST_SHOWN:
        return None
    names, differs = _compared(settings)
    if names and not differs:
        settings.sort(key=lambda setting: _rank(setting, names[0]))
    rows = [
        Ranked(
            setting,
            place if place < MOST_SHOWN else None,
            sum(scores is not None for scores in setting.scores),
            [spread_of(setting, name) for name in names],
        )
        for place, setting in enumerate(settings)
    ]
    training = [_training_panel(name, title, settings) for name, title in _CURVES.items() if _has(name, records)]
    every = [line for record in records for line in record.evaluations]
    scores = [_score_panel(name, settings, with_floor=not differs) for name in _score_names(every)]
    keys = [] if differs else _key_panels(settings, names)
    return Group(settings, differs, names, rows, Row('', '', training), Row('', '', scores), Row('', '', keys))


def shown(group: Group) -> list[Record]:
    """The runs for the other sections of the page: one of each setting, or all of a single setting, as far as there is room."""
    runs = group.settings[0].runs if len(group.settings) == 1 else [setting.runs[0] for setting in group.settings]
    return runs[:MOST_SHOWN]


def spread_of(setting: Setting, name: str) -> Spread | None:
    """A score of the runs of a setting at the last step; None if none has it."""
    values = [scores.get(name, math.nan) for scores in setting.scores if scores is not None]
    values = [value for value in values if math.isfinite(value)]
    if not values:
        return None
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return Spread(statistics.mean(values), deviation, min(values), max(values))


def draw_band(axes: Axes, of_runs: Sequence[dict[int, float]], colour: str) -> None:
    """Draws the mean of curves, a band of one standard deviation, and the extremes as thin lines.

    Args:
      axes: where to draw.
      of_runs: for each run, the values by step; where a run has none, the others count.
      colour: of the setting.
    """
    steps = np.array(sorted({step for values in of_runs for step in values}))
    if not len(steps):  # a curve of other settings, such as the penalty in a comparison with games that have none
        return
    table = np.array([[values.get(step, np.nan) for step in steps] for values in of_runs])
    kept = drawing.kept_points(np.nanmean(table, axis=0), np.nanmin(table, axis=0), np.nanmax(table, axis=0))
    steps, table = steps[kept], table[:, kept]
    mean, low, high = np.nanmean(table, axis=0), np.nanmin(table, axis=0), np.nanmax(table, axis=0)
    if len(of_runs) > 1:
        several = np.sum(np.isfinite(table), axis=0) > 1
        deviation = np.zeros(len(steps))
        deviation[several] = np.nanstd(table[:, several], axis=0, ddof=1)
        axes.fill_between(steps, mean - deviation, mean + deviation, color=colour, alpha=0.25, linewidth=0)
        for extreme in (low, high):
            axes.plot(steps, extreme, color=colour, alpha=0.5, linewidth=0.7)
    axes.plot(steps, mean, '.-' if len(steps) == 1 else '-', color=colour, linewidth=1.6)
    axes.set_xlabel('step')


def _has(name: str, records: Sequence[Record]) -> bool:
    return any(name in record.curves and len(record.curves[name].values) for record in records)


def _compared(settings: Sequence[Setting]) -> tuple[list[str], list[str]]:
    """The scores of the last step by which runs can be ranked, those of all runs first; and in what their protocols differ."""
    last = [
        (run, one) for setting in settings for run, one in zip(setting.runs, setting.evaluations, strict=True) if one is not None
    ]
    names = [name for name in _score_names([one for _, one in last]) if can_choose(name)]
    names.sort(key=lambda name: not all(name in one['scores'] for _, one in last))
    return names, why_not_comparable(last)


def _score_names(evaluations: Sequence[dict[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for line in evaluations for name in line['scores'] if '_error_' not in name)
    return distinct(names, evaluations)


def _rank(setting: Setting, name: str) -> tuple[bool, float]:
    """Settings of which a run is missing come last, as in sweep.best."""
    spread = spread_of(setting, name)
    if spread is None:
        return True, math.inf
    return None in setting.scores, spread.mean if lower_is_better(name) else -spread.mean


def _coloured(settings: Sequence[Setting]) -> list[tuple[Setting, str]]:
    return [(setting, colour(place)) for place, setting in enumerate(settings[:MOST_SHOWN])]


def _training_panel(name: str, title: str, settings: Sequence[Setting]) -> Panel:
    def draw(axes: Axes) -> None:
        for setting, line in _coloured(settings):
            curves = [run.curves[name] for run in setting.runs if name in run.curves]
            draw_band(axes, [dict(zip(curve.steps.tolist(), curve.values, strict=True)) for curve in curves], line)

    configs = [setting.runs[0].config for setting in settings]
    texts = {captions.quantity(name, config) for config in configs} if name != 'gradient_penalty' else set()
    return Panel(title, drawing.svg(draw, f'{title} over steps'), texts.pop() if len(texts) == 1 else '')


def _score_panel(name: str, settings: Sequence[Setting], *, with_floor: bool) -> Panel:
    def draw(axes: Axes) -> None:
        for setting, line in _coloured(settings):
            of_runs = [
                {one['step']: plots.comparable(one, name) for one in run.evaluations if name in one['scores']}
                for run in setting.runs
            ]
            draw_band(axes, [values for values in of_runs if values], line)
        if with_floor:
            plots.draw_floor(axes, [run.evaluations[-1] for setting in settings for run in setting.runs if run.evaluations], name)

    title = captions.heading(captions.score_in_words(name))
    return Panel(title, drawing.svg(draw, f'{name} over steps'), captions.score(name), name)


def _key_panels(settings: Sequence[Setting], names: Sequence[str]) -> list[Panel]:
    """The first score of every run against each number of the config that varies."""
    if not names:
        return []
    keys = sorted({key for setting in settings for key in setting.runs[0].config} - set(SEED_AND_PLACE))
    panels = []
    for key in keys:
        values = [number(setting.runs[0].config.get(key)) for setting in settings]
        if len({value for value in values if math.isfinite(value)}) > 1:
            title = f'{captions.heading(captions.score_in_words(names[0]))} by {key}'
            picture = drawing.svg(_key_plot(settings, values, names[0], key), f'{names[0]} by {key}')
            panels.append(Panel(title, picture, name=names[0]))
    return panels


def _key_plot(settings: Sequence[Setting], values: Sequence[float], name: str, key: str) -> Any:
    def draw(axes: Axes) -> None:
        for place, (setting, value) in enumerate(zip(settings, values, strict=True)):
            for scores in setting.scores:
                if scores is not None:
                    axes.plot(
                        [value],
                        [scores.get(name, math.nan)],
                        'o',
                        color=colour(place) if place < MOST_SHOWN else GREY,
                        markersize=4,
                    )
        positive = [value for value in values if math.isfinite(value)]
        if min(positive) > 0 and max(positive) > _WIDE * min(positive):
            axes.set_xscale('log')
            axes.xaxis.set_major_formatter(lambda value, _: f'{value:g}')
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(key)

    return draw
