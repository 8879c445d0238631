"""The panels and tables of evaluations: scores beside those of real images, and what is known of the critic."""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes

from wgan_jax.evaluate import plots
from wgan_jax.metrics.scores import can_choose, lower_is_better, without_count
from wgan_jax.report import drawing, words
from wgan_jax.report.panels import Panel, Row, colour
from wgan_jax.report.records import Record, number

_NOT_THE_PROTOCOL = (
    'versions',
    'device',
    'generator',
    'critic_batch',
    'num_for_critic',
    'num_for_critic_held_out',
    'probe_updates',
)
_NOT_THE_IMAGES = ('dir', 'manual_dir', 'folder', 'placement', 'strict')


class Cell(NamedTuple):
    """A score of a run."""

    value: float | None
    as_many: float | None  # of only as many samples as there are real images to compare with


class Table(NamedTuple):
    """Scores that can be compared."""

    runs: list[int]
    protocol: dict[str, Any]
    differs: list[str]  # in what from that of the first group
    rows: list[tuple[str, str, float | None, list[Cell]]]  # name, which way is better, that of real images, those of the runs
    has_as_many: bool


def comparable(records: Sequence[Record], evaluations: Sequence[dict[str, Any] | None]) -> list[list[int]]:
    """The runs that have an evaluation here, in groups of the same protocol on the same images."""
    groups: dict[str, list[int]] = {}
    for run, (record, evaluation) in enumerate(zip(records, evaluations, strict=True)):
        if evaluation is not None:
            groups.setdefault(json.dumps(_decisive(record, evaluation), sort_keys=True), []).append(run)
    return list(groups.values())


def over_training(records: Sequence[Record]) -> list[tuple[list[int], Row]]:
    """Each score over the steps, all runs of a group together."""
    last = [record.evaluations[-1] if len(record.evaluations) > 1 else None for record in records]
    return [(group, _scores_of(records, group)) for group in comparable(records, last)]


def tables(records: Sequence[Record]) -> list[Table]:
    """The latest scores, a table for each group of runs."""
    groups = comparable(records, [record.evaluation for record in records])
    return [_table(records, group, groups[0]) for group in groups]


def _scores_of(records: Sequence[Record], group: list[int]) -> Row:
    names = dict.fromkeys(name for run in group for name in records[run].evaluations[-1]['scores'] if '_error_' not in name)

    def panel(name: str) -> Panel:
        def draw(axes: Axes) -> None:
            for run in group:
                plots.draw_score(axes, records[run].evaluations, name, colour(run))
            plots.draw_floor(axes, records[group[0]].evaluations, name)

        return Panel(name, drawing.svg(draw, f'{name} over steps'), words.score(name))

    return Row('', '', [panel(name) for name in names])


def _table(records: Sequence[Record], group: list[int], first: list[int]) -> Table:
    evaluations = [records[run].evaluation for run in group]
    by_name = [[_by_name(evaluation[part]) for part in ('scores', 'as_many')] for evaluation in evaluations]
    floor = _by_name(evaluations[0]['floor'])
    names = dict.fromkeys(name for evaluation in evaluations for name in evaluation['scores'])
    rows = []
    for name in names:
        short = without_count(name)
        better = ('↓' if lower_is_better(name) else '↑') if can_choose(name) else ''
        rows.append((name, better, floor.get(short), [Cell(all_.get(short), fewer.get(short)) for all_, fewer in by_name]))
    one, other = (_decisive(records[run], records[run].evaluation) for run in (first[0], group[0]))
    differs = sorted(name for name in one | other if one.get(name) != other.get(name))
    return Table(group, evaluations[0]['protocol'], differs, rows, any(evaluation['as_many'] for evaluation in evaluations))


def of_critics(records: Sequence[Record]) -> list[Row]:
    """The Lipschitz panel of each run, and the classes of its samples."""
    kinds: list[tuple[str, str, Callable[[Axes, dict[str, Any], Record], str]]] = [
        ('Slopes', words.SLOPES, lambda axes, latest, _: plots.draw_slopes(axes, latest['critic'])),
        ('Weights', words.WEIGHTS, lambda axes, latest, record: plots.draw_weights(axes, latest['critic'], _clip_value(record))),
        ('Gradients by layer', words.GRADIENTS, lambda axes, latest, _: plots.draw_gradients(axes, latest['critic'])),
        ('Spectral norms', words.NORMS, lambda axes, latest, _: plots.draw_norms(axes, latest['critic'])),
    ]
    return _rows(records, kinds)


def of_classes(records: Sequence[Record]) -> list[Row]:
    """The classes of the samples, where the scores know them."""
    draw = lambda axes, latest, _: plots.draw_classes(axes, latest['classes'], latest.get('classes_of_real'))  # noqa: E731
    return _rows(records, [('Classes of the samples', words.CLASSES, draw)])


def _rows(records: Sequence[Record], kinds: list[tuple[str, str, Callable[[Axes, dict[str, Any], Record], str]]]) -> list[Row]:
    rows = []
    for title, text, draw in kinds:
        panels = [panel for run, record in enumerate(records) if (panel := _panel(title, draw, record, run)) is not None]
        if panels:
            rows.append(Row(title, text, panels))
    if len(records) == 1:
        return [Row('', '', [row.panels[0]._replace(text=row.text, run=None) for row in rows])] if rows else []
    # The title of the row says what it is; only the numbers are each run's own.
    return [row._replace(panels=[panel._replace(title=panel.title.partition(': ')[2]) for panel in row.panels]) for row in rows]


def _panel(title: str, draw: Callable[[Axes, dict[str, Any], Record], str], record: Record, run: int) -> Panel | None:
    if record.evaluation is None:
        return None
    said = []
    try:
        picture = drawing.svg(lambda axes: said.append(draw(axes, record.evaluation, record)), f'{title} of {record.name}')
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError):  # it is not there, or damaged
        return None
    return Panel(said[0], picture, run=run)


def _decisive(record: Record, evaluation: dict[str, Any]) -> dict[str, Any]:
    """What of a protocol must be equal for scores to be comparable."""
    protocol = {name: value for name, value in evaluation['protocol'].items() if name not in _NOT_THE_PROTOCOL}
    if isinstance(protocol.get('data'), dict):
        protocol['data'] = {name: value for name, value in protocol['data'].items() if name not in _NOT_THE_IMAGES}
    return {**protocol, 'images': record.data_set}


def _clip_value(record: Record) -> float | None:
    value = number(record.config.get('clip_value'))
    return value if value == value else None


def _by_name(scores: dict[str, float]) -> dict[str, float]:
    return {without_count(name): value for name, value in scores.items()}
