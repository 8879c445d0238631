"""Trains a config with many settings and seeds, those that differ in numbers only in one program.

    python -m wgan_jax.sweep --config=digits_wgan_gp --set gp_weight=1,10,100 --seeds=3
    python -m wgan_jax.sweep --config=digits_wgan_gp --set n_critic=1,5 --set critic_optimizer.learning_rate=1e-4,1e-3
    python -m wgan_jax.sweep --config=mnist_wgan_gp --random=50 --space=lucic --confirm=5

Each run leaves in WORKDIR/<name> what train.py would leave, and WORKDIR/report.html compares them. Settings are ranked by a score
of the last step, if the runs are scored (--config.eval_every). The winner of a search looks better than it is, so
--confirm=N trains it anew with N seeds that the search has not seen, in WORKDIR/confirmed.
"""

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags as absl_flags
from ml_collections import ConfigDict, config_flags

from wgan_jax.runs import config_files, flags

if TYPE_CHECKING:
    from wgan_jax.runs.experiment import Experiment

_CONFIG = config_flags.DEFINE_config_file(
    'config', None, 'What the runs have in common: the name of a config, listed below, or a Python file of your own.'
)
_SET = absl_flags.DEFINE_multi_string('set', [], 'KEY=VALUE,VALUE,...: values of a key; given several times: all combinations.')
_RANDOM = absl_flags.DEFINE_integer('random', None, 'So many random settings instead, from --space.')
_SPACE = absl_flags.DEFINE_string(
    'space', None, 'The ranges: lucic, or a Python file with get_space(config) as configs/sweeps/lucic.py has it.'
)
_SEEDS = absl_flags.DEFINE_integer('seeds', 1, 'Runs of each setting, with seeds from config.seed on.')
_BY = absl_flags.DEFINE_string('by', None, 'The score that ranks the settings; default: the first one.')
_CONFIRM = absl_flags.DEFINE_integer('confirm', 0, 'Train the best setting anew with so many fresh seeds.', lower_bound=0)
_WORKDIR = absl_flags.DEFINE_string('workdir', None, 'Directory of the runs; default: runs/<config name>_sweep.')
_PLACE = flags.define_place()
_TRACK = flags.define_track()
_DRY_RUN = absl_flags.DEFINE_bool('dry_run', False, 'Print the runs, programs, memory and time, and exit.')


def main() -> None:
    """Trains the sweep."""
    from wgan_jax.training import command  # slow to import: a mistyped flag is answered before

    config = _CONFIG.value
    name = Path(config_flags.get_config_filename(absl_flags.FLAGS['config'])).stem
    workdir = _WORKDIR.value or str(Path('runs', f'{name}_sweep'))
    command.train_many(
        lambda: _prepare(config),
        workdir,
        command.Place(*_PLACE()),
        count=lambda: len(_settings(config)) * _SEEDS.value,
        dry=_DRY_RUN.value,
        track=_TRACK.value,
        then=lambda: _rank(config, workdir, _TRACK.value),
    )


def _prepare(config: ConfigDict) -> 'dict[str, Experiment]':
    """The runs of the sweep.

    Raises:
      UserError: the options are wrong.
    """
    from wgan_jax.data.source import is_points
    from wgan_jax.errors import UserError
    from wgan_jax.runs.build import prepare_group
    from wgan_jax.runs.members import combine
    from wgan_jax.sweep.best import check_metric

    experiments = prepare_group(combine(config, _settings(config), _SEEDS.value))
    if config.eval_every is None and (_CONFIRM.value or _BY.value):
        option = f'--confirm={_CONFIRM.value}' if _CONFIRM.value else f'--by={_BY.value}'
        if any(is_points(experiment.data.source.image_shape) for experiment in experiments.values()):
            raise UserError(f'{option} needs scores, which exist for images only: omit it, and compare the curves of the report.')
        raise UserError(f'{option} needs scores: set --config.eval_every.')
    check_metric(_BY.value, experiments, confirm=bool(_CONFIRM.value))
    return experiments


def _settings(config: ConfigDict) -> dict[str, dict[str, Any]]:
    """The settings, by the names that their runs have."""
    from configs.default import get_config
    from wgan_jax.errors import UserError
    from wgan_jax.runs import settings
    from wgan_jax.runs.config import flatten

    optional = [name for name, value in flatten(get_config().to_dict()).items() if value is None]
    if _RANDOM.value is None and _SPACE.value is None:
        if not _SET.value:
            raise UserError(
                'A sweep needs --set KEY=VALUE,VALUE,... or --random=N --space=FILE; for seeds alone use train.py --seeds=N.'
            )
        return settings.grid(config, _SET.value, optional)
    if _SET.value or _RANDOM.value is None or _SPACE.value is None or _RANDOM.value < 1:
        raise UserError('A random search needs --random=N, at least 1, and --space=FILE, and no --set.')
    space = settings.read_space(config_files.find(_SPACE.value, 'search space', 'sweeps'), config)
    return settings.draw(config, space, _RANDOM.value, config.seed, optional)


def _rank(config: ConfigDict, workdir: str, track: str | None) -> signal.Signals | None:
    """Prints the settings by their scores, if the runs are scored, and confirms the best one."""
    from wgan_jax.runs.build import prepare_group
    from wgan_jax.runs.files import run_directory
    from wgan_jax.runs.members import combine
    from wgan_jax.runs.tracking import tracking_by
    from wgan_jax.sweep.best import rank_and_confirm

    if config.eval_every is None:
        return None
    settings = _settings(config)
    fresh = config.copy_and_resolve_references()
    fresh.seed = config.seed + _SEEDS.value

    def anew(best: str) -> 'dict[str, Experiment]':
        return prepare_group(combine(fresh, {best: settings[best]}, _CONFIRM.value))

    names = combine(config, settings, _SEEDS.value)
    tracking = tracking_by(track, group=f'{Path(workdir).name}_confirmed')
    return rank_and_confirm(run_directory(workdir), names, _BY.value, anew if _CONFIRM.value else None, tracking)


def run() -> None:
    """Parses the command line and runs it."""
    config_files.make_importable()
    from configs.default import get_config

    flags.run(main, _CONFIG, get_config, __doc__)


if __name__ == '__main__':
    run()
