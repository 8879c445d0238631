"""The messages for bad values and for incomplete config files, word for word."""

import sys

import pytest

from tests.program.test_bad_config import answer, parse
from wgan_jax.devices import parallel

pytestmark = pytest.mark.filterwarnings('ignore:.*load_module:DeprecationWarning')  # of ml_collections, for each config file
HELD = 'is outside float32: use 0, or a size from 1.2e-38 to 3.4e+38.'


@pytest.mark.parametrize(
    ('name', 'override', 'message'),
    [
        ('digits_gan', 'batch_size=abc', "--config.batch_size='abc' must be a whole number."),
        ('digits_gan', 'batch_size=8\n8', "--config.batch_size='8\\n8' must be a whole number."),
        ('digits_gan', 'batch_size=' + 5000 * '1', "--config.batch_size='111111111111...1111111111111' must be a whole number."),
        ('digits_gan', 'gp_weight=ten', "--config.gp_weight='ten' must be a number."),
        ('digits_gan', 'deterministic=maybe', "--config.deterministic='maybe' must be True or False."),
        ('digits_gan', 'seed[0]=1', "there is no key 'seed[0]' in the config; did you mean 'seed'?"),
        (
            'digits_gan',
            'critic..norm=layer',
            "there is no key 'critic..norm' in the config; there are critic.norm and generator.norm.",
        ),
        ('digits_gan', 'data={}', 'config.data is a section; set a key in it.'),
        ('digits_gan', 'seed', 'Missing value for flag --config.seed.'),
        ('digits_gan', 'generator_optimizer.learning_rate=inf', f'config.generator_optimizer.learning_rate=inf {HELD}'),
        ('digits_gan', 'critic_optimizer.learning_rate=1e-320', f'config.critic_optimizer.learning_rate=1e-320 {HELD}'),
        (
            'digits_gan',
            'ema_decay=0.99999999',
            'config.ema_decay=0.99999999 must be at least 0 and less than 1 in float32, where it is 1.0.',
        ),
        (
            'digits_gan',
            'n_critic=1000000',
            'config.num_steps=15000 rounds with config.n_critic=1000000 are 15000000000 critic updates: there must be fewer than '
            '2^31.',
        ),
        (
            'digits_wgan_gp',
            'batch_size=1000000000',
            'This config needs at least 218.40 GiB of memory per device, and there are 4.00 GiB (latents '
            '119.21 GiB, real and fake images 59.60 GiB, the images of a round 39.58 GiB): change config.latent_dim=32 or '
            'config.batch_size=1000000000.',
        ),
        (
            'digits_gan',
            'num_samples=1000000',
            'config.num_samples=1000000 images make a picture of 2.15 GiB, and the limit is 1.00 GiB: use fewer.',
        ),
        (
            'celeba_wgan',
            'data.image_size=100000',
            'This config needs at least 10,058.28 GiB of memory per device, and there are 4.00 GiB (samples '
            '7,152.56 GiB, real and fake images 1,788.14 GiB, the images of a round 1,117.59 GiB): change config.num_samples=64 or '
            'config.latent_dim=100 or config.data.image_size=100000.',
        ),
        (
            'celeba_wgan',
            'generator.num_features=100000',
            'This config needs at least 50,077.53 GiB of memory per device, and there are 4.00 GiB (the generator '
            '50,077.51 GiB): change config.generator.num_features=100000 or config.latent_dim=100 or config.data.image_size=64.',
        ),
        (
            'celeba_wgan',
            'critic.num_extra_layers=1000',
            'config.critic.num_extra_layers=1000 must be at most 200: each layer is compiled separately.',
        ),
        (
            'celeba_wgan',
            'data.image_size=100',
            'config.generator.network=dcgan and config.critic.network=dcgan do not fit images of shape (100, 100, 3), of '
            'config.data.image_size=100, together: dcgan takes square images with a side of 16, 32, 64, 128 or 256.',
        ),
        (
            'celeba_wgan',
            'data.name=mnist',
            'config.data.crop=140 does not apply to config.data.name=mnist, which takes only dir, manual_dir, split: set '
            'it to None.',
        ),
        (
            'folder_wgan_gp',
            'data.folder=~nobody_here/x',
            'config.data.folder=~nobody_here/x starts with the home directory of an unknown user: check the path.',
        ),
    ],
)
def test_the_message_for_a_bad_value(monkeypatch, name, override, message):
    monkeypatch.setattr(parallel, 'known_bytes_per_device', lambda: 2**32)
    assert answer(name, override) == (f'Error: {message}', None)


@pytest.mark.parametrize(
    ('body', 'message'),
    [
        ('', 'the config file has no function get_config(); see configs/digits_wgan_gp.py for an example.'),
        ('{}', 'the config file does not set config.batch_norm_per_part: start with config = default.get_config().'),
        ("{**default, 'critic': None}", 'the config file does not set config.critic.activation: start with config = '),
    ],
)
def test_a_config_file_without_a_key_is_refused(tmp_path, body, message):
    lines = [
        'from configs.default import get_config as get_default',
        f'def get_config():\n    default = get_default()\n    return {body}',
    ]
    (tmp_path / 'mine.py').write_text('\n'.join(lines) if body else '')
    sys.modules.pop('config_config', None)  # ml_collections loads each file as a module of this name
    with pytest.raises(SystemExit) as caught:
        parse(['train.py', f'--config={tmp_path}/mine.py'])
    assert str(caught.value).startswith(f'Error: {message}')
