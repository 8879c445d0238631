"""Critics held against distances that are known: what the number and the gradient of a critic are worth.

    python -m papers known_distances --quick
    python -m papers known_distances --pairs=2x4,32x4 --methods=gp,lp --seeds=3

Source: Korotin, Kolesov, Burnaev 2022, "Kantorovich Strikes Back! Wasserstein GANs are not Optimal Transport?": pairs of
distributions whose W1 and optimal critic are known exactly, and the published scores of critics (one seed each; the code published
with it, MIT licence, commit 359d2b1). Batches, learning rate, decays and numbers of updates are theirs; MaxMin is ours.

It writes known_distances.csv and .md (mean and standard deviation over the seeds, beside the published scores), .png, _plane.png
(level lines of the optimal critic and of each other one, for the first pair in the plane), and a file per pair and method in
known_distances/. The same command continues after it was stopped, and a longer list of pairs or methods trains only what is
missing. --quick has two pairs, two seeds and a twentieth of the updates.
"""

import argparse
import csv
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from benchmarks.measuring import machine
from papers.shared.funnel_critics import BATCH, LEARNING_RATE, METHODS, POINTS, Result, scores_of_truth, trained
from papers.shared.output import write_csv
from wgan_jax.data import funnels
from wgan_jax.devices import compiling, parallel
from wgan_jax.disk import replace_file
from wgan_jax.errors import UserError
from wgan_jax.runs.files import expand, save_figure
from wgan_jax.sample.colours import BLUE, DARK_GREY, GREEN, ORANGE, PURPLE, RED, YELLOW

PAIRS = ((2, 4), (2, 16), (4, 4), (8, 4), (16, 4), (32, 4), (32, 16), (64, 4))  # (dimension, funnels)
QUICK_PAIRS = ((2, 4), (32, 4))
_QUICK = 20  # a part of the updates
_TRUE_POINTS = 2**17  # of the Monte Carlo estimate of W1
_SCORES = ('cosine', 'gradient_error', 'estimate')
_COLOURS = dict(zip(METHODS, 2 * (RED, BLUE, PURPLE, YELLOW, GREEN, ORANGE), strict=False))
_PUBLISHED = Path(__file__).with_name('known_distances_published.csv')


class Row(NamedTuple):
    """The critics of a pair that were trained by one method."""

    dimension: int
    count: int
    method: str
    updates: int
    scores: dict[str, np.ndarray]  # [seeds] each, by the names in _SCORES
    values: np.ndarray  # of the first seed, [GRID, GRID]


def main(arguments: Sequence[str]) -> None:
    """Trains, scores, and writes and prints the tables."""
    parser = argparse.ArgumentParser(prog='python -m papers known_distances', description=__doc__.splitlines()[0])
    parser.add_argument('--pairs', type=_pairs, help='DIMENSIONxFUNNELS,...; default: eight pairs')
    parser.add_argument('--methods', type=_methods, default=list(METHODS), help=f'default: {",".join(METHODS)}')
    parser.add_argument('--seeds', type=_positive, help='critics of each pair and method; default: 4')
    parser.add_argument('--quick', action='store_true', help='a size for minutes on a CPU instead of the published one')
    parser.add_argument('--out', type=expand, default=Path('figures'), help='output directory; default: figures')
    options = parser.parse_args(arguments)
    pairs = options.pairs or (QUICK_PAIRS if options.quick else PAIRS)
    seeds = options.seeds or (2 if options.quick else 4)
    parallel.use_a_device_per_core(seeds)
    compiling.use_compilation_cache()
    rows, truths = [], {}
    for dimension, count in pairs:
        truths[dimension, count] = _truth(dimension, count)
        for method in options.methods:
            updates = METHODS[method].updates // (_QUICK if options.quick else 1)
            rows.append(_row(options.out / 'known_distances', dimension, count, method, updates, seeds))
            print(_line(rows[-1], truths[dimension, count][1]), flush=True)
    write(rows, truths, options.out, seeds)


