"""Trains a GAN, WGAN or WGAN-GP.

    python train.py --config=digits_wgan_gp                 # a minute on 2 CPU cores; or: python train.py digits_wgan_gp
    python train.py --config=mnist_wgan_gp --config.batch_size=64 --workdir=runs/smaller
    python train.py --config=celeba_wgan --dry_run          # layers, parameters, memory and time
    python train.py --config=digits_wgan_gp --seeds=8       # eight runs in one program

The same command again continues a run that was stopped.
"""

from pathlib import Path

from absl import flags as absl_flags
from ml_collections import config_flags

from wgan_jax.runs import config_files, flags

_CONFIG = config_flags.DEFINE_config_file('config', None, 'The name of a config, listed below, or a Python file of your own.')
_WORKDIR = absl_flags.DEFINE_string('workdir', None, "The run's directory, resumed if it exists; default: runs/<config name>.")
_SEEDS = absl_flags.DEFINE_integer(
    'seeds', None, 'Trains so many runs at once, with seeds from config.seed on, in WORKDIR/seed_<n>.'
)
_PLACE = flags.define_place()
_TRACK = flags.define_track()
_DRY_RUN = absl_flags.DEFINE_bool('dry_run', False, 'Print the resolved config, layers, parameters, memory and time, and exit.')


def main() -> None:
    """Trains, or prints what training would need."""
    from wgan_jax.runs import build, members  # slow to import, like the next: a mistyped flag is answered before
    from wgan_jax.training import command

    config, dry = _CONFIG.value, _DRY_RUN.value
    workdir = _WORKDIR.value or str(Path('runs', Path(config_flags.get_config_filename(absl_flags.FLAGS['config'])).stem))
    place = command.Place(*_PLACE())
    if _SEEDS.value is None:
        command.train_one(lambda: build.prepare(config), workdir, place, dry=dry, track=_TRACK.value)
    else:
        workdir = workdir if _WORKDIR.value else f'{workdir}_seeds'
        command.train_many(
            lambda: build.prepare_group(members.combine(config, {'': {}}, _SEEDS.value)),
            workdir,
            place,
            count=lambda: _SEEDS.value,
            dry=dry,
            track=_TRACK.value,
        )


def run() -> None:
    """Parses the command line and runs it."""
    config_files.make_importable()
    from configs.default import get_config

    flags.run(main, _CONFIG, get_config, __doc__)


if __name__ == '__main__':
    run()
