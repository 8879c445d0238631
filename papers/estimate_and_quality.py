"""The Wasserstein estimate of a WGAN over training, beside the quality of its samples: figure 3 of the WGAN paper.

Source: Arjovsky et al. 2017, section 4.2 and figure 3: an MLP and a DCGAN generator, each with a DCGAN critic, whose estimate
falls as samples get better; and an MLP for both with a learning rate that is far too large, where both stay bad. Theirs are
bedrooms, and quality is what one sees; here it is a score, and the correlation is over the scored steps.

The quick size takes scikit-learn's digits, where the convolutional players are upsample_cnn, and c = 0.02. The full size is that of
configs/celeba_wgan.py and celeba_wgan_mlp.py, scored by swd, which needs no weights; it is made for a GPU, and has not been run.
It keeps 20 checkpoints of each run, 1 GB.
"""

from papers import Options
from papers.curves import Size, follow, in_words, picture
from papers.players import CONVOLUTIONAL_CRITIC, CONVOLUTIONAL_GENERATOR, LARGE_MLP, MLP, rates

_TITLES = ('MLP generator, convolutional critic', 'convolutional generator and critic', 'MLP for both, rate 100 times as large')
_QUICK_GAME = {'clip_value': 0.02, **rates(5e-4)}
_QUICK_GAMES = (
    ('digits_wgan', {**_QUICK_GAME, 'generator': MLP, 'critic': CONVOLUTIONAL_CRITIC}),
    ('digits_wgan', {**_QUICK_GAME, 'generator': CONVOLUTIONAL_GENERATOR, 'critic': CONVOLUTIONAL_CRITIC}),
    ('digits_wgan', {**_QUICK_GAME, **rates(5e-2), 'generator': MLP, 'critic': MLP}),
)
_FULL_GAMES = (
    ('celeba_wgan_mlp', {}),
    ('celeba_wgan', {}),
    ('celeba_wgan_mlp', {**rates(5e-3), 'critic': LARGE_MLP}),
)
QUICK = Size(num_steps=1000, num_scores=10, num_samples=1000)
FULL = Size(num_steps=100_000, num_scores=20, num_samples=10_000)


def draw(options: Options) -> None:
    """Trains the three WGANs, and writes estimate_and_quality.png, .csv (scored steps) and _curves.csv (log points)."""
    games, size = (_QUICK_GAMES, QUICK) if options.quick else (_FULL_GAMES, FULL)
    games, name = dict(zip(_TITLES, games, strict=True)), 'estimate_and_quality'
    found, score = follow(options, name, games, size, lambda metrics: metrics['wasserstein_estimate'])
    picture(found, options, name, 'Wasserstein estimate', score)
    print(
        f"From step {size.num_steps // size.num_scores} to {size.num_steps}, with Spearman's correlation of estimate and {score}: "
        + '; '.join(
            f'{title}: estimate {one.at_scores[0]:.3g} to {one.at_scores[-1]:.3g}, {score} {one.run.quality[0]:.3g} to '
            f'{one.run.quality[-1]:.3g}, correlation {in_words(one.correlation)}'
            for title, one in found.items()
        )
        + '.'
    )
