"""The estimates of critics over training, beside the exact distance between generated and real points.

The WGAN paper claims that the estimate falls with the distance (Arjovsky et al. 2017, section 4.2), and shows it by eye, because
the distance of images is unknown. For points in the plane it can be computed exactly, as an assignment of generated to real points.
The runs are those of the toy configs, each to its end: a GAN, and WGANs with clipped weights, with a penalty, and with orthogonal
layers. The quick size compares 512 points of each kind, the full one 2,000.
"""

import numpy as np
from matplotlib.figure import Figure

from papers.shared.curves import running_median
from papers.shared.output import Options, write_csv
from papers.shared.runs import experiment_of, run_dir, train
from wgan_jax.runs.files import save_figure
from wgan_jax.runs.record import read_metrics
from wgan_jax.sample.colours import BLUE, DARK_GREY, GREY, PALE_BLUE

RUNS = {  # title: (name of a config, its number of steps)
    'GAN': ('toy_gan', 10_000),
    'WGAN, weights clipped': ('toy_wgan', 3000),
    'WGAN-GP': ('toy_wgan_gp', 3000),
    'WGAN, orthogonal layers': ('toy_wgan_tight', 3000),
}
QUICK_POINTS, POINTS = 512, 2000
_COLUMNS = ('wasserstein_estimate', 'wasserstein_true', 'wasserstein_floor')


def draw(options: Options) -> None:
    """Trains the four, and writes exact_distance.png and .csv (every log point)."""
    points = QUICK_POINTS if options.quick else POINTS
    found = {}
    for number, (title, (name, num_steps)) in enumerate(RUNS.items()):
        experiment = experiment_of(name, options, num_steps=num_steps, num_scores=1, exact_points=points)
        directory = run_dir(options, 'exact_distance', number)
        train(experiment, directory)
        lines = read_metrics(directory)
        found[title] = {column: np.array([line[column] for line in lines]) for column in ('step', *_COLUMNS)}
    columns = {column: np.concatenate([one[column] for one in found.values()]) for column in ('step', *_COLUMNS)}
    titles = np.repeat(list(found), [len(one['step']) for one in found.values()])
    write_csv(options.out / 'exact_distance.csv', {'run': titles, **columns})
    _picture(found, options)
    print('First, lowest and last running median:')
    for title, one in found.items():
        estimate, exact = (_in_words(running_median(one[column])) for column in _COLUMNS[:2])
        print(f'{title}: estimate {estimate}; exact distance {exact}.')


def _in_words(values: np.ndarray) -> str:
    return f'{values[0]:.3g}, {values.min():.3g} and {values[-1]:.3g}'


def _picture(found: dict[str, dict[str, np.ndarray]], options: Options) -> None:
    """A panel per run, all with the same logarithmic axis; estimates of 0 and below are left out."""
    figure = Figure(figsize=(4 * len(found), 3.6), layout='constrained')
    for axes, (title, one) in zip(figure.subplots(1, len(found), sharey=True), found.items(), strict=True):
        step, estimate, exact, floor = (one[column] for column in ('step', *_COLUMNS))
        axes.plot(step, np.where(estimate > 0, estimate, np.nan), color=PALE_BLUE)
        axes.plot(step, running_median(estimate), color=BLUE, label="the critic's estimate")
        axes.plot(step, running_median(exact), color=DARK_GREY, label='exact distance')
        axes.plot(step, running_median(floor), color=GREY, linestyle=':', label='the same between real points')
        axes.set(xlabel='step', yscale='log', ylim=(0.008, 8), title=title)
    figure.axes[0].set_ylabel('distance, or difference of scores')
    figure.axes[0].legend(fontsize='small', frameon=False)
    save_figure(figure, options.out / 'exact_distance.png')
