"""The tables and panels of evaluations: scores next to those of real images, and the diagnostics of the critic."""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes

from wgan_jax.evaluate import plots
from wgan_jax.metrics.scores import can_choose, lower_is_better, without_count
from wgan_jax.report import captions, drawing
from wgan_jax.report.comparable import comparison_key, differing
from wgan_jax.report.drawing import Panel, Row, colour
from wgan_jax.report.read_runs import Record, number

_Draw = Callable[[Axes, dict[str, Any], Record], str]  # (axes, evaluation, record) -> title


class Column(NamedTuple):
    """The scores of one state of a run."""

    run: int
    evaluation: dict[str, Any]

    @property
    def generator(self) -> str:
        """Raw, or an average."""
        return str(self.evaluation['protocol'].get('generator', ''))


class Cell(NamedTuple):
    """One score of a column."""

    value: float | None
    as_many: float | None  # the same score of as many samples as there are held-out images


class Line(NamedTuple):
    """A score in a table."""

    name: str  # in the files of a run
    title: str  # in words
    better: str  # an arrow, or '' if neither more nor less is better
    text: str
    real: float | None  # of held-out real images
    cells: list[Cell]  # of the columns


class Table(NamedTuple):
    """Scores that can be compared: the latest of each run and kind of generator."""

    columns: list[Column]
    protocol: dict[str, Any]
    differs: list[str]  # entries of the protocol that differ from the first table's
    lines: list[Line]
    has_as_many: bool
    has_real: bool


def over_training(records: Sequence[Record]) -> list[tuple[list[int], Row]]:
    """For each group of comparable evaluations while training: its runs, and a panel per score with their curves."""
    columns = [Column(run, evaluation) for run, record in enumerate(records) for evaluation in record.evaluations]
    last = drawing.last_step(records)
    return [(list(dict.fromkeys(column.run for column in group)), _curves(group, last)) for group in _comparable(records, columns)]


def tables(records: Sequence[Record]) -> list[Table]:
    """The latest scores: a table for each group of comparable evaluations, beginning with the latest of the first run."""
    columns = [Column(run, one) for run, record in enumerate(records) for one in record.evaluations + record.afterwards]
    groups = _comparable(records, columns)
    groups.sort(key=lambda group: min((column.evaluation is not records[column.run].evaluation, column.run) for column in group))
    return [_table(records, _newest(group), groups[0][0]) for group in groups]


def critic_rows(records: Sequence[Record]) -> list[Row]:
    """Slopes, weights, gradients and spectral norms of the critics."""
    kinds: list[tuple[str, str, _Draw]] = [
        ('Slopes', captions.SLOPES, lambda axes, latest, _: plots.draw_slopes(axes, latest['critic'])),
        ('Weights', captions.WEIGHTS, lambda axes, latest, record: plots.draw_weights(axes, latest['critic'], _clip_value(record))),
        ('Gradients by layer', captions.GRADIENTS, lambda axes, latest, _: plots.draw_gradients(axes, latest['critic'])),
        ('Spectral norms', captions.NORMS, lambda axes, latest, _: plots.draw_norms(axes, latest['critic'])),
    ]
    return _rows(records, kinds)


def class_rows(records: Sequence[Record]) -> list[Row]:
    """The classes of the samples, if the evaluation has them."""
    draw = lambda axes, latest, _: plots.draw_classes(axes, latest['classes'], latest.get('classes_of_real'))  # noqa: E731
    return _rows(records, [('Classes of the samples', captions.CLASSES, draw)])


def _comparable(records: Sequence[Record], columns: Sequence[Column]) -> list[list[Column]]:
    """Groups evaluations by protocol and data set."""
    groups: dict[str, list[Column]] = {}
    for column in columns:
        key = comparison_key(records[column.run], column.evaluation)
        groups.setdefault(json.dumps(key, sort_keys=True), []).append(column)
    return list(groups.values())


