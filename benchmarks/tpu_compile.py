"""The training program compiled for TPUs, on a machine without one: memory, operations and collectives per core.

    pip install libtpu
    python benchmarks/tpu_compile.py [--configs celeba_wgan,celeba_wgan_gp] [--dtypes float32,bfloat16]
        [--topologies v5e:2x4,v5e:4x8,v4:2x4x4] [--batch_per_core 64]
    python benchmarks/tpu_compile.py --configs digits_wgan_gp --members 8      # a group of 8 on each core

Nothing is measured. libtpu compiles the program of a run, training.programs.compile_rounds, with CelebA's 162,770 images on each
core. A core is a JAX device: a chip of v5e, or a chip of v4 with its two TensorCores as one (megacore). Columns:

    args, temp, aliased   MiB: arguments (data set and state), temporary memory, results that replace arguments
    GFLOP                 of the convolutions and dense layers in a round, by the formula in roofline.py
    gradients             MB of each collective of gradients and metrics in the loop over rounds
    statistics            number and kB of the collectives of batch norm's statistics, forward and backward
    collectives           their kinds

For a group the products of a call are counted: they are as many as for one run, each with the members as a further axis.

A collective is counted once, as it stands in the program: those of a critic step run n_critic times in a round. XLA moves one whose
value is the same in every round out of the loop, so that it runs once per call and isn't counted among the gradients: that of the
bias of a critic's last layer, whose gradient is 0. The script fails if the program exchanges data with the host while it runs.
"""

import argparse
import importlib.metadata
import importlib.util
import itertools
import math
import os
import re
import time
from typing import Any, NamedTuple

# jax, and what imports it, is imported inside functions: main must set environment variables first.
IMAGES = 162_770
OPTIONS = {'v4': {'chip_config_name': 'megacore'}}
_COLLECTIVE = re.compile(
    r' = (.*?) (all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute|collective-broadcast)(?:-start)?\('
)
# Feeds, messages, callbacks, and arrays in host memory, which XLA marks with S(5).
_HOST = re.compile(r' (?:infeed|outfeed|send|recv)\(|S\(5\)|custom_call_target="[^"]*(?:callback|[Hh]ost)')


class Collective(NamedTuple):
    """A collective in the text of a compiled program (HLO)."""

    kind: str
    bytes: int  # of its result on one core
    statistics: bool  # of batch norm
    in_loop: bool  # so it runs in each round


