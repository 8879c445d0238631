"""The panels of training: what metrics.jsonl holds, over the steps."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup
from matplotlib.axes import Axes

from wgan_jax.report import drawing, words
from wgan_jax.report.records import Record

# What depends on the critic, or on the game, has a panel for each run; the rest can be compared.
_OF_EACH = {'wasserstein_estimate': 'Estimate', 'critic_loss': "Critic's loss", 'generator_loss': "Generator's loss"}
_OF_ALL = {
    'gradient_penalty': (
        'Gradient penalty',
        'Mean of (slope - 1)², without its weight: how far the critic is from slope 1 between real and generated images. A '
        'one-sided penalty counts slopes above 1 only.',
    ),
    'images_per_second': (
        'Throughput',
        'Real images per second that the critic sees. It depends on the machine, and on what else runs there, and not on the seed; '
        'a first point that is low has the start in it.',
    ),
}


class Panel(NamedTuple):
    """One small picture."""

    title: str
    picture: Markup
    text: str = ''
    run: int | None = None  # whose it is; None: of several, or of the only one


class Row(NamedTuple):
    """Panels that belong together."""

    title: str
    text: str
    panels: list[Panel]


def colour(run: int) -> str:
    """The colour of a run; there are eight."""
    return drawing.RUNS[run % len(drawing.RUNS)]


def of_training(records: Sequence[Record]) -> list[Row]:
    """The curves: a row for each quantity, or one row of all where there is one run."""
    rows = []
    for name, title in _OF_EACH.items():
        panels = [_own(name, record, run) for run, record in enumerate(records) if name in record.curves]
        texts = {panel.text for panel in panels}
        if len(texts) == 1:  # said once for all
            rows.append(Row(title, texts.pop(), [panel._replace(text='') for panel in panels]))
        elif panels:
            rows.append(Row(title, '', panels))
    shared = [Panel(title, _all(name, title, records), text) for name, (title, text) in _OF_ALL.items() if _has(records, name)]
    if len(records) == 1:
        shared = [Panel(row.title, row.panels[0].picture, row.text) for row in rows] + shared
        rows = []
    return [*rows, *([Row('' if len(records) == 1 else 'All runs together', '', shared)] if shared else [])]


def note(records: Sequence[Record]) -> str:
    """What was done to the lines before they were drawn."""
    curves = [record.curves['wasserstein_estimate'] for record in records if 'wasserstein_estimate' in record.curves]
    windows = sorted({drawing.filter_window(curve) for curve in curves})
    points = ' or '.join(map(str, windows))
    text = (
        f'Thin: the log points, each a mean over the rounds since the one before. Thick: their median filter over {points} points: '
        'as many as last for the 101 generator updates of the filter in the figures of the WGAN authors, and at least 3.'
    )
    left_out = sum(curve.left_out for record in records for curve in record.curves.values())
    if left_out:
        text += f' {left_out:,} values that are no finite numbers are left out.'
    if any(len(curve.values) > drawing.MOST_POINTS for record in records for curve in record.curves.values()):
        text += (
            f' Lines of more than {drawing.MOST_POINTS:,} points are cut into {drawing.MOST_POINTS // 2:,} parts; of each, the '
            'least and the greatest value are drawn.'
        )
    return text


def _own(name: str, record: Record, run: int) -> Panel:
    def draw(axes: Axes) -> None:
        curve = record.curves[name]
        drawing.draw_curve(axes, curve, colour(run), faint=True)
        drawing.draw_curve(axes, drawing.median_filtered(curve, drawing.filter_window(curve)), colour(run))

    picture = drawing.svg(draw, f'{_OF_EACH[name]} of {record.name} over steps')
    return Panel('', picture, words.quantity(name, record.config), run)


def _all(name: str, title: str, records: Sequence[Record]) -> Markup:
    def draw(axes: Axes) -> None:
        for run, record in enumerate(records):
            if name in record.curves:
                drawing.draw_curve(axes, record.curves[name], colour(run))
        axes.set_ylim(bottom=0)

    return drawing.svg(draw, f'{title} over steps')


def _has(records: Sequence[Record], name: str) -> bool:
    return any(name in record.curves for record in records)
