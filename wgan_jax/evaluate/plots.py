"""The pictures of an evaluation."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from wgan_jax.metrics.scores import without_count
from wgan_jax.runs.files import save_figure, save_png
from wgan_jax.sample import grid
from wgan_jax.sample.colours import BLUE, GREY, ORANGE

_BETWEEN = 96  # grey between the images of a pair, and between pairs
_FLOOR = 1e-12  # on a logarithmic axis, in the place of 0


def nearest(samples: np.ndarray, neighbours: np.ndarray, path: Path) -> None:
    """A grid of pairs: a sample on the left, the image of training that is nearest to it on the right; uint8 [N, H, W, C].

    The pairs that are most alike come first.
    """
    distances = np.linalg.norm((samples.astype(np.float32) - neighbours).reshape(len(samples), -1), axis=1)
    order = np.argsort(distances, kind='stable')
    between, beside = (
        np.full((*samples.shape[:2], width, samples.shape[3]), _BETWEEN, np.uint8) for width in (1, max(2, samples.shape[2] // 6))
    )
    save_png(grid.grid(np.concatenate([samples[order], between, neighbours[order], beside], axis=2)), path)


def classes(shares: list[float], real: list[float] | None, path: Path) -> None:
    """The share of each class among samples, beside that among real images held out."""
    figure = Figure(figsize=(6.4, 3.2), layout='constrained')
    axes = figure.subplots()
    axes.set_title(draw_classes(axes, shares, real))
    axes.legend()
    save_figure(figure, path)


def critic(report: dict[str, Any], clip_value: float | None, path: Path) -> None:
    """The Lipschitz panel: slopes, weights, gradients and spectral norms by layer; what metrics.critic.diagnostics tells."""
    figure = Figure(figsize=(11, 7.2), layout='constrained')
    ((slopes, weights), (gradients, norms)) = figure.subplots(2, 2)
    slopes.set_title(draw_slopes(slopes, report))
    slopes.legend()
    weights.set_title(draw_weights(weights, report, clip_value))
    gradients.set_title(draw_gradients(gradients, report))
    norms.set_title(draw_norms(norms, report))
    save_figure(figure, path)


def progress(records: list[dict[str, Any]], names: list[str], path: Path) -> None:
    """Scores over training, one panel each, with those of real images as a line; `records` are the lines of evaluations.jsonl."""
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(3.7 * columns, 2.7 * rows), layout='constrained')
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        draw_score(axes, records, name)
        if draw_floor(axes, records, name):
            axes.legend()
        axes.set_title(name)
    for axes in panels[len(names) :]:
        axes.remove()
    save_figure(figure, path)


def draw_classes(axes: Axes, shares: list[float], real: list[float] | None) -> str:
    """Bars of each class; this function and those below draw on axes that are given, and return what a title would say."""
    places = np.arange(len(shares))
    axes.bar(places - 0.2, shares, 0.4, color=BLUE, label='samples')
    if real is not None:
        axes.bar(places + 0.2, real, 0.4, color=GREY, label='real, held out')
    axes.set(xticks=places, xlabel='class', ylabel='share')
    return 'Classes of the samples'


def draw_slopes(axes: Axes, report: dict[str, Any]) -> str:
    """The histogram of the critic's slopes."""
    _histogram(axes, report['slope_counts'], report['slope_edges'])
    axes.axvline(1.0, color=ORANGE, label='1')
    axes.set(xlabel='slope between real and generated', ylabel='share')
    return f'Slopes of the critic: {report["slope_mean"]:.3g} ± {report["slope_std"]:.3g}'


def draw_weights(axes: Axes, report: dict[str, Any], clip_value: float | None) -> str:
    """The histogram of the critic's weights, with the bounds of clipping."""
    _histogram(axes, report['weight_counts'], report['weight_edges'])
    axes.set(xlabel='weight', ylabel='share (logarithmic)', yscale='log')
    axes.locator_params(axis='x', nbins=6)
    if clip_value is None:
        return 'Weights of the critic'
    for c in (-clip_value, clip_value):
        axes.axvline(c, color=ORANGE)
    return f'Weights of the critic: {100 * report["clipped_share"]:.3g} % at ±c = ±{clip_value:g}'


def draw_gradients(axes: Axes, report: dict[str, Any]) -> str:
    """The norm of the loss's gradient at each layer of the critic."""
    layers = report['layers']
    places = np.arange(len(layers) + 1)
    axes.plot(places, np.maximum(report['gradient_norms'], _FLOOR), 'o-', color=BLUE)
    axes.set(yscale='log', xticks=places, ylabel='norm (logarithmic)')
    axes.set_xticklabels([*layers, 'images'], rotation=30, ha='right')
    return 'Gradient of the loss, from output to input'


def draw_norms(axes: Axes, report: dict[str, Any]) -> str:
    """The spectral norm of each of the critic's kernels."""
    layers = report['layers']
    places = np.arange(len(layers))
    axes.bar(places, report['spectral_norms'], color=BLUE)
    axes.set(xticks=places, ylabel='largest singular value')
    axes.set_xticklabels(layers, rotation=30, ha='right')
    return 'Spectral norm of each kernel, as a matrix'


def comparable(record: dict[str, Any], name: str) -> float:
    """A score of as many samples as there are held-out images, if it was computed so, since most scores depend on the number."""
    as_many = {without_count(other): value for other, value in record.get('as_many', {}).items()}
    return as_many.get(without_count(name), record['scores'][name])


def draw_score(axes: Axes, records: list[dict[str, Any]], name: str, colour: str = BLUE) -> None:
    """One score over training, comparable with that of real images; a single one has its value beside it."""
    drawn = [record for record in records if name in record['scores']]
    values = [comparable(record, name) for record in drawn]
    axes.plot([record['step'] for record in drawn], values, 'o-', color=colour)
    if len(drawn) == 1:
        axes.annotate(f'{values[0]:.4g}', (drawn[0]['step'], values[0]), xytext=(-6, 6), textcoords='offset points', ha='right')
    if all(float(value).is_integer() for value in values):
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel('step')


def draw_floor(axes: Axes, records: list[dict[str, Any]], name: str) -> bool:
    """A line at a score of real images; whether there is one."""
    real = {without_count(other): value for other, value in records[-1]['floor'].items()}
    floor = real.get(without_count(name))
    if floor is not None:
        axes.axhline(floor, color=GREY, linestyle='--', label='real, held out')
    return floor is not None


def _histogram(axes: Axes, counts: list[int], edges: list[float]) -> None:
    if not np.isfinite(edges).all():
        axes.text(0.5, 0.5, 'not finite', ha='center', transform=axes.transAxes)
        return
    axes.stairs(np.asarray(counts) / max(1, sum(counts)), edges, fill=True, color=BLUE)
