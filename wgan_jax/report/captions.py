"""The captions of panels: what each one shows, for a reader who sees it for the first time."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from wgan_jax.data import POINTS
from wgan_jax.data.source import is_points

# Name in words and caption, by the beginning of a score's name; the longest beginning that matches is used.
_SCORES = {
    'fd_infinity': (
        'Fréchet distance, extrapolated',
        'To infinitely many samples, which removes the bias of a finite number; can be a little below 0.',
    ),
    'fid_infinity': ('FID, extrapolated', 'To infinitely many samples, which removes the bias of a finite number.'),
    'fd_': (
        'Fréchet distance',
        'Between the features of samples and of training images: 0 if mean and covariance are equal.',
    ),
    'fid': ('FID', 'Fréchet distance between the Inception features of samples and of training images.'),
    'kd_': (
        'kernel distance',
        'Between the features of samples and of training images. Unbiased for any number of samples, so it can be below 0.',
    ),
    'kid': ('KID', 'Kernel distance between the Inception features of samples and of training images.'),
    'precision': ('precision', 'Share of the samples that lie among real images in feature space: quality.'),
    'recall': ('recall', 'Share of the real images that lie among samples in feature space: variety.'),
    'density': ('density', 'How densely real images surround a sample on average; can exceed 1.'),
    'coverage': ('coverage', 'Share of the real images with a sample nearby: variety. Outliers hardly raise it.'),
    'classifier_score': (
        'classifier score',
        'Inception score with another classifier: high if each sample has a clear class and all classes occur.',
    ),
    'inception_score': (
        'Inception score',
        'High if the Inception network assigns each sample a clear class and many classes occur.',
    ),
    'modes': (
        'classes found',
        'Number of classes whose share among samples is more than a tenth of their share among training images.',
    ),
    'kl_to_uniform': (
        'unevenness of classes',
        'Divergence of the class shares of samples from equal shares: 0 if all classes are equally frequent.',
    ),
    'swd': ('sliced Wasserstein distance', 'Between patches of samples and of training images.'),
    'ms_ssim': (
        'similarity of samples',
        'MS-SSIM of two samples on average. If it is far above that of real images, the samples lack variety.',
    ),
    'copying': (
        'copying',
        'Whether samples single out training images, as copies do: 1 for copies, 0.5 for new images, less for noise.',
    ),
}
SLOPES = (
    'Slopes between pairs of a real and a generated image. An optimal critic has slope 1 (orange line) between images that the '
    'optimal transport pairs (Gulrajani et al. 2017, proposition 1); the penalty asks for slope 1 between any two. Clipping bounds '
    'the slopes but does not fix their value.'
)
WEIGHTS = 'Clipped weights tend to gather at the two bounds (orange); penalised ones do not (Gulrajani et al. 2017, figure 1b).'
GRADIENTS = 'How the gradient grows or shrinks on its way through the critic. If it explodes or vanishes, training is difficult.'
NORMS = 'How much each kernel can stretch its input. In an MLP without normalisation, their product bounds every slope.'
CLASSES = 'The classes that a classifier assigns to the samples (grey: to real images). A class without a bar is never generated.'


_EXACT = ' Grey: the exact distance between {count} generated and {count} real points; dotted: between two samples of real points.'


_LOSSES = {'wasserstein': 'WGAN', 'non_saturating': 'GAN, -log D trick', 'minimax': 'GAN, minimax', 'hinge': 'GAN, hinge loss'}
_PENALTY = (
    'Mean of (slope - 1)², before it is multiplied by its weight: how far the critic is from slope 1 between real and generated '
    'images. A one-sided penalty counts only slopes above 1.'
)


def penalty(losses: Collection[str]) -> str:
    """The caption of the penalty, for the losses of the runs; a loss of the user's own may have a penalty of its own."""
    return _PENALTY if {*losses} <= {*_LOSSES} else 'The penalty of the loss, before it is multiplied by its weight.'


def objective(config: dict[str, Any]) -> str:
    """The objective of a run, from its flat config; '' if it is unknown."""
    if 'loss' not in config:
        return ''
    clip, weight = config.get('clip_value'), config.get('gp_weight')
    loss = str(config['loss'])
    name = _LOSSES.get(loss, loss)
    if weight and loss in _LOSSES:
        kind = 'LP' if config.get('gp_one_sided') else 'GP'
        return f'WGAN-{kind}, weight {weight}' if name == 'WGAN' else f'{name}, with gradient penalty, weight {weight}'
    if weight:  # of a loss of the user's own, which may have a penalty of its own
        return f'{name}, with penalty, weight {weight}'
    weights = config.get('critic.weights')
    if weights not in (None, 'plain'):
        return f'{name}, {weights} weights'
    return f'{name}, c = {clip}' if clip is not None else name


