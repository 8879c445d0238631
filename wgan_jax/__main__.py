"""Lists the commands: python -m wgan_jax."""

from wgan_jax.runs.terminal import as_typed, outlast_the_terminal

_COMMANDS = {
    'python train.py': 'trains a run, or continues it',
    'python -m wgan_jax.sweep': 'trains a config with many settings and seeds',
    'python -m wgan_jax.sample': 'makes pictures with the generator of a run: grids, walks, films',
    'python -m wgan_jax.evaluate': 'scores a checkpoint of a run',
    'python -m wgan_jax.report': 'writes one HTML page of one or more runs',
    'python -m wgan_jax.export': 'writes the generator or the critic as one file that runs with jax alone',
}
_EXAMPLES = """
For example, in two minutes on 2 CPU cores:

    python train.py --config=digits_wgan_gp
    python -m wgan_jax.sample runs/digits_wgan_gp --walk"""


def main() -> None:
    """Prints the list."""
    print('Wasserstein GANs in JAX. The commands; --help after one says more:\n')
    width = max(len(as_typed(command)) for command in _COMMANDS)
    for command, does in _COMMANDS.items():
        print(f'    {as_typed(command):{width}}  {does}')
    print(as_typed(_EXAMPLES))


if __name__ == '__main__':
    outlast_the_terminal()
    main()
