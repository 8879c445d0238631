"""Panels and how they are drawn: as SVG whose colours follow the reader's light or dark mode."""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from wgan_jax.report.read_runs import Curve, Record
from wgan_jax.sample.colours import LIGHT_AND_DARK, RUNS

MAX_POINTS = 2000  # of a line; a panel is a few hundred pixels wide
_TEXT_COLOUR = '#010203'  # replaced by the text colour of the page
_AUTHORS_WINDOW = 101  # generator updates: README of martinarjovsky/WassersteinGAN, commit 2087dad
_STYLE = {
    **dict.fromkeys(('text.color', 'axes.edgecolor', 'axes.labelcolor', 'xtick.color', 'ytick.color'), _TEXT_COLOUR),
    **dict.fromkeys(('figure.facecolor', 'axes.facecolor', 'savefig.facecolor'), 'none'),
    **dict.fromkeys(('axes.spines.top', 'axes.spines.right', 'text.parse_math'), False),
    'font.size': 14,  # about 12 pixels of the screen where a panel is 270 wide, the narrowest
    'lines.markersize': 3.5,
    'svg.fonttype': 'none',
    'svg.hashsalt': 'wgan_jax',  # the same bytes each time
}


class Panel(NamedTuple):
    """A plot with its title and caption."""

    title: str
    picture: Markup
    text: str = ''
    name: str = ''  # of the quantity in the files of the run, if the title is in words
    run: int | None = None  # the run that the panel names in its title; None if it names none


class Row(NamedTuple):
    """Panels under one heading."""

    title: str
    text: str
    panels: list[Panel]


def colour(run: int) -> str:
    """The colour of a run; there are eight."""
    return RUNS[run % len(RUNS)]


def svg(draw: Callable[[Axes], Any], label: str) -> Markup:
    """Draws a panel as an <svg> element for a page with the style sheet of report.html; `label` is for screen readers."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(4.4, 2.8), layout='constrained')
        axes = figure.subplots()
        draw(axes)
        _set_ticks(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format='svg', metadata=dict.fromkeys(('Creator', 'Date', 'Format', 'Type')))
    text = buffer.getvalue()
    box = re.search(r'<svg[^>]*?(viewBox="[\d. ]+")[^>]*>', text)
    text = f'<svg class="plot" role="img" aria-label="{escape(label)}" {box[1]}>{text[box.end() :]}'
    text = re.sub(r'<defs>\s*<style.*?</style>\s*</defs>', '', text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*">', '<g>', text)
    text = re.sub(r'font: ([\d.]+)px [^;"]*', r'font-size: \1px', text)
    text = text.replace(_TEXT_COLOUR, 'currentColor')
    for place, name in enumerate(LIGHT_AND_DARK):
        text = text.replace(name, f'var(--c{place})')
    return Markup(text)  # matplotlib has escaped the text that comes from files


def _set_ticks(axes: Axes) -> None:
    """Limits the tick labels to a few short numbers."""
    if axes.get_yscale() == 'log':
        low, high = axes.get_ylim()
        if high < 30 * low:  # the range may contain a single power of ten
            axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(lambda value, _: f'{value:g}')
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif axes.get_ylim()[1] > 10_000:
        axes.yaxis.set_major_formatter(_thousands)
    if axes.get_xlabel() == 'step':
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        if axes.get_xlim()[1] > 5000:
            axes.xaxis.set_major_formatter(_thousands)


def _thousands(value: float, position: int | None) -> str:
    return f'{value / 1000:g}k' if value else '0'


def draw_curve(axes: Axes, curve: Curve, colour: str, *, faint: bool = False, style: str = '-') -> None:
    """Draws a curve with at most MAX_POINTS points."""
    steps, values, _ = thin(curve)
    alpha, width = (0.35, 1.0) if faint else (1.0, 1.6)
    axes.plot(steps, values, 'o' if len(steps) == 1 else style, color=colour, alpha=alpha, linewidth=width, markersize=5)
    axes.set_xlabel('step')


def last_step(records: Sequence[Record]) -> int:
    """The last step of all curves and scores, at which the axes of steps of several runs end."""
    logged = [int(curve.steps[-1]) for record in records for curve in record.curves.values() if len(curve.steps)]
    scored = [evaluation['step'] for record in records for evaluation in record.evaluations]
    return max(logged + scored, default=0)


def share_steps(axes: Axes, last: int) -> None:
    """Gives the axes the same steps as all others, so that runs of different lengths can be compared."""
    if last:
        axes.set_xlim(-0.02 * last, 1.02 * last)


def thin(curve: Curve) -> Curve:
    """A curve of at most MAX_POINTS, see kept_points."""
    kept = kept_points(curve.values)
    return curve._replace(steps=curve.steps[kept], values=curve.values[kept])


def kept_points(*curves: np.ndarray) -> np.ndarray:
    """The indices of points that show curves over the same steps, in their order: all of them, if there are at most MAX_POINTS.

    Otherwise the points are cut into MAX_POINTS / 2 parts, of which the minimum and the maximum of each curve are kept.
    """
    everything = np.arange(len(curves[0]))
    if len(everything) <= MAX_POINTS:
        return everything
    kept = set()
    for part in np.array_split(everything, MAX_POINTS // 2):
        for values in curves:
            kept |= {part[np.argmin(values[part])], part[np.argmax(values[part])]}
    return np.array(sorted(kept))


def filter_window(curve: Curve) -> int:
    """The number of points, odd and at least 3, that cover the window of the WGAN authors' median filter."""
    between = np.median(np.diff(curve.steps)) if len(curve.steps) > 1 else 1
    return max(3, int(np.ceil(_AUTHORS_WINDOW / max(1, between))) // 2 * 2 + 1)


def median_filtered(curve: Curve, window: int) -> Curve:
    """Replaces each value by the median of the `window` values around it.

    Near an end the window has as many values on either side as are left there, so the line begins and ends on its data.
    """
    count = len(curve.values)
    if not count:
        return curve
    half = min(window // 2, (count - 1) // 2)
    values = np.array(curve.values)
    if half:
        values[half : count - half] = np.median(np.lib.stride_tricks.sliding_window_view(curve.values, 2 * half + 1), axis=1)
    for place in range(half):
        values[place] = np.median(curve.values[: 2 * place + 1])
        values[count - 1 - place] = np.median(curve.values[count - 1 - 2 * place :])
    return curve._replace(values=values)
