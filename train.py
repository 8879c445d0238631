"""Trains a GAN, WGAN or WGAN-GP.

    python train.py --config=configs/digits_wgan_gp.py

Flags and exit status; the program is wgan_jax/training/.
"""

import os
import sys
from pathlib import Path

from absl import app
from absl import flags as absl_flags
from ml_collections import config_flags

from configs.default import get_config
from wgan_jax.runs import flags, terminal

_CONFIG = config_flags.DEFINE_config_file('config', None, 'A file of configs/; any key can be set: --config.num_steps=100.')
_WORKDIR = absl_flags.DEFINE_string('workdir', None, "The run's directory, resumed if it exists; default: runs/<config name>.")
_COORDINATOR = absl_flags.DEFINE_string(
    'coordinator', None, 'HOST:PORT of the first process of a run of several; see docs/scaling.md.'
)
_NUM_PROCESSES = absl_flags.DEFINE_integer('num_processes', None, 'Processes of the run; not needed on a cluster that JAX detects.')
_PROCESS_ID = absl_flags.DEFINE_integer('process_id', None, 'Number of this process, from 0.')
_DRY_RUN = absl_flags.DEFINE_bool('dry_run', False, 'Print the resolved config, layers, parameters and memory, and exit.')


def main(argv: list[str]) -> None:
    """Trains, or prints what training would need."""
    del argv
    terminal.outlast_the_terminal()
    if not absl_flags.FLAGS['verbosity'].present:
        terminal.keep_orbax_quiet()
    import jax  # slow to import, like the following: a mistyped flag is answered before

    from wgan_jax.devices import cluster, compiling, parallel, processes
    from wgan_jax.errors import LocalError, UserError
    from wgan_jax.runs.experiment import prepare
    from wgan_jax.training import dry_run, stopping, trainer

    workdir = _WORKDIR.value or str(Path('runs', Path(config_flags.get_config_filename(absl_flags.FLAGS['config'])).stem))
    several = False
    try:
        if not _DRY_RUN.value:
            cluster.join(_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
        parallel.check_devices()
        several = jax.process_count() > 1
        if not several:  # JAX would have several processes share one cache, on a disk that all of them see
            compiling.use_compilation_cache()
        if not processes.is_first():
            sys.stdout = open(os.devnull, 'w')  # noqa: SIM115 - only process 0 prints
        with processes.all_or_none():
            experiment = prepare(_CONFIG.value)
        if _DRY_RUN.value:
            dry_run.dry_run(experiment)
            return
        stopped_by = trainer.train(experiment, workdir)
        if stopped_by is not None:
            stopping.ignore()
            sys.exit(128 + stopped_by)  # the shell's convention for a signal: 130 after Ctrl-C, 143 after SIGTERM
    except UserError as error:
        if several and isinstance(error, LocalError):
            cluster.exit_at_once(f'Error: {error}', 1)
        sys.exit(f'Error: {error}')
    except Exception as error:
        if not several:
            raise
        cluster.end(error)
    except KeyboardInterrupt:
        if several:
            cluster.exit_at_once('Interrupted; what was saved before is intact.', 130)
        print('Interrupted; what was saved before is intact.')
        sys.exit(130)


if __name__ == '__main__':
    app.run(main, flags_parser=lambda argv: flags.parse(argv, _CONFIG, get_config))
