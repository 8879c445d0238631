"""What a panel shows, in a sentence or two for somebody who sees it for the first time."""

from typing import Any

# The beginning of a score's name: what it is. The longest beginning counts.
_SCORES = {
    'fd_infinity': 'The Fréchet distance, extrapolated to infinitely many samples: the bias of a finite number is taken out.',
    'fid_infinity': 'FID, extrapolated to infinitely many samples: the bias of a finite number is taken out.',
    'fd_': 'Fréchet distance between the features of samples and of images of training: 0 if mean and covariance are equal.',
    'fid': 'Fréchet distance between Inception features of samples and of images of training.',
    'kd_': 'Kernel distance between the features of samples and of images of training; without bias for any number of them.',
    'kid': 'Kernel distance between Inception features of samples and of images of training.',
    'precision': 'The share of samples that lie among real images, by their features: quality.',
    'recall': 'The share of real images that lie among samples: variety.',
    'density': 'How densely real images lie around a sample, on average; may exceed 1.',
    'coverage': 'The share of real images with a sample near them: variety, and hard to raise by outliers.',
    'classifier_score': 'The Inception score of another classifier: high if each sample has a clear class, and all classes occur.',
    'inception_score': 'High if each sample has a clear class for the Inception network, and many classes occur.',
    'modes': 'The number of classes that are not missing: with a tenth or more of their share among images of training.',
    'kl_to_uniform': 'How far the classes of the samples are from equal shares: 0 if all are equally frequent.',
    'swd': 'Sliced Wasserstein distance between patches of samples and of images of training; 8: in images of that size.',
    'ms_ssim': 'How alike two samples are on average: far above real images, the samples lack variety.',
    'copying_distance_ratio': 'Distance to the nearest image of training, over that of new real images: copies are far below 1.',
    'copying': 'The chance that a sample is nearer to an image of training than a new real image is: 1 for copies, else about 0.5.',
}
SLOPES = (
    'Slopes between pairs of a real and a generated image. An optimal critic has slope 1 (the orange line) between those that the '
    'optimal transport joins (Gulrajani et al. 2017, proposition 1); the penalty asks for it between any two. Clipping bounds '
    'slopes, and does not say where they lie.'
)
WEIGHTS = 'With clipping, weights tend to gather at the two bounds (orange); with a penalty not (Gulrajani et al. 2017, figure 1b).'
GRADIENTS = 'How the gradient grows or shrinks on its way through the critic: where it explodes or vanishes, training is hard.'
NORMS = 'How far each kernel can stretch what goes in. In an MLP without norms their product is a bound for every slope.'
CLASSES = (
    'The classes that a classifier sees in the samples (grey: in real images). A class whose bar is gone is lost to the generator.'
)


def game(config: dict[str, Any]) -> str:
    """What is played, from the keys of a flat config; '' if they are not there."""
    if 'loss' not in config:
        return ''
    clip, weight = config.get('clip_value'), config.get('gp_weight')
    names = {'wasserstein': 'WGAN', 'non_saturating': 'GAN, -log D trick', 'minimax': 'GAN, minimax'}
    name = names.get(str(config['loss']), str(config['loss']))
    if weight:
        kind = 'LP' if config.get('gp_one_sided') else 'GP'
        return f'WGAN-{kind}, weight {weight}' if name == 'WGAN' else f'{name}, with gradient penalty, weight {weight}'
    return f'{name}, c = {clip}' if clip is not None else name


def quantity(name: str, config: dict[str, Any]) -> str:
    """What a column of metrics.jsonl is in the game of a run."""
    wasserstein = config.get('loss') == 'wasserstein'
    match name:
        case 'wasserstein_estimate' if wasserstein:
            return (
                'Mean score of real images minus that of generated ones. Once the critic has caught up it is positive, and falls '
                'while the samples get better. Its scale depends on the critic.'
            )
        case 'wasserstein_estimate':
            return (
                'Mean logit of real images minus that of generated ones. In this game it estimates no distance, and need not fall.'
            )
        case 'critic_loss' if wasserstein and config.get('gp_weight'):
            return 'What the critic minimises: minus the estimate, plus the weighted penalty.'
        case 'critic_loss' if wasserstein:
            return 'What the critic minimises: minus the estimate.'
        case 'critic_loss':
            return 'Cross-entropy of telling real from generated: 2 log 2 = 1.39 for a discriminator that always says one half.'
        case 'generator_loss' if wasserstein:
            return 'Minus the mean score of generated images. The zero of a critic is arbitrary, so its height says nothing.'
        case 'generator_loss' if config.get('loss') == 'minimax':
            return 'Mean of log(1 - D) on generated images: -log 2 = -0.69 where D is one half, 0 where the discriminator is sure.'
        case 'generator_loss':
            return 'Mean of -log D on generated images: log 2 = 0.69 where D is one half, more where the discriminator is sure.'
    raise ValueError(f'{name} is not described')


def score(name: str) -> str:
    """What a score is, by its name; '' for one that is not known."""
    if '_error_' in name:
        return 'The standard error of the distance above.'
    return next(
        (text for beginning, text in sorted(_SCORES.items(), key=lambda item: -len(item[0])) if name.startswith(beginning)), ''
    )
