"""The panels of training: the columns of metrics.jsonl over the steps."""

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes

from wgan_jax.report import captions, drawing
from wgan_jax.report.drawing import Panel, Row, colour
from wgan_jax.report.read_runs import Record
from wgan_jax.sample.colours import GREY

# Quantities whose scale depends on the critic or the loss get a panel per run; the others are drawn together.
_PER_RUN = {
    'wasserstein_estimate': 'Estimate',
    'real_score': 'Mean scores',
    'critic_loss': 'Critic loss',
    'generator_loss': 'Generator loss',
}
_BESIDE = {  # grey curves in the panel of another, with their style
    'wasserstein_estimate': {'wasserstein_true': '-', 'wasserstein_floor': ':'},
    'real_score': {'fake_score': '-'},
}
_SHARED = {
    'gradient_penalty': ('Penalty', ''),  # the caption depends on the losses
    'images_per_second': (
        'Throughput',
        'Real images per second that the critic is trained on. It depends on the machine and its other load, not on the seed. '
        'The first point can be low because it includes the start of the run.',
    ),
}


def rows(records: Sequence[Record]) -> list[Row]:
    """One row per quantity with a panel per run, then one for what is drawn together; a single row if there is one run."""
    per_run, last = [], drawing.last_step(records)
    for name, title in _PER_RUN.items():
        panels = [_panel(name, record, run, last) for run, record in enumerate(records) if name in record.curves]
        texts = {panel.text for panel in panels}
        if len(texts) == 1:  # the same caption for all: written once, under the heading
            per_run.append(Row(title, texts.pop(), [panel._replace(text='') for panel in panels]))
        elif panels:
            per_run.append(Row(title, '', panels))
    shared = [
        Panel(title, _shared_plot(name, title, records, last), captions.of_data(text or _penalty_of(records), records[0].config))
        for name, (title, text) in _SHARED.items()
        if any(name in record.curves for record in records)
    ]
    if len(records) == 1:
        panels = [Panel(row.title, row.panels[0].picture, row.text) for row in per_run] + shared
        return [Row('', '', panels)] if panels else []
    return [*per_run, Row('All runs together', '', shared)] if shared else per_run


def _penalty_of(records: Sequence[Record]) -> str:
    return captions.penalty({str(record.config.get('loss')) for record in records if 'gradient_penalty' in record.curves})


def note(records: Sequence[Record]) -> str:
    """How the curves were processed before they were drawn."""
    curves = [record.curves['wasserstein_estimate'] for record in records if 'wasserstein_estimate' in record.curves]
    windows = sorted({drawing.filter_window(curve) for curve in curves})
    points = ' or '.join(map(str, windows))
    text = (
        'Thin lines: the log points, each the mean over the steps since the previous one. Thick lines: their running median '
        f'over {points} points: at least 3, and enough to cover the 101 generator updates of the filter in the figures of the '
        'WGAN authors.'
    )
    left_out = sum(curve.left_out for record in records for curve in record.curves.values())
    if left_out:
        text += f' {left_out:,} values are not finite numbers and are not drawn.'
    if any(len(curve.values) > drawing.MAX_POINTS for record in records for curve in record.curves.values()):
        text += (
            f' Curves of more than {drawing.MAX_POINTS:,} points are cut into {drawing.MAX_POINTS // 2:,} parts; only the '
            'minimum and the maximum of each part are drawn.'
        )
    return text


def _panel(name: str, record: Record, run: int, last: int) -> Panel:
    def draw(axes: Axes) -> None:
        drawn = {name: (colour(run), '-')} | {column: (GREY, style) for column, style in _BESIDE.get(name, {}).items()}
        for column, (line, style) in drawn.items():
            if column in record.curves:
                curve = record.curves[column]
                drawing.draw_curve(axes, curve, line, faint=True, style=style)
                drawing.draw_curve(axes, drawing.median_filtered(curve, drawing.filter_window(curve)), line, style=style)
        drawing.share_steps(axes, last)

    picture = drawing.svg(draw, f'{_PER_RUN[name]} of {record.name} over steps')
    text = captions.of_data(captions.quantity(name, record.config), record.config)
    return Panel('', picture, text, run=run)


def _shared_plot(name: str, title: str, records: Sequence[Record], last: int) -> Markup:
    def draw(axes: Axes) -> None:
        for run, record in enumerate(records):
            if name in record.curves:
                drawing.draw_curve(axes, record.curves[name], colour(run))
        axes.set_ylim(bottom=0)
        drawing.share_steps(axes, last)

    return drawing.svg(draw, f'{title} over steps')