def _newest(group: list[Column]) -> list[Column]:
    """Of each run and kind of generator, the evaluation of the last step; of a run, the latest comes first."""
    newest: dict[tuple[int, str], Column] = {}
    for column in group:
        earlier = newest.get((column.run, column.generator))
        if earlier is None or column.evaluation['step'] > earlier.evaluation['step']:
            newest[column.run, column.generator] = column
    return sorted(newest.values(), key=lambda column: (column.run, -column.evaluation['step']))


def distinct(names: Iterable[str], evaluations: Sequence[dict[str, Any]]) -> list[str]:
    """The names without those of levels of the sliced distance that equal their mean: small images have one level."""
    names = list(names)
    of_short = {without_count(name): name for name in names}
    mean = of_short.get('swd')

    def repeats(name: str) -> bool:
        return (
            name.startswith('swd_')
            and name != mean
            and all(evaluation['scores'].get(name) == evaluation['scores'].get(mean) for evaluation in evaluations)
        )

    return names if mean is None else [name for name in names if not repeats(name)]


def _curves(group: list[Column], last: int) -> Row:
    evaluations = [column.evaluation for column in group]
    names = dict.fromkeys(name for evaluation in evaluations for name in evaluation['scores'] if '_error_' not in name)
    of_runs = {run: [column.evaluation for column in group if column.run == run] for run in {column.run for column in group}}

    def panel(name: str) -> Panel:
        def draw(axes: Axes) -> None:
            for run, own in of_runs.items():
                plots.draw_score(axes, own, name, colour(run))
            plots.draw_floor(axes, evaluations[:1], name)
            drawing.share_steps(axes, last)

        title = captions.heading(captions.score_in_words(name))
        return Panel(title, drawing.svg(draw, f'{name} over steps'), name=name)

    return Row('', '', [panel(name) for name in distinct(names, evaluations)])


def _table(records: Sequence[Record], columns: list[Column], first: Column) -> Table:
    evaluations = [column.evaluation for column in columns]
    by_name = [[_without_counts(evaluation[part]) for part in ('scores', 'as_many')] for evaluation in evaluations]
    floor = _without_counts(evaluations[0]['floor'])
    lines = []
    for name in distinct(dict.fromkeys(name for evaluation in evaluations for name in evaluation['scores']), evaluations):
        short = without_count(name)
        better = ('↓' if lower_is_better(name) else '↑') if can_choose(name) else ''
        cells = [Cell(all_.get(short), fewer.get(short)) for all_, fewer in by_name]
        title = captions.heading(captions.score_in_words(name))
        lines.append(Line(name, title, better, captions.score(name), floor.get(short), cells))
    differs = differing([comparison_key(records[column.run], column.evaluation) for column in (first, columns[0])])
    has_as_many = any(evaluation['as_many'] for evaluation in evaluations)
    return Table(columns, evaluations[0]['protocol'], differs, lines, has_as_many, bool(floor))


def _rows(records: Sequence[Record], kinds: list[tuple[str, str, _Draw]]) -> list[Row]:
    rows = []
    for title, text, draw in kinds:
        panels = [panel for run, record in enumerate(records) if (panel := _panel(title, draw, record, run)) is not None]
        if panels:
            rows.append(Row(title, text, panels))
    if len(records) == 1:
        return [Row('', '', [row.panels[0]._replace(text=row.text, run=None) for row in rows])] if rows else []
    # The heading of the row names the quantity; the title of a panel keeps only its numbers.
    return [row._replace(panels=[panel._replace(title=panel.title.partition(': ')[2]) for panel in row.panels]) for row in rows]


def _panel(title: str, draw: _Draw, record: Record, run: int) -> Panel | None:
    if record.evaluation is None:
        return None
    titles = []
    try:
        picture = drawing.svg(lambda axes: titles.append(draw(axes, record.evaluation, record)), f'{title} of {record.name}')
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError):  # missing or damaged
        return None
    return Panel(titles[0], picture, run=run)


def _clip_value(record: Record) -> float | None:
    value = number(record.config.get('clip_value'))
    return value if math.isfinite(value) else None


def _without_counts(scores: dict[str, float]) -> dict[str, float]:
    return {without_count(name): value for name, value in scores.items()}
