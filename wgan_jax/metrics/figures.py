"""The pictures of an evaluation."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wgan_jax import sampling
from wgan_jax.metrics.scores import without_count
from wgan_jax.writers import save_figure, save_png

_BLUE, _ORANGE, _GREY = '#2a6fbb', '#d9762b', '#888888'
_FLOOR = 1e-12  # on a logarithmic axis, in the place of 0


def nearest(samples: np.ndarray, neighbours: np.ndarray, path: Path) -> None:
    """A grid of pairs: a sample on the left, the image of training that is nearest to it on the right; uint8 [N, H, W, C]."""
    line = np.zeros((len(samples), samples.shape[1], 1, samples.shape[3]), np.uint8)
    save_png(sampling.grid(np.concatenate([samples, line, neighbours], axis=2)), path)


def classes(shares: list[float], real: list[float] | None, path: Path) -> None:
    """The share of each class among samples, beside that among real images held out."""
    figure = Figure(figsize=(6.4, 3.2), layout='constrained')
    axes = figure.subplots()
    places = np.arange(len(shares))
    axes.bar(places - 0.2, shares, 0.4, color=_BLUE, label='samples')
    if real is not None:
        axes.bar(places + 0.2, real, 0.4, color=_GREY, label='real, held out')
    axes.set(xticks=places, xlabel='class', ylabel='share', title='What the samples are taken for')
    axes.legend()
    save_figure(figure, path)


def critic(report: dict[str, Any], clip_value: float | None, path: Path) -> None:
    """The Lipschitz panel: slopes, weights, gradients and spectral norms by layer; what metrics.diagnostics tells."""
    figure = Figure(figsize=(11, 7.2), layout='constrained')
    ((slopes, weights), (gradients, norms)) = figure.subplots(2, 2)
    _histogram(slopes, report['slope_counts'], report['slope_edges'])
    slopes.axvline(1.0, color=_ORANGE, label='1')
    slopes.set(
        xlabel='slope between a real and a generated image',
        ylabel='share',
        title=f'Slopes of the critic: {report["slope_mean"]:.3g} ± {report["slope_std"]:.3g}',
    )
    slopes.legend()
    _histogram(weights, report['weight_counts'], report['weight_edges'])
    weights.set(xlabel='weight', ylabel='share (logarithmic)', yscale='log', title='Weights of the critic')
    weights.locator_params(axis='x', nbins=6)
    if clip_value is not None:
        for c in (-clip_value, clip_value):
            weights.axvline(c, color=_ORANGE)
        weights.set_title(f'Weights of the critic: {100 * report["clipped_share"]:.3g} % at ±c = ±{clip_value:g}')
    layers = report['layers']
    places = np.arange(len(layers) + 1)
    gradients.plot(places, np.maximum(report['gradient_norms'], _FLOOR), 'o-', color=_BLUE)
    gradients.set(yscale='log', xticks=places, ylabel='norm (logarithmic)', title='Gradient of the loss, from output to input')
    gradients.set_xticklabels([*layers, 'images'], rotation=30, ha='right')
    norms.bar(places[:-1], report['spectral_norms'], color=_BLUE)
    norms.set(xticks=places[:-1], ylabel='largest singular value', title='Spectral norm of each kernel, as a matrix')
    norms.set_xticklabels(layers, rotation=30, ha='right')
    save_figure(figure, path)


def progress(records: list[dict[str, Any]], names: list[str], path: Path) -> None:
    """Scores over training, one panel each, with those of real images as a line; `records` are the lines of evaluations.jsonl."""
    real = {without_count(name): value for name, value in records[-1]['floor'].items()}
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(3.7 * columns, 2.7 * rows), layout='constrained')
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        steps = [record['step'] for record in records if name in record['scores']]
        axes.plot(steps, [record['scores'][name] for record in records if name in record['scores']], 'o-', color=_BLUE)
        if (floor := real.get(without_count(name))) is not None:
            axes.axhline(floor, color=_GREY, linestyle='--', label='real, held out')
            axes.legend()
        axes.set(xlabel='step', title=name)
    for axes in panels[len(names) :]:
        axes.remove()
    save_figure(figure, path)


def _histogram(axes: Axes, counts: list[int], edges: list[float]) -> None:
    if not np.isfinite(edges).all():
        axes.text(0.5, 0.5, 'not finite', ha='center', transform=axes.transAxes)
        return
    axes.stairs(np.asarray(counts) / max(1, sum(counts)), edges, fill=True, color=_BLUE)
