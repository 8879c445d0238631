"""Writes the generator of a run as one file that runs with jax alone, without this code.

    python -m wgan_jax.export --workdir=RUN                    # the newest checkpoint; --step=N or --step=best for another

It writes generator.stablehlo, with the weights inside, and generator.json, which says what goes in, what comes out, where it is
from and how to load it, into exported/ in the run's directory.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wgan_jax.errors import UserError
from wgan_jax.runs.files import make_directories, path_of

NAME = 'generator.stablehlo'


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m wgan_jax.export', description='Writes the generator of a run for others.', allow_abbrev=False
    )
    parser.add_argument('--workdir', required=True, help='directory of the run')
    parser.add_argument('--step', help="number of a checkpoint, or 'best', by the run's best_metric; default: the newest")
    parser.add_argument('--raw', action='store_true', help='the generator itself, even if the run has an average of it')
    parser.add_argument('--out', type=path_of, help='directory of what is written; default: exported in the workdir')
    return parser.parse_args(arguments)


def export(arguments: argparse.Namespace) -> dict[str, Any]:
    """Does what the command line says, and returns what is in generator.json.

    Raises:
      UserError: there is no such run or checkpoint, or the files cannot be written.
    """
    from wgan_jax.export import stablehlo
    from wgan_jax.runs.files import replace_file
    from wgan_jax.runs.saved_run import open_run

    run = open_run(arguments.workdir, arguments.step)
    state = run.state.replace(ema=None) if arguments.raw else run.state
    out = arguments.out or path_of(arguments.workdir) / 'exported'
    make_directories(out)
    program = stablehlo.export_generator(state, run.config.latent_dim)
    content = bytes(program.serialize())
    config = run.config
    facts = {
        'generator': 'exponential moving average' if state.ema else 'raw',
        'step': run.step,
        'config': {
            'data': config.data.name,
            'network': {name: value for name, value in config.generator.items() if value is not None},
            **{name: config[name] for name in ('dtype', 'loss', 'clip_value', 'gp_weight', 'gp_one_sided', 'ema_decay', 'seed')},
        },
    }
    description = stablehlo.describe(program, content, NAME, facts)
    path = out / NAME
    try:
        replace_file(path, content)
        replace_file(path.with_suffix('.json'), (json.dumps(description, indent=1) + '\n').encode())
    except OSError as error:
        raise UserError(f'{error.filename or out} cannot be written ({error.strerror}): give another --out.') from error
    return description


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parsed = parse(sys.argv[1:] if arguments is None else arguments)
    from wgan_jax.runs import terminal

    terminal.keep_orbax_quiet()
    try:
        description = export(parsed)
    except UserError as error:
        sys.exit(f'Error: {error}')
    out = parsed.out or Path(parsed.workdir) / 'exported'
    print(f'Written: {out / NAME}, the {description["generator"]} generator of step {description["step"]}. To load it:\n')
    print('\n'.join(description['load']))


if __name__ == '__main__':
    from wgan_jax.runs.terminal import outlast_the_terminal

    outlast_the_terminal()
    main()