def collectives(text: str) -> list[Collective]:
    """The collectives of a program; an asynchronous one is counted by its start."""
    found, in_loop = [], True
    for line in text.splitlines():
        if line.startswith(('%', 'ENTRY')):  # a computation begins
            in_loop = not line.startswith('ENTRY')
        if match := _COLLECTIVE.search(line):
            arrays = re.findall(r'[a-z]+(\d+)\[([\d,]*)\]', match[1])
            size = sum(int(bits) // 8 * math.prod(int(side) for side in sides.split(',') if side) for bits, sides in arrays)
            found.append(Collective(match[2], size, 'BatchNorm' in line, in_loop))
    return found


def host_transfers(text: str) -> list[str]:
    """The instructions of a program that exchange data with the host."""
    return [line.strip() for line in text.splitlines() if _HOST.search(line)]


def products(text: str) -> list[tuple[int, ...]]:
    """The shapes of the results of a program's convolutions and matrix products."""
    shapes = re.findall(r' = \w+\[([\d,]*)\]\S* (?:convolution|dot)\(', text)
    return [tuple(int(side) for side in shape.split(',') if side) for shape in shapes]


def compile_for(config: Any, topology: str, batch_per_core: int | None, members: int | None = None) -> tuple[Any, int]:
    """The compiled rounds, and the number of cores.

    Args:
      config: the config.
      topology: kind and number of cores.
      batch_per_core: replaces the config's batch.
      members: of a group, on each core; None for a single run on all cores.
    """
    from jax.experimental import topologies

    from wgan_jax import convolutions
    from wgan_jax.runs.build import build
    from wgan_jax.training import programs

    options = OPTIONS.get(topology.split(':')[0], {})
    devices = topologies.get_topology_desc(topology_name=topology, platform='tpu', **options).devices
    config.batch_size = len(devices) * batch_per_core if batch_per_core else config.batch_size
    with convolutions.compiling_for('tpu'):
        experiment = build(config)
        shape = (IMAGES, *experiment.data.source.image_shape)
        if members:
            program = programs.compile_members(
                experiment, [], shape, config.n_critic, members, members, on_host=False, devices=devices
            )
        else:
            program = programs.compile_rounds(experiment, shape, config.n_critic, on_host=False, devices=devices)
    return program.run, len(devices)


def operations(config: Any, cores: int) -> int:
    """Operations of a round on one core."""
    import jax
    from roofline import counted

    from wgan_jax.runs.build import build

    config.batch_size //= cores
    experiment = build(config)
    images = jax.ShapeDtypeStruct((config.batch_size, *experiment.data.source.image_shape), 'f4')
    return counted(jax.eval_shape(experiment.create_state), config, images)


def print_row(config: Any, topology: str, batch_per_core: int | None) -> None:
    """Compiles one program and prints its row.

    Raises:
      SystemExit: the program exchanges data with the host.
    """
    start = time.perf_counter()
    compiled, cores = compile_for(config, topology, batch_per_core)
    seconds, memory, text = time.perf_counter() - start, compiled.memory_analysis(), compiled.as_text()
    if transfers := host_transfers(text):
        raise SystemExit(f'The program exchanges data with the host while it runs: {"; ".join(transfers[:3])[:500]}.')
    found = collectives(text)
    gradients = sorted((c.bytes for c in found if c.in_loop and not c.statistics), reverse=True)
    statistics = [c.bytes for c in found if c.statistics]
    sizes = (memory.argument_size_in_bytes, memory.temp_size_in_bytes, memory.alias_size_in_bytes)
    print(
        f'{topology:12}{cores:6}{config.batch_size // cores:6}'
        + ''.join(f'{size / 2**20:9.1f}' for size in sizes)
        + f'{operations(config, cores) / 1e9:9.1f}'
        + f'{" + ".join(f"{size / 1e6:.2f}" for size in gradients):>19}'
        + f'{len(statistics):7}{sum(statistics) / 1e3:7.1f}{seconds:11.0f} {"/".join(sorted({c.kind for c in found})) or "none"}',
        flush=True,
    )


def print_group(config: Any, topology: str, members: int) -> None:
    """Compiles the program of a run on one device of a topology and that of a group, and prints what each has."""
    for count in (None, members):
        compiled, _ = compile_for(config, topology, None, count)
        found, temporary = products(compiled.as_text()), compiled.memory_analysis().temp_size_in_bytes
        print(
            f'{topology:12}{count or 1:4} members on a core: {len(found)} products, {sum(shape[0] == count for shape in found)} of '
            f'them over all members; {len(collectives(compiled.as_text()))} collectives; {temporary / 2**20:.1f} MiB temporary',
            flush=True,
        )


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--configs', default='celeba_wgan,celeba_wgan_gp')
    parser.add_argument('--dtypes', default='float32,bfloat16')
    parser.add_argument('--topologies', default='v5e:2x4,v5e:4x8,v4:2x4x4')
    parser.add_argument('--batch_per_core', type=int, help="default: the config's batch, divided among the cores")
    parser.add_argument('--num_features', type=int, help="of both networks; default: the config's")
    parser.add_argument('--members', type=int, help='of a group on each core, instead of one run on all cores')
    arguments = parser.parse_args()
    if importlib.util.find_spec('libtpu') is None:
        raise SystemExit('The compiler for TPUs is missing: pip install libtpu.')
    # Before jax is imported: libtpu must not look for a TPU, nor refuse to be loaded by a second process.
    os.environ.update(JAX_PLATFORMS='cpu', TPU_SKIP_MDS_QUERY='1', ALLOW_MULTIPLE_LIBTPU_LOAD='1')
    os.environ.update(TPU_ACCELERATOR_TYPE='v5litepod-8', TPU_WORKER_HOSTNAMES='localhost')
    import jax
    from measuring import load_config

    print(f'jax {jax.__version__}, libtpu {importlib.metadata.version("libtpu")}; nothing is measured')
    for name, dtype in itertools.product(arguments.configs.split(','), arguments.dtypes.split(',')):
        print(f'\n{name}, {dtype}')
        titles = f'{"topology":12}{"cores":>6}{"batch":>6}{"args":>9}{"temp":>9}{"aliased":>9}{"GFLOP":>9}'
        titles += f'{"gradients, MB":>19}{"stat.":>7}{"kB":>7}{"compile s":>11} collectives\n'
        print('' if arguments.members else titles, end='')
        for topology in arguments.topologies.split(','):
            config = load_config(name, None, dtype)
            if arguments.num_features:
                config.generator.num_features = config.critic.num_features = arguments.num_features
            if arguments.members:
                print_group(config, topology, arguments.members)
            else:
                print_row(config, topology, arguments.batch_per_core)


if __name__ == '__main__':
    main()
