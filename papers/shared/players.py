"""The players of figures 3 to 7 of the WGAN paper, as keys of a config."""

from typing import Any

# For scikit-learn's digits of 8x8 pixels; DCGAN needs at least 16x16.
MLP = {'network': 'mlp', 'num_features': 128, 'num_layers': 3, 'norm': 'none'}
CONVOLUTIONAL_GENERATOR = {'network': 'upsample_cnn', 'num_features': 16, 'num_layers': None, 'norm': 'batch'}
CONVOLUTIONAL_CRITIC = {**CONVOLUTIONAL_GENERATOR, 'num_features': 8}
MLP_GENERATOR = {'generator': MLP, 'critic': CONVOLUTIONAL_CRITIC}
CONVOLUTIONAL = {'generator': CONVOLUTIONAL_GENERATOR, 'critic': CONVOLUTIONAL_CRITIC}
MLPS = {'generator': MLP, 'critic': MLP}
# For images of 64x64 pixels: the paper's 4 layers of 512 units.
LARGE_MLP = {'network': 'mlp', 'num_features': 512, 'num_layers': 4, 'norm': 'none'}


def learning_rates(value: float) -> dict[str, Any]:
    """The same learning rate for both players."""
    return {f'{player}_optimizer': {'learning_rate': value} for player in ('generator', 'critic')}
