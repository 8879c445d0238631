"""The result of the runs in one sentence, for the head of the page."""

from collections.abc import Sequence

from wgan_jax.metrics.scores import can_choose, lower_is_better
from wgan_jax.report import captions, overview
from wgan_jax.report.comparable import points_key
from wgan_jax.report.groups import Group, Spread
from wgan_jax.report.read_runs import Record
from wgan_jax.report.score_panels import Line, Table

_MOST_NAMED = 4  # runs in a sentence


def of_run(record: Record, tables: Sequence[Table]) -> str:
    """The score of a run that chooses checkpoints, or the exact distance of points, or how far the critic's estimate has come."""
    what = captions.objective(record.config).partition(',')[0] or 'the run'
    if 'data.name' in record.config:
        what += f' on {record.config["data.name"]}'
    if tables and (line := _first(tables[0])) is not None:
        return f'After {tables[0].columns[0].evaluation["step"]:,} steps, {what} has {_reached(tables[0], line)}.'
    done = f'After {overview.steps(record, " steps")}, {what} has'
    true, floor, estimate = (_last(record, name) for name in ('wasserstein_true', 'wasserstein_floor', 'wasserstein_estimate'))
    if true is not None:
        count = record.config.get('exact_points')
        beside = f'; two samples of real points have {floor:.3g}' if floor is not None else ''
        return f'{done} an exact distance of {true:.3g} between {count} generated and {count} real points{beside}.'
    if estimate is not None:
        return (
            f'{done} an estimate of {estimate:.3g}, the critic\u2019s mean score of real minus that of generated {_data(record)}.'
        )
    return f'{done} {"no estimate that is a number" if "wasserstein_estimate" in record.curves else "no result yet"}.'


def of_runs(records: Sequence[Record], tables: Sequence[Table]) -> str:
    """The runs in the order of a score that they have in common."""
    if tables and (line := _first(tables[0])) is not None:
        table, found = tables[0], {}
        for column, cell in zip(table.columns, line.cells, strict=True):
            if (value := cell.as_many if cell.as_many is not None else cell.value) is not None:
                found.setdefault(records[column.run].name, (value, column.evaluation['step']))
        if len(found) > 1:
            end = f'lower is better, {_images(table, line)}{_real(line)}'
            if not lower_is_better(line.name):
                end = end.replace('lower', 'higher', 1)
            return _ordered(found, captions.score_in_words(line.name), end, lower=lower_is_better(line.name))
    last = {record.name: (_last(record, 'wasserstein_true'), record.step) for record in records}
    exact = {name: (value, step) for name, (value, step) in last.items() if value is not None}
    if len(exact) == len(records) and len({points_key(record) for record in records}) == 1:
        return _ordered(exact, 'exact distance to the real points', 'lower is better', lower=True)
    return f'{len(records)} runs that have no score in common.'


def of_group(group: Group, num_runs: int) -> str:
    """The score of the best setting, with its spread."""
    best, last = group.table[0], group.table[-1]
    runs = f'{num_runs} runs of {len(group.settings)} setting{"s" * (len(group.settings) > 1)}'
    if group.differs:
        return f'{runs}; their scores cannot be compared, since the protocols differ in {", ".join(group.differs)}.'
    if not group.names or best.scores[0] is None:
        return f'{runs}, without scores.'
    words = captions.score_in_words(group.names[0])
    count = next(filter(None, best.setting.evaluations))['protocol'].get('num_samples', '?')
    over = f'mean ± standard deviation over {best.scored} seeds' if best.scored > 1 else 'one seed'
    spread = f'{over}, each with {captions.with_commas(count)} samples'
    if len(group.table) == 1:
        record = best.setting.runs[0]
        what = captions.objective(record.config).partition(',')[0] or best.setting.name
        on = f' on {record.config["data.name"]}' if 'data.name' in record.config else ''
        return f'{what}{on}: {words} {_spread(best.scores[0])} ({spread}; {_direction(group.names[0])} is better).'
    worst = f'; the last, {last.setting.name}, {_spread(last.scores[0])}' if last.scores[0] is not None else ''
    return (
        f'Of {len(group.table)} settings, {best.setting.name} is the best by {words}: {_spread(best.scores[0])} ({spread}){worst} '
        f'({_direction(group.names[0])} is better).'
    )


def _first(table: Table) -> Line | None:
    """The score that a sentence is about."""
    return next((line for line in table.lines if can_choose(line.name) and line.cells[0].value is not None), None)


def _reached(table: Table, line: Line) -> str:
    cell, words = line.cells[0], captions.score_in_words(line.name)
    value = cell.value if cell.as_many is None else cell.as_many
    article = 'an' if words.startswith(('FID', 'Inception')) else 'a'
    return f'{article} {words} of {value:.3g} ({_images(table, line)}, {_direction(line.name)} is better{_real(line)})'


def _images(table: Table, line: Line) -> str:
    as_many = line.cells[0].as_many is not None
    count = table.protocol.get('num_held_out' if as_many else 'num_samples', '?')
    return f'{captions.with_commas(count)} samples'


def _real(line: Line) -> str:
    """The same score of real images."""
    return f'; {line.real:.3g} for real images that were not used for training' if line.real is not None else ''


def _ordered(found: dict[str, tuple[float, int]], words: str, end: str, *, lower: bool) -> str:
    same_step = len({step for _, step in found.values()}) == 1
    texts = {name: f'{value:.3g}' + ('' if same_step else f' at step {step:,}') for name, (value, step) in found.items()}
    best, *others = sorted(found, key=lambda name: found[name][0] if lower else -found[name][0])
    listed = ', '.join(f'{name} {texts[name]}' for name in others[:_MOST_NAMED])
    more = f' and {len(others) - _MOST_NAMED} more' if len(others) > _MOST_NAMED else ''
    return f'Of {len(found)} runs, {best} has the best {words}: {texts[best]}, before {listed}{more} ({end}).'


def _direction(name: str) -> str:
    return 'lower' if lower_is_better(name) else 'higher'


def _spread(spread: Spread) -> str:
    return f'{spread.mean:.3g}' + (f' ± {spread.deviation:.2g}' if spread.deviation is not None else '')


def _last(record: Record, name: str) -> float | None:
    """The value of the run's last line; older ones are of another state."""
    curve = record.curves.get(name)
    return float(curve.values[-1]) if curve is not None and len(curve.values) and curve.steps[-1] == record.step else None


def _data(record: Record) -> str:
    return captions.of_data('images', record.config)