def write(rows: list[Row], truths: dict[tuple[int, int], tuple[Result, float]], out: Path, seeds: int) -> None:
    """Writes the tables and the pictures."""
    published = published_scores()
    columns: dict[str, list[Any]] = {}
    for row in rows:
        optimal, distance = truths[row.dimension, row.count]
        theirs = published.get((row.dimension, row.count, METHODS[row.method].published), {})
        cells = {'dimension': row.dimension, 'funnels': row.count, 'method': row.method, 'updates': row.updates, 'seeds': seeds}
        for name in _SCORES:
            cells |= {f'{name}_mean': row.scores[name].mean(), f'{name}_std': row.scores[name].std(ddof=1) if seeds > 1 else ''}
            cells[f'{name}_published'] = theirs.get(name, '')
        cells |= {'cosine_optimal': float(optimal.cosine), 'distance': distance}
        for name, value in cells.items():
            columns.setdefault(name, []).append(value)
    write_csv(out / 'known_distances.csv', columns)
    text = [f'{machine()}; mean ± standard deviation over {seeds} seeds; in brackets the published value, of one seed.', '']
    text += _tables(columns)
    replace_file(out / 'known_distances.md', ('\n'.join(text) + '\n').encode())
    print('\n'.join([*text, f'Written: {out / "known_distances"}.csv, .md and .png']))
    _bars(rows, truths, published, out / 'known_distances.png')
    plane = [row for row in rows if row.dimension == 2]
    plane = [row for row in plane if row.count == plane[0].count]
    if plane:
        _level_lines(plane, truths[2, plane[0].count][0], out / 'known_distances_plane.png')


def published_scores() -> dict[tuple[int, int, str], dict[str, float]]:
    """{(dimension, funnels, published name of the method): scores by the names in _SCORES}; the method 'true' is the truth."""
    with _PUBLISHED.open(newline='') as file:
        return {
            (int(row['dimension']), int(row['funnels']), row['method']): {name: float(row[name]) for name in _SCORES}
            for row in csv.DictReader(file)
        }


