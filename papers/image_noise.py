"""Noise on all points gives a GAN a gradient between two parallel lines (Arjovsky and Bottou 2017, section 3).

The lines are those of parallel_lines.py: the data (0, Z), the generator's points (theta, Z). Without noise their Jensen-Shannon
divergence is log 2 at every theta but 0, and a discriminator near its optimum gives the generator no gradient. With normal noise of
standard deviation s on the points of both lines, which is the key `image_noise` of a config, only the noise along theta tells them
apart. So the divergence is that of N(0, s^2) and N(theta, s^2), which is integrated here, and its slope points to the data.

Dots are discriminators, each trained for a long time at one theta and one s while the generator is fixed.
"""

import math

import numpy as np
import scipy.special
import scipy.stats
from matplotlib.figure import Figure

from papers.parallel_lines import Size, trained
from papers.shared.output import Options, write_csv
from wgan_jax.algorithm.noise import ImageNoise
from wgan_jax.runs.files import save_figure
from wgan_jax.sample.colours import BLUE, GREEN, GREY, ORANGE

_NOISE = {0.0: GREY, 0.1: BLUE, 0.3: ORANGE, 1.0: GREEN}  # standard deviation: colour
_FARTHEST = 2.0  # the largest theta

QUICK = Size(num_thetas=10, num_features=64, num_updates=1_000, batch_size=256)
FULL = Size(num_thetas=20, num_features=512, num_updates=5_000, batch_size=256)


def draw(options: Options, size: Size | None = None) -> None:
    """Writes image_noise.png and image_noise.csv: divergences in nats, and their derivatives by theta."""
    size = size or (QUICK if options.quick else FULL)
    thetas = _FARTHEST * np.arange(1, size.num_thetas + 1) / size.num_thetas
    columns = {'noise': np.repeat(list(_NOISE), len(thetas)), 'theta': np.tile(thetas, len(_NOISE))}
    columns['js'], columns['js_slope'] = divergence(columns['theta'], columns['noise'])
    found = [trained(thetas, 'minimax', size, ImageNoise(std, until=None) if std else None) for std in _NOISE]
    losses, gradients = (np.concatenate(values) for values in zip(*found, strict=True))
    columns |= {'js_estimate': math.log(2) - losses / 2, 'js_estimate_slope': gradients / 2}
    write_csv(options.out / 'image_noise.csv', columns)
    _picture(columns, options)
    for std in _NOISE:
        here = columns['noise'] == std
        slopes = columns['js_estimate_slope'][here]
        best = np.argmax(slopes)
        print(
            f'noise {std:g}: slope {slopes[0]:.2g} at theta = {thetas[0]:g}, {slopes[-1]:.2g} at {thetas[-1]:g}'
            + (f'; the largest, {slopes[best]:.2f}, at {thetas[best]:g}' if std else ', from which a generator cannot learn')
        )


def divergence(thetas: np.ndarray, stds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Jensen-Shannon divergence of N(0, std^2) and N(theta, std^2), in nats, and its derivative by theta; theta is not 0.

    Args:
      thetas: [N].
      stds: [N]; 0: without noise.
    """
    values, slopes = np.full(len(thetas), math.log(2)), np.zeros(len(thetas))
    unit = np.linspace(-12, 12, 20_001)  # in standard deviations
    weights = scipy.stats.norm.pdf(unit) * (unit[1] - unit[0])
    for place, (theta, std) in enumerate(zip(thetas, stds, strict=True)):
        if std:
            distance = theta / std
            # log(q / (p + q)) at the points theta + std * unit of q, where log(p / q) = -distance * unit - distance^2 / 2. By the
            # symmetry of p and q the other half of the divergence is the same. Its derivative is that of q's density only, since
            # a change of the optimal discriminator has no effect of first order.
            log_share = -np.logaddexp(0, -distance * unit - distance**2 / 2)
            values[place] = math.log(2) + weights @ log_share
            slopes[place] = weights @ (unit / std * log_share) / 2
    return values, slopes


def _picture(columns: dict[str, np.ndarray], options: Options) -> None:
    """Divergences on the left, slopes on the right; lines are exact, dots are from trained discriminators."""
    figure = Figure(figsize=(9, 3.6), layout='constrained')
    values, slopes = figure.subplots(1, 2)
    line = np.linspace(0.005, _FARTHEST, 200)
    for std, colour in _NOISE.items():
        here = columns['noise'] == std
        for axes, exact, name in zip((values, slopes), divergence(line, np.full(len(line), std)), ('js', 'js_slope'), strict=True):
            axes.plot(line, exact, color=colour, label=f'noise {std:g}' if std else 'no noise')
            axes.plot(columns['theta'][here], columns[name.replace('js', 'js_estimate')][here], 'o', color=colour, markersize=4)
    values.set(title='Jensen-Shannon divergence', ylabel='nats', ylim=(0, 0.75))
    slopes.set(title='Its slope, from which the generator learns', ylabel=r'derivative by $\theta$')
    slopes.set_yscale('symlog', linthresh=1e-3)
    for axes in (values, slopes):
        axes.set_xlabel(r'$\theta$, the distance of the lines')
    values.legend(loc=(0.7, 0.46), fontsize='small')
    save_figure(figure, options.out / 'image_noise.png')