def quantity(name: str, config: dict[str, Any]) -> str:
    """The caption of a column of metrics.jsonl, for the objective of the run."""
    loss = config.get('loss')
    wasserstein, hinge, cross_entropy = loss == 'wasserstein', loss == 'hinge', loss in ('minimax', 'non_saturating')
    points = config.get('exact_points')
    match name:
        case 'wasserstein_true':
            return f'The exact distance between {points} generated and {points} real points, without a critic.'
        case 'wasserstein_estimate' if points is not None:
            return quantity(name, {**config, 'exact_points': None}) + _EXACT.format(count=points)
        case 'wasserstein_estimate' if wasserstein:
            return (
                'Mean score of real images minus mean score of generated ones. It is positive once the critic has caught up, and '
                'often falls as the samples improve, but not if the critic memorises the training images. Its scale depends on it.'
            )
        case 'wasserstein_estimate' if not (hinge or cross_entropy):
            return 'Mean score of real images minus mean score of generated ones.'
        case 'wasserstein_estimate':
            return (
                'Mean score of real images minus mean score of generated ones. With this loss it estimates no distance and does '
                'not have to fall.'
            )
        case 'real_score' if wasserstein:
            return (
                'Mean score of real images (in colour) and of generated ones (grey). Their difference is the estimate; only the '
                'difference matters, since a critic may add any number to all scores.'
            )
        case 'real_score' if hinge:
            return 'Mean score of real images (in colour) and of generated ones (grey). The critic wants them beyond 1 and -1.'
        case 'real_score' if not cross_entropy:
            return 'Mean score of real images (in colour) and of generated ones (grey).'
        case 'real_score':
            return (
                'Mean logit of real images (in colour) and of generated ones (grey): 0 if the discriminator answers one half, '
                'far above or below if it is certain.'
            )
        case 'critic_loss' if wasserstein and config.get('gp_weight'):
            return 'The critic minimises it: minus the estimate, plus the weighted penalty.'
        case 'critic_loss' if wasserstein:
            return 'The critic minimises it: minus the estimate.'
        case 'critic_loss' if hinge:
            return 'Mean distance of scores from their margins, 1 for real and -1 for generated images: 2 if all scores are 0.'
        case 'critic_loss' if not cross_entropy:
            return f'The loss {loss} of the critic.'
        case 'critic_loss':
            return 'Cross-entropy of real against generated: 2 log 2 = 1.39 for a discriminator that always answers one half.'
        case 'generator_loss' if hinge:
            return 'Minus the mean score of generated images: 1 where the critic keeps them at its margin.'
        case 'generator_loss' if wasserstein:
            return 'Minus the mean score of generated images. The zero of a critic is arbitrary, so the height means nothing.'
        case 'generator_loss' if not cross_entropy:
            return f'The loss {loss} of the generator.'
        case 'generator_loss' if loss == 'minimax':
            return 'Mean of log(1 - D) on generated images: -log 2 = -0.69 if D is one half, 0 if the discriminator is certain.'
        case 'generator_loss':
            return 'Mean of -log D on generated images: log 2 = 0.69 if D is one half, more if the discriminator is certain.'
    raise ValueError(f'{name} has no caption')


def of_data(text: str, config: dict[str, Any]) -> str:
    """The text about images, for the data of the run, which may be points."""
    return text.replace('images', 'points') if are_points(config) else text


def score(name: str) -> str:
    """The caption of a score; '' if it is unknown."""
    if '_error_' in name:
        return 'Standard error of the line above.'
    return _known(name)[1]


def score_in_words(name: str) -> str:
    """The name of a score in words, as in the middle of a sentence; the name itself if it is unknown."""
    words = _known(name)[0] or name
    if level := re.match(r'swd_(\d+)_', name):
        return f'{words}, {level[1]}x{level[1]} pixels'
    return f'{words}, error' if '_error_' in name else words


def with_commas(count: Any) -> str:
    """A number of images with commas; what is no whole number stays as it is."""
    return f'{count:,}' if isinstance(count, int) else str(count)


def heading(words: str) -> str:
    """Words with a capital letter."""
    return words[:1].upper() + words[1:]


def _is_called(name: str, start: str) -> bool:
    return name == start or name.startswith(start if start.endswith('_') else f'{start}_')


def _known(name: str) -> tuple[str, str]:
    matches = (entry for start, entry in sorted(_SCORES.items(), key=lambda item: -len(item[0])) if _is_called(name, start))
    return next(matches, ('', ''))


def are_points(config: Mapping[str, Any]) -> bool:
    """Whether the data of a run, by its flat config, are points."""
    shape = re.fullmatch(r'(\d+)x(\d+)x(\d+)', str(config.get('data.image_shape')))  # of an array of the user's own
    return str(config.get('data.name')) in POINTS or (shape is not None and is_points([int(size) for size in shape.groups()]))
