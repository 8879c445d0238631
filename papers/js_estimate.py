"""A GAN's estimate of the Jensen-Shannon divergence over training, beside the quality of its samples: figure 4 of the WGAN paper.

Source: Arjovsky et al. 2017, section 4.2 and figure 4. With the critic's loss L, log 2 - L / 2 is a lower bound of the divergence
between images and samples, and gets closer to it as the critic is trained: here 5 updates per round, with the -log D loss for the
generator. The divergence is at most log 2, and has this value wherever samples and images do not overlap.

The players are those of estimate_and_quality, but the third pair has the learning rate of the others: in the paper, its GAN
generates nothing in any case. The convolutional critics have batch norm, as in the paper, and pass real and generated images
separately, so they are not functions of one image, and their number is no bound. The quick size uses Adam 1e-3. The full size is
that of configs/celeba_gan.py and celeba_gan_mlp.py; it is for a GPU and has not been run.
"""

import math

import numpy as np

from papers.shared.curves import follow, in_words, picture
from papers.shared.output import Options
from papers.shared.players import CONVOLUTIONAL, LARGE_MLP, MLP_GENERATOR, MLPS, learning_rates
from papers.shared.runs import Size

_QUICK_GAME = {'n_critic': 5, **learning_rates(1e-3)}
QUICK_GAMES = {  # title: (name of a config, changes of its keys)
    'MLP generator, convolutional critic': ('digits_gan', {**_QUICK_GAME, **MLP_GENERATOR}),
    'convolutional generator and critic': ('digits_gan', {**_QUICK_GAME, **CONVOLUTIONAL}),
    'MLP for both': ('digits_gan', {**_QUICK_GAME, **MLPS}),
}
FULL_GAMES = {
    'MLP generator, convolutional critic': ('celeba_gan_mlp', {'n_critic': 5}),
    'convolutional generator and critic': ('celeba_gan', {'n_critic': 5}),
    'MLP for both': ('celeba_gan_mlp', {'n_critic': 5, 'critic': LARGE_MLP}),
}
QUICK = Size(num_steps=1000, num_scores=10, num_samples=1000)
FULL = Size(num_steps=100_000, num_scores=20, num_samples=10_000)


def draw(options: Options) -> None:
    """Trains the three GANs, and writes js_estimate.png, js_estimate.csv (scored steps) and js_estimate_curves.csv (log points)."""
    games, size = (QUICK_GAMES, QUICK) if options.quick else (FULL_GAMES, FULL)
    found, score = follow(options, 'js_estimate', games, size, divergence)
    picture(found, options, 'js_estimate', 'Jensen-Shannon estimate', score, ceiling=math.log(2.0))
    print(
        f'From step {size.num_steps // size.num_scores} to {size.num_steps}, with log 2 = 0.693 and '
        f"Spearman's correlation of estimate and {score}:"
    )
    for title, one in found.items():
        print(
            f'{title}: estimate {one.at_scores.min():.3f} to {one.at_scores.max():.3f}, {score} {one.run.quality[0]:.3g} first and '
            f'{one.run.quality[-1]:.3g} last, correlation {in_words(one.correlation)}.'
        )


def divergence(metrics: dict[str, np.ndarray]) -> np.ndarray:
    """The estimate log 2 - L / 2 in nats: 0 for a critic that cannot separate the images, log 2 for one that is certain."""
    return math.log(2.0) - metrics['critic_loss'] / 2.0
