"""Exports the network that the command line names."""

import argparse
import json
from typing import Any

from wgan_jax.algorithm.losses import LOSSES
from wgan_jax.devices.parallel import check_devices
from wgan_jax.disk import replace_file
from wgan_jax.export import stablehlo
from wgan_jax.export.description import describe_critic, describe_generator
from wgan_jax.runs.files import make_directories, run_directory
from wgan_jax.runs.saved_run import open_run


def run(arguments: argparse.Namespace) -> None:
    """Exports, and prints what was written and how to load it."""
    description = export(arguments)
    out = arguments.out or run_directory(arguments.workdir) / 'exported'
    what = f'{description["generator"]} generator' if arguments.player == 'generator' else 'critic'
    print(f'Written: {out / description["file"]}, the {what} of step {description["step"]}. To load it:\n')
    print('\n'.join(description['load']))


def export(arguments: argparse.Namespace) -> dict[str, Any]:
    """Writes both files, and returns the content of the JSON file.

    Raises:
      UserError: there is no such run or checkpoint.
      OSError: a file cannot be written.
    """
    check_devices()
    saved = open_run(arguments.workdir, arguments.step, trust_code=arguments.trust_code)
    out = arguments.out or run_directory(arguments.workdir) / 'exported'
    make_directories(out)
    player, experiment, config = arguments.player, saved.experiment, saved.experiment.config
    facts = {
        'step': saved.step,
        'config': {
            'data': config['data']['name'],
            'network': {name: value for name, value in config[player].items() if value is not None},
            **{name: config[name] for name in ('dtype', 'loss', 'clip_value', 'gp_weight', 'gp_one_sided', 'ema_decay', 'seed')},
        },
    }
    path = out / f'{player}.stablehlo'
    if player == 'generator':
        state = saved.state_for_images(raw=arguments.raw)
        program = stablehlo.export_generator(state, experiment.latent_dim)
        content = bytes(program.serialize())
        facts = {'generator': 'exponential moving average' if state.ema else 'raw', **facts}
        description = describe_generator(program, content, path.name, facts)
    else:
        program = stablehlo.export_critic(saved.state, experiment.data.source.image_shape)
        content = bytes(program.serialize())
        description = describe_critic(program, content, path.name, facts, logits=LOSSES[config['loss']].gives_logits)
    replace_file(path, content)
    replace_file(path.with_suffix('.json'), (json.dumps(description, indent=1) + '\n').encode())
    return description