def _row(directory: Path, dimension: int, count: int, method: str, updates: int, seeds: int) -> Row:
    """Trains the critics, all seeds in one program, unless the directory has them."""
    path = directory / f'{dimension}x{count}_{method}.npz'
    settings = json.dumps([updates, seeds, BATCH, POINTS, funnels.POWER, LEARNING_RATE, repr(METHODS[method])])
    if path.exists():
        with np.load(path, allow_pickle=False) as arrays:
            if str(arrays['settings']) == settings:
                return Row(dimension, count, method, updates, {name: arrays[name] for name in _SCORES}, arrays['values'])
    devices = len(parallel.all_devices())
    each = -(-seeds // devices)
    numbers = np.minimum(np.arange(devices * each), seeds - 1).astype(np.int32).reshape(devices, each)
    pair = funnels.load(dimension, count)
    run = parallel.map_independent(functools.partial(trained, pair, method=METHODS[method], updates=updates))
    found = jax.tree.map(lambda array: np.concatenate(np.asarray(array))[:seeds], run(numbers))
    scores = {name: np.asarray(getattr(found, name), np.float64) for name in _SCORES}
    directory.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix('.partial.npz')
    np.savez(partial, settings=settings, values=found.values[0], **scores)
    partial.replace(path)
    return Row(dimension, count, method, updates, scores, found.values[0])


def _truth(dimension: int, count: int) -> tuple[Result, float]:
    """The scores of the optimal critic, and W1."""
    pair = funnels.load(dimension, count)
    optimal = compiling.compiled(functools.partial(scores_of_truth, pair))(jax.random.key(0))

    def distance(key: jax.Array) -> jax.Array:  # in parts, since a point takes funnels * dimension numbers
        return jnp.mean(
            jax.lax.map(lambda key: funnels.distance(pair, key, POINTS)[0], jax.random.split(key, _TRUE_POINTS // POINTS))
        )

    return jax.tree.map(np.asarray, optimal), float(compiling.compiled(distance)(jax.random.key(1)))


def _line(row: Row, distance: float) -> str:
    means = {name: values.mean() for name, values in row.scores.items()}
    return (
        f'{row.dimension} dimensions, {row.count} funnels, {METHODS[row.method].label}, {row.updates:,} updates: cosine '
        f'{means["cosine"]:.3f}, gradient error {means["gradient_error"]:.3g}, estimate {means["estimate"]:.3g} of {distance:.3g}'
    )


def _tables(columns: dict[str, list[Any]]) -> list[str]:
    """A table per score, with a row per pair and a column per method."""
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    methods, lines = list(dict.fromkeys(row['method'] for row in rows)), []
    for name, title in zip(_SCORES, ('Cosine of the gradients', 'Error of the gradients', 'Estimate'), strict=True):
        truth = {'cosine': 'cosine_optimal', 'estimate': 'distance'}.get(name)
        lines += [f'| {title} | {" | ".join(methods)} | exact |', '|---' * (len(methods) + 2) + '|']
        for pair in dict.fromkeys((row['dimension'], row['funnels']) for row in rows):
            of_pair = {row['method']: row for row in rows if (row['dimension'], row['funnels']) == pair}
            cells = [_cell(of_pair[method], name) for method in methods]
            exact = f'{of_pair[methods[0]][truth]:.3g}' if truth else '0'
            lines.append(f'| {pair[0]} dimensions, {pair[1]} funnels | {" | ".join(cells)} | {exact} |')
        lines.append('')
    return lines


def _cell(row: dict[str, Any], name: str) -> str:
    spread, theirs = row[f'{name}_std'], row[f'{name}_published']
    text = f'{row[f"{name}_mean"]:.3g}' + ('' if spread == '' else f' ± {spread:.2g}')
    return text + ('' if theirs == '' else f' ({theirs:.3g})')


def _bars(
    rows: list[Row],
    truths: dict[tuple[int, int], tuple[Result, float]],
    published: dict[tuple[int, int, str], dict[str, float]],
    path: Path,
) -> None:
    pairs, methods = list(truths), list(dict.fromkeys(row.method for row in rows))
    figure = Figure(figsize=(max(8, 1.5 + 1.3 * len(pairs)), 6), layout='constrained')
    axes = figure.subplots(2, 1, sharex=True)
    for row in rows:
        place = pairs.index((row.dimension, row.count)) + 0.8 * ((methods.index(row.method) + 0.5) / len(methods) - 0.5)
        theirs = published.get((row.dimension, row.count, METHODS[row.method].published))
        for axis, name, scale in ((axes[0], 'cosine', 1.0), (axes[1], 'estimate', truths[row.dimension, row.count][1])):
            values = row.scores[name] / scale
            label = METHODS[row.method].label if (row.dimension, row.count) == pairs[0] else None
            axis.plot(np.full(len(values), place), values, 'o', color=_COLOURS[row.method], markersize=4, label=label)
            if theirs:
                axis.plot(place, theirs[name] / scale, '_', color=DARK_GREY, markersize=10)
    axes[0].hlines(
        [float(truths[pair][0].cosine) for pair in pairs], *np.add.outer((-0.45, 0.45), range(len(pairs))), DARK_GREY, ':'
    )
    axes[1].axhline(1, color=DARK_GREY, linestyle=':')
    axes[0].set(ylabel='cosine of the gradients')
    axes[1].set(ylabel='estimate / exact distance', yscale='log', xticks=range(len(pairs)))
    axes[1].set_xticklabels([f'{dimension}-D, {count}' for dimension, count in pairs])
    axes[1].set_xlabel('dimension, number of funnels (points: our seeds; dashes: published; dotted: exact)')
    axes[0].legend(frameon=False, fontsize='small', ncols=3, loc='lower center', bbox_to_anchor=(0.5, 1))
    save_figure(figure, path)


def _level_lines(rows: list[Row], optimal: Result, path: Path) -> None:
    figure = Figure(figsize=(9, 2.6 * -(-(len(rows) + 1) // 4)), layout='constrained')
    panels = [('the optimal critic', np.asarray(optimal.values)), *((METHODS[row.method].label, row.values) for row in rows)]
    all_axes = figure.subplots(-(-len(panels) // 4), min(4, len(panels)), squeeze=False).ravel()
    side = funnels.HALF_SIDE
    for axes, (title, values) in zip(all_axes, panels, strict=False):
        axes.contour(values, 15, extent=(-side, side, -side, side), cmap='viridis', linewidths=1)
        axes.set_title(f'{title}\nfrom {values.min():.2f} to {values.max():.2f}', fontsize='small')
        axes.set(aspect='equal', xticks=[], yticks=[])
    for axes in all_axes[len(panels) :]:
        axes.axis('off')
    save_figure(figure, path)


def _pairs(text: str) -> list[tuple[int, int]]:
    pairs = []
    for part in text.split(','):
        numbers = part.split('x')
        if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
            raise argparse.ArgumentTypeError(f'{part!r} is not DIMENSIONxFUNNELS, such as 32x4')
        pairs.append((int(numbers[0]), int(numbers[1])))
        try:
            funnels.load(*pairs[-1])
        except UserError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
    return pairs


def _methods(text: str) -> list[str]:
    unknown = [name for name in text.split(',') if name not in METHODS]
    if unknown:
        raise argparse.ArgumentTypeError(f'{unknown[0]!r} is unknown; known: {", ".join(METHODS)}')
    return text.split(',')


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f'{text!r} must be a whole number of at least 1')
    return int(text)
