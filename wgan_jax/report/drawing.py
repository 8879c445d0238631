"""Small panels as SVG that takes its colours from the page: dark on light or light on dark, as the reader's system says."""

import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from wgan_jax.evaluate.plots import BLUE, GREY, ORANGE
from wgan_jax.report.records import Curve

MOST_POINTS = 2000  # of a line; a panel is some hundred pixels wide
# A colour of the figures: what it is on a light ground, and on a dark one. The first ones are those of runs.
COLOURS = {
    BLUE: (BLUE, '#6cabf0'),
    ORANGE: ('#c4621c', '#f0a05c'),
    '#2f8f4e': ('#2f8f4e', '#67c587'),
    '#a13d8f': ('#a13d8f', '#dd86cd'),
    '#b3382c': ('#b3382c', '#f08a80'),
    '#2b8c99': ('#2b8c99', '#5fc6d3'),
    '#7a6a1f': ('#7a6a1f', '#c9b65a'),
    '#5b4bb5': ('#5b4bb5', '#a99cf0'),
    GREY: ('#767676', '#9a9a9a'),
}
RUNS = list(COLOURS)[:-1]
_INK = '#010203'  # stands for the colour of the page's text
_AUTHORS_WINDOW = 101  # generator updates: README of martinarjovsky/WassersteinGAN, commit 2087dad
_STYLE = {
    **dict.fromkeys(('text.color', 'axes.edgecolor', 'axes.labelcolor', 'xtick.color', 'ytick.color'), _INK),
    **dict.fromkeys(('figure.facecolor', 'axes.facecolor', 'savefig.facecolor'), 'none'),
    **dict.fromkeys(('axes.spines.top', 'axes.spines.right', 'text.parse_math'), False),
    'font.size': 12.5,  # pixels where a panel is 310 wide, as on a phone
    'lines.markersize': 3.5,
    'svg.fonttype': 'none',
    'svg.hashsalt': 'wgan_jax',  # the same bytes each time
}


def svg(draw: Callable[[Axes], Any], label: str) -> Markup:
    """What is drawn on the axes of one panel.

    Args:
      draw: draws; what it returns is not used.
      label: what the panel is, for those who cannot see it.

    Returns:
      An <svg> element for a page that has the style of report.html.
    """
    with rc_context(_STYLE):
        figure = Figure(figsize=(4.4, 2.8), layout='constrained')
        axes = figure.subplots()
        draw(axes)
        _ticks(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format='svg', metadata=dict.fromkeys(('Creator', 'Date', 'Format', 'Type')))
    text = buffer.getvalue()
    box = re.search(r'<svg[^>]*?(viewBox="[\d. ]+")[^>]*>', text)
    text = f'<svg class="plot" role="img" aria-label="{escape(label)}" {box[1]}>{text[box.end() :]}'
    text = re.sub(r'<defs>\s*<style.*?</style>\s*</defs>', '', text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*">', '<g>', text)
    text = re.sub(r'font: ([\d.]+)px [^;"]*', r'font-size: \1px', text)
    for colour, name in {_INK: 'currentColor', **{colour: f'var(--c{place})' for place, colour in enumerate(COLOURS)}}.items():
        text = text.replace(colour, name)
    return Markup(text)  # matplotlib has escaped what came from files


def _ticks(axes: Axes) -> None:
    """Few numbers, and short ones."""
    if axes.get_yscale() == 'log':
        low, high = axes.get_ylim()
        if high < 30 * low:  # there may be but one power of ten among them
            axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(lambda value, _: f'{value:g}')
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif axes.get_ylim()[1] > 10_000:
        axes.yaxis.set_major_formatter(_thousands)
    if axes.get_xlabel() == 'step':
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        if axes.get_xlim()[1] > 5000:
            axes.xaxis.set_major_formatter(_thousands)


def _thousands(value: float, place: int | None) -> str:
    return f'{value / 1000:g}k' if value else '0'


def draw_curve(axes: Axes, curve: Curve, colour: str, *, faint: bool = False) -> None:
    """One line, of as many points as can be seen."""
    thinned = thin(curve)
    axes.plot(
        thinned.steps,
        thinned.values,
        '.-' if len(thinned.steps) == 1 else '-',
        color=colour,
        alpha=0.35 if faint else 1.0,
        linewidth=1.0 if faint else 1.6,
    )
    axes.set_xlabel('step')


def thin(curve: Curve, most: int = MOST_POINTS) -> Curve:
    """The least and the greatest value of each of most / 2 parts, in the order in which they came; a short curve as it is."""
    if len(curve.values) <= most:
        return curve
    kept = set()
    for part in np.array_split(np.arange(len(curve.values)), most // 2):
        kept |= {part[np.argmin(curve.values[part])], part[np.argmax(curve.values[part])]}
    places = np.array(sorted(kept))
    return curve._replace(steps=curve.steps[places], values=curve.values[places])


def filter_window(curve: Curve) -> int:
    """An odd number of lines, at least 3, that last as long as the window of the WGAN authors' median filter."""
    between = np.median(np.diff(curve.steps)) if len(curve.steps) > 1 else 1
    return max(3, int(np.ceil(_AUTHORS_WINDOW / max(1, between))) // 2 * 2 + 1)


def median_filtered(curve: Curve, window: int) -> Curve:
    """Each value replaced by the median of the `window` values around it, fewer at the ends."""
    values, half = curve.values, window // 2
    count = len(values)
    filtered = np.empty_like(values)
    if count >= window:
        filtered[half : count - half] = np.median(np.lib.stride_tricks.sliding_window_view(values, window), axis=1)
    for place in {*range(min(half, count)), *range(max(0, count - half), count)}:
        filtered[place] = np.median(values[max(0, place - half) : place + half + 1])
    return curve._replace(values=filtered)
