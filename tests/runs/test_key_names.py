"""What is said about mistyped keys and flags."""

import pytest

from configs.default import get_config
from tests.conftest import ROOT
from wgan_jax.runs import key_names

BOTH = 'critic_optimizer.{0} and generator_optimizer.{0}.'


@pytest.fixture(autouse=True)
def _beside_configs(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(
    ('name', 'hint'),
    [
        ('n_critc', "did you mean 'n_critic'?"),
        ('critic.nom', "did you mean 'critic.norm'?"),
        ('critic_optimiser.b1', "did you mean 'critic_optimizer.b1'?"),
        ('critic_optimiser.bb', 'configs/default.py lists every key.'),
        ('dta', "did you mean 'data'?"),
        ('critic..norm', 'there are critic.norm and generator.norm.'),
        ('batch-size', "did you mean 'batch_size'?"),
        ('learning_rate', f'there are {BOTH.format("learning_rate")}'),
        ('lerning_rate', f'there are {BOTH.format("learning_rate")}'),
        ('lr', f'there are {BOTH.format("learning_rate")}'),
        ('critic.beta1', f'there are {BOTH.format("b1")}'),
        ('norm', 'there are critic.norm and generator.norm.'),
        ('dir', "did you mean 'data.dir'?"),
        ('model.latent_dim', "did you mean 'latent_dim'?"),
        ('lambda_gp', "did you mean 'gp_weight'?"),
        ('optimizer', 'there are critic_optimizer.name and generator_optimizer.name.'),
        ('num_epochs', '--config.interval_unit=epochs --config.num_steps=N trains N epochs.'),
        ('seed.x', 'configs/default.py lists every key.'),
        ('xyz', 'configs/default.py lists every key.'),
        ('', 'configs/default.py lists every key.'),
    ],
)
def test_a_key_that_does_not_exist(name, hint):
    assert key_names.wrong_key(name, get_config()) == f'there is no key {name!r} in the config; {hint}'


def test_keys_that_exist():
    for name in ('seed', 'critic_optimizer.learning_rate', 'data.dir'):
        assert key_names.wrong_key(name, get_config()) is None
    assert key_names.wrong_key('data', get_config()) == 'config.data is a section; set a key in it.'


@pytest.mark.parametrize(
    ('argument', 'message'),
    [
        ('--batch_size=32', '--batch_size is a key of the config: write --config.batch_size=32.'),
        ('-batch-size', '--batch-size is a key of the config: write --config.batch_size=32.'),
        ('--seed', '--seed is a key of the config: write --config.seed=32.'),
        ('--seed=', '--seed is a key of the config: write --config.seed=VALUE.'),
        ('--data.dir=a=b', '--data.dir is a key of the config: write --config.data.dir=a=b.'),
        ('--epochs=3', 'there is no flag --epochs: --config.interval_unit=epochs --config.num_steps=N trains N epochs.'),
        ('--resume', 'there is no flag --resume: the same command again continues a run.'),
        ('--wandb', 'there is no flag --wandb: it is --track=wandb.'),
        (
            '--lr=1e-4',
            '--lr is a key of the config: write --config.critic_optimizer.learning_rate=1e-4 or '
            '--config.generator_optimizer.learning_rate=1e-4.',
        ),
        ('--verbosty=1', 'there is no flag --verbosty; did you mean --verbosity?'),
        ('--batch_sise=32', 'there is no flag --batch_sise; did you mean --config.batch_size?'),
        ('--qqqq=1', 'there is no flag --qqqq; --help lists the flags.'),
    ],
)
def test_a_flag_that_does_not_exist(argument, message):
    name = argument.lstrip('-').partition('=')[0]
    assert key_names.unknown_flag(name, ['train.py', '--other', argument, '32'], get_config()) == message
    assert key_names.unknown_flag('seed', ['train.py', '--seed', '--dry_run'], get_config()).endswith('--config.seed=VALUE.')
