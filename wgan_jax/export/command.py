"""Exports the generator that the command line names."""

import argparse
import json
from typing import Any

from wgan_jax.devices.parallel import check_devices
from wgan_jax.disk import replace_file
from wgan_jax.export import stablehlo
from wgan_jax.runs.files import make_directories, run_directory
from wgan_jax.runs.saved_run import open_run

NAME = 'generator.stablehlo'


def run(arguments: argparse.Namespace) -> None:
    """Exports, and prints what was written and how to load it."""
    description = export(arguments)
    out = arguments.out or run_directory(arguments.workdir) / 'exported'
    print(f'Written: {out / NAME}, the {description["generator"]} generator of step {description["step"]}. To load it:\n')
    print('\n'.join(description['load']))


def export(arguments: argparse.Namespace) -> dict[str, Any]:
    """Writes both files, and returns the content of generator.json.

    Raises:
      UserError: there is no such run or checkpoint.
      OSError: a file cannot be written.
    """
    check_devices()
    saved = open_run(arguments.workdir, arguments.step)
    state = saved.state.replace(ema=None) if arguments.raw else saved.state
    out = arguments.out or run_directory(arguments.workdir) / 'exported'
    make_directories(out)
    program = stablehlo.export_generator(state, saved.experiment.latent_dim)
    content = bytes(program.serialize())
    config = saved.experiment.config
    facts = {
        'generator': 'exponential moving average' if state.ema else 'raw',
        'step': saved.step,
        'config': {
            'data': config['data']['name'],
            'network': {name: value for name, value in config['generator'].items() if value is not None},
            **{name: config[name] for name in ('dtype', 'loss', 'clip_value', 'gp_weight', 'gp_one_sided', 'ema_decay', 'seed')},
        },
    }
    description = stablehlo.describe(program, content, NAME, facts)
    path = out / NAME
    replace_file(path, content)
    replace_file(path.with_suffix('.json'), (json.dumps(description, indent=1) + '\n').encode())
    return description
