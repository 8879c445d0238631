"""A GAN's estimate of the Jensen-Shannon divergence over training, beside the quality of its samples: figure 4 of the WGAN paper.

Source: Arjovsky et al. 2017, section 4.2 and figure 4. With L the loss of the critic, log 2 - L / 2 is a lower bound of the
divergence between images and samples, and the nearer to it the better the critic is trained: here 5 updates a round, the
generator's loss being that of the -log D trick. The divergence is log 2 at most, and no more where samples are nowhere near.

The players are those of estimate_and_quality, but for the third pair, whose rate is like that of the others: the paper's GAN
generates nothing there anyway. The quick size takes Adam 1e-3, the full size that of configs/celeba_gan.py and celeba_gan_mlp.py,
which is made for a GPU, and has not been run.
"""

import math

import numpy as np

from papers import Options
from papers.curves import Size, follow, in_words, picture
from papers.players import CONVOLUTIONAL_CRITIC, CONVOLUTIONAL_GENERATOR, LARGE_MLP, MLP, rates

_TITLES = ('MLP generator, convolutional critic', 'convolutional generator and critic', 'MLP for both')
_QUICK_GAME = {'n_critic': 5, **rates(1e-3)}
_QUICK_GAMES = (
    ('digits_gan', {**_QUICK_GAME, 'generator': MLP, 'critic': CONVOLUTIONAL_CRITIC}),
    ('digits_gan', {**_QUICK_GAME, 'generator': CONVOLUTIONAL_GENERATOR, 'critic': CONVOLUTIONAL_CRITIC}),
    ('digits_gan', {**_QUICK_GAME, 'generator': MLP, 'critic': MLP}),
)
_FULL_GAMES = (
    ('celeba_gan_mlp', {'n_critic': 5}),
    ('celeba_gan', {'n_critic': 5}),
    ('celeba_gan_mlp', {'n_critic': 5, 'critic': LARGE_MLP}),
)
QUICK = Size(num_steps=1000, num_scores=10, num_samples=1000)
FULL = Size(num_steps=100_000, num_scores=20, num_samples=10_000)


def draw(options: Options) -> None:
    """Trains the three GANs, and writes js_estimate.png, js_estimate.csv (scored steps) and js_estimate_curves.csv (log points)."""
    games, size = (_QUICK_GAMES, QUICK) if options.quick else (_FULL_GAMES, FULL)
    games = dict(zip(_TITLES, games, strict=True))
    found, score = follow(options, 'js_estimate', games, size, divergence)
    picture(found, options, 'js_estimate', 'Jensen-Shannon estimate', score, ceiling=math.log(2.0))
    print(
        f'log 2 is 0.693. From step {size.num_steps // size.num_scores} to {size.num_steps}, with the correlation of estimate and '
        f'{score} (Spearman): '
        + '; '.join(
            f'{title}: estimate {one.at_scores.min():.3f} to {one.at_scores.max():.3f}, {score} {one.run.quality[0]:.3g} first and '
            f'{one.run.quality[-1]:.3g} last, correlation {in_words(one.correlation)}'
            for title, one in found.items()
        )
        + '.'
    )


def divergence(metrics: dict[str, np.ndarray]) -> np.ndarray:
    """The estimate log 2 - L / 2, in nats: 0 where the critic cannot tell, log 2 where it is sure."""
    return math.log(2.0) - metrics['critic_loss'] / 2.0
