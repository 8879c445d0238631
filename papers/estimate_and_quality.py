"""The Wasserstein estimate of a WGAN over training, beside the quality of its samples: figure 3 of the WGAN paper.

Source: Arjovsky et al. 2017, section 4.2 and figure 3. An MLP and a DCGAN generator, each with a DCGAN critic, whose estimate falls
as samples get better; and an MLP for both players with a much too large learning rate, where both stay bad. The paper judges
bedrooms by eye; here quality is a score, and the correlation is computed over the scored steps.

The quick size uses scikit-learn's digits, upsample_cnn for the convolutional players, and c = 0.02. The full size is that of
configs/celeba_wgan.py and celeba_wgan_mlp.py, scored by swd, which needs no weights. It is for a GPU and has not been run; it keeps
20 checkpoints of each run, 1 GB.
"""

from papers.shared.curves import follow, in_words, picture
from papers.shared.output import Options
from papers.shared.players import CONVOLUTIONAL, LARGE_MLP, MLP_GENERATOR, MLPS, learning_rates
from papers.shared.runs import Size

_QUICK_GAME = {'clip_value': 0.02, **learning_rates(5e-4)}
QUICK_GAMES = {  # title: (name of a config, changes of its keys)
    'MLP generator, convolutional critic': ('digits_wgan', {**_QUICK_GAME, **MLP_GENERATOR}),
    'convolutional generator and critic': ('digits_wgan', {**_QUICK_GAME, **CONVOLUTIONAL}),
    'MLP for both, rate 100 times as large': ('digits_wgan', {**_QUICK_GAME, **learning_rates(5e-2), **MLPS}),
}
FULL_GAMES = {
    'MLP generator, convolutional critic': ('celeba_wgan_mlp', {}),
    'convolutional generator and critic': ('celeba_wgan', {}),
    'MLP for both, rate 100 times as large': ('celeba_wgan_mlp', {**learning_rates(5e-3), 'critic': LARGE_MLP}),
}
QUICK = Size(num_steps=1000, num_scores=10, num_samples=1000)
FULL = Size(num_steps=100_000, num_scores=20, num_samples=10_000)


def draw(options: Options) -> None:
    """Trains the three WGANs, and writes estimate_and_quality.png, .csv (scored steps) and _curves.csv (log points)."""
    games, size = (QUICK_GAMES, QUICK) if options.quick else (FULL_GAMES, FULL)
    name = 'estimate_and_quality'
    found, score = follow(options, name, games, size, lambda metrics: metrics['wasserstein_estimate'])
    picture(found, options, name, 'Wasserstein estimate', score)
    first = size.num_steps // size.num_scores
    print(f"From step {first} to {size.num_steps}, with Spearman's correlation of estimate and {score}:")
    for title, one in found.items():
        print(
            f'{title}: estimate {one.at_scores[0]:.3g} to {one.at_scores[-1]:.3g}, {score} {one.run.quality[0]:.3g} to '
            f'{one.run.quality[-1]:.3g}, correlation {in_words(one.correlation)}.'
        )
