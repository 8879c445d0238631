"""The captions of panels: what each one shows, for a reader who sees it for the first time."""

from typing import Any

# Caption by the beginning of a score's name; the longest beginning that matches is used.
_SCORES = {
    'fd_infinity': 'Fréchet distance extrapolated to infinitely many samples, which removes the bias of a finite number.',
    'fid_infinity': 'FID extrapolated to infinitely many samples, which removes the bias of a finite number.',
    'fd_': 'Fréchet distance between the features of samples and of training images: 0 if mean and covariance are equal.',
    'fid': 'Fréchet distance between the Inception features of samples and of training images.',
    'kd_': 'Kernel distance between the features of samples and of training images; unbiased for any number of samples.',
    'kid': 'Kernel distance between the Inception features of samples and of training images.',
    'precision': 'Share of the samples that lie among real images in feature space: quality.',
    'recall': 'Share of the real images that lie among samples in feature space: variety.',
    'density': 'How densely real images surround a sample on average; can exceed 1.',
    'coverage': 'Share of the real images with a sample nearby: variety. Outliers hardly raise it.',
    'classifier_score': 'Inception score with another classifier: high if each sample has a clear class and all classes occur.',
    'inception_score': 'High if the Inception network assigns each sample a clear class and many classes occur.',
    'modes': 'Number of classes whose share among samples is more than a tenth of their share among training images.',
    'kl_to_uniform': 'Divergence of the class shares of samples from equal shares: 0 if all classes are equally frequent.',
    'swd': 'Sliced Wasserstein distance between patches of samples and of training images; swd_14: at 14x14 pixels.',
    'ms_ssim': 'Average similarity of two samples. If it is far above that of real images, the samples lack variety.',
    'copying': 'Whether samples single out training images, as copies do: 1 for copies, 0.5 for new images, less for noise.',
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


def objective(config: dict[str, Any]) -> str:
    """The objective of a run, from its flat config; '' if it is unknown."""
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
    """The caption of a column of metrics.jsonl, for the objective of the run."""
    wasserstein = config.get('loss') == 'wasserstein'
    match name:
        case 'wasserstein_estimate' if wasserstein:
            return (
                'Mean score of real images minus mean score of generated ones. It is positive once the critic has caught up, and '
                'falls as the samples improve, unless the critic memorises the training images. Its scale depends on the critic.'
            )
        case 'wasserstein_estimate':
            return (
                'Mean logit of real images minus mean logit of generated ones. With this loss it estimates no distance and does '
                'not have to fall.'
            )
        case 'real_score' if wasserstein:
            return (
                'Mean score of real images (in colour) and of generated ones (grey). Their difference is the estimate; only the '
                'difference matters, since a critic may add any number to all scores.'
            )
        case 'real_score':
            return (
                'Mean logit of real images (in colour) and of generated ones (grey): 0 if the discriminator answers one half, '
                'far above or below if it is certain.'
            )
        case 'critic_loss' if wasserstein and config.get('gp_weight'):
            return 'The critic minimises it: minus the estimate, plus the weighted penalty.'
        case 'critic_loss' if wasserstein:
            return 'The critic minimises it: minus the estimate.'
        case 'critic_loss':
            return 'Cross-entropy of real against generated: 2 log 2 = 1.39 for a discriminator that always answers one half.'
        case 'generator_loss' if wasserstein:
            return 'Minus the mean score of generated images. The zero of a critic is arbitrary, so the height means nothing.'
        case 'generator_loss' if config.get('loss') == 'minimax':
            return 'Mean of log(1 - D) on generated images: -log 2 = -0.69 if D is one half, 0 if the discriminator is certain.'
        case 'generator_loss':
            return 'Mean of -log D on generated images: log 2 = 0.69 if D is one half, more if the discriminator is certain.'
    raise ValueError(f'{name} has no caption')


def score(name: str) -> str:
    """The caption of a score; '' if it is unknown."""
    return next((text for start, text in sorted(_SCORES.items(), key=lambda item: -len(item[0])) if name.startswith(start)), '')
