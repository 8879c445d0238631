"""The training program as compiled for TPUs, on a machine without one: memory, work and communication per core and round.

    pip install libtpu
    python benchmarks/tpu_compile.py [--configs celeba_wgan,celeba_wgan_gp] [--dtypes float32,bfloat16]
        [--topologies v5e:2x4,v5e:4x8,v4:2x4x4] [--batch 64] [--batch_per_core 64]

libtpu compiles what a run would run, calls.compile_rounds, with CelebA's 162,770 images at 64x64 on each core. A core is a
device of JAX: a chip of v5e, and a chip of v4 with its two TensorCores as one (megacore). Each config is compiled for the global
batch of --batch, the papers', on every topology, and for --batch_per_core on the first of each kind of chip; 0 leaves one out.
Nothing here is measured. The columns:

    args, temp, aliased   MiB: arguments (data set and state), temporary memory, results that take the place of arguments
    GFLOP, check          of a round. XLA counts the body of a loop once, however often it runs: 1 and 5 critic updates have
                          equal counts within 0.01%. So its count is shared out between critic and generator step as in the
                          steps before compilation, and the critic's part taken n_critic times. check: the steps' sum before
                          compilation, over the compiled count
    HBM GB, cycle ms      from the program's text, every computation as often as a round runs it. HBM: bytes read and written
                          there, without the tiles' padding; what stays in on-chip memory is not counted. Cycles: the
                          compiler's estimates for fusions, which leave out copies, collectives and waiting
    FLOP ms, HBM ms       at the published rates of the chip; float32 convolutions have bfloat16 factors on a TPU
    gradients, stat., kB  collectives in a round: times x MB of those of gradients and metrics; number and bytes in all of
                          those of batch norm's statistics, forward and backward

XLA's optimal_seconds are of no use: each ConcatBitcast, which joins slices and moves nothing, counts as -1, and loops count once.

The last table is a model: computation takes the largest of the three times; the collectives of a round follow one after the other,
none hidden behind computation, each 2 (n - 1) / n of its bytes over two links of a chip, as in a ring, and HOP_SECONDS
for each step to the farthest chip. One core is the program of --batch_per_core without its collectives, and other numbers of cores
take its computation too, though for 256 the compiler chose other layouts, with a fifth more cycles.

The script fails if a program gives the host anything, or takes anything from it, while it runs.
"""

import argparse
import functools
import importlib.metadata
import importlib.util
import inspect
import itertools
import math
import os
import time
from typing import Any, NamedTuple

import hlo

# Before jax is imported: libtpu shall not look for a machine, nor refuse a second process, since no TPU is used.
os.environ.update(JAX_PLATFORMS='cpu', TPU_SKIP_MDS_QUERY='1', ALLOW_MULTIPLE_LIBTPU_LOAD='1')
os.environ.update(TPU_ACCELERATOR_TYPE='v5litepod-8', TPU_WORKER_HOSTNAMES='localhost')

IMAGES = 162_770
HOP_SECONDS = 1e-6  # assumed, for one step from chip to chip and the work at its end


class Chip(NamedTuple):
    """Published rates of a chip, and steps to the farthest of 8, 32 and 256."""

    flops: float  # bfloat16, per second
    hbm: float  # bytes per second
    ring: float  # bytes per second that a chip sends over two of its links
    clock: float  # that which makes the published FLOP/s of the matrix units, each 128 x 128
    options: dict[str, str]
    hops: dict[int, int]


# Google Cloud TPU documentation, "TPU v4" and "TPU v5e": 275 and 197 TFLOP/s, 1228 and 819 GB/s, and between chips 2400 and
# 1600 Gbit/s over six and four links. 8 and 4 matrix units. Steps are those in 2x2x2, 2x4x4 and 4x8x8, and in 2x4, 4x8 and
# 16x16, around where the last one closes to a torus.
CHIPS = {
    'v4': Chip(275e12, 1228e9, 100e9, 1.05e9, {'chip_config_name': 'megacore'}, {8: 3, 32: 7, 256: 10}),
    'v5e': Chip(197e12, 819e9, 100e9, 1.5e9, {}, {8: 4, 32: 10, 256: 16}),
}


def step_flops(config: Any, batch: int) -> tuple[float, float]:
    """FLOP of (a critic step, a generator step) on one core, by XLA, before compilation."""
    import jax

    from wgan_jax import convolutions
    from wgan_jax.algorithm import steps
    from wgan_jax.data import source_of
    from wgan_jax.runs.experiment import make_experiment

    experiment = make_experiment(config)
    state, images = (
        jax.eval_shape(experiment.create_state),
        jax.ShapeDtypeStruct((batch, *source_of(config.data).image_shape), 'f4'),
    )

    def flops(step: Any, *arguments: Any, **others: Any) -> float:
        known = inspect.signature(step).parameters
        settings = {name: value for name, value in experiment.round_settings.items() if name in known}
        return jax.jit(functools.partial(step, **settings, **others)).lower(*arguments).cost_analysis()['flops']

    with convolutions.compiling_for('tpu'):
        critic = flops(steps.critic_step, state, images, experiment.train_key)
        return critic, flops(steps.generator_step, state, experiment.train_key, batch_size=batch)


def compile_for(config: Any, topology: str, batch_per_core: int) -> tuple[Any, int]:
    """The compiled rounds, and the number of cores; a `batch_per_core` that is not 0 sets the config's batch."""
    from jax.experimental import topologies

    from wgan_jax import convolutions
    from wgan_jax.data import source_of
    from wgan_jax.runs.experiment import make_experiment
    from wgan_jax.training import rounds

    options = CHIPS[topology.split(':')[0]].options
    devices = topologies.get_topology_desc(topology_name=topology, platform='tpu', **options).devices
    config.batch_size = len(devices) * batch_per_core or config.batch_size
    shape = (IMAGES, *source_of(config.data).image_shape)
    with convolutions.compiling_for('tpu'):
        program = rounds.compile_rounds(config, make_experiment(config), shape, config.n_critic, on_host=False, devices=devices)
    return program.run, len(devices)


def analyse(config: Any, topology: str, batch_per_core: int) -> dict[str, Any]:
    """Compiles one program and prints its row; its figures for the model.

    Raises:
      SystemExit: the program exchanges data with the host.
    """
    from wgan_jax.data import source_of

    began, chip = time.perf_counter(), CHIPS[topology.split(':')[0]]
    compiled, cores = compile_for(config, topology, batch_per_core)
    seconds, memory, text = time.perf_counter() - began, compiled.memory_analysis(), compiled.as_text()
    computations, entry = hlo.parse(text)
    if transfers := hlo.host_transfers(computations):
        raise SystemExit(f'The program exchanges data with the host while it runs: {"; ".join(transfers[:3])[:500]}.')
    times, batch = hlo.times_per_round(computations, entry), config.batch_size // cores
    critic, generator = step_flops(config, batch)
    analysis = compiled.cost_analysis()
    counted = (analysis[0] if isinstance(analysis, list) else analysis)['flops']
    flops = counted * (config.n_critic * critic + generator) / (critic + generator)
    moved = hlo.hbm_bytes(computations, times, IMAGES * math.prod(source_of(config.data).image_shape))
    by = (flops / chip.flops, moved / chip.hbm, hlo.cycles(computations, times) / chip.clock)
    found = hlo.collectives(computations, times)
    gradients, statistics = ([c for c in found if c.statistics == flag] for flag in (False, True))
    print(
        f'{topology:12}{cores:6}{batch:6}'
        + ''.join(
            f'{size / 2**20:9.1f}'
            for size in (memory.argument_size_in_bytes, memory.temp_size_in_bytes, memory.alias_size_in_bytes)
        )
        + f'{flops / 1e9:10.1f}{(critic + generator) / counted:7.3f}{moved / 1e9:9.3f}'
        + ''.join(f'{1000 * value:9.3f}' for value in by)
        + f'{" + ".join(f"{c.times} x {c.bytes / 1e6:.2f}" for c in sorted(gradients, key=lambda c: -c.times)):>23}'
        + f'{sum(c.times for c in statistics):6}{sum(c.bytes * c.times for c in statistics) / 1e3:6.0f}{seconds:10.0f}'
        + f' {"/".join(sorted({c.opcode for c in found})) or "none"}',
        flush=True,
    )
    return {'chip': topology.split(':')[0], 'cores': cores, 'batch': batch, 'compute': max(by), 'collectives': found}


def communication(found: list[hlo.Collective], chip: Chip, cores: int) -> float:
    """Seconds per round of the collectives by the model, 0 on one core."""
    if cores == 1:
        return 0.0
    return sum(c.times * (2 * (cores - 1) / cores * c.bytes / chip.ring + chip.hops[cores] * HOP_SECONDS) for c in found)


def model(figures: list[dict[str, Any]]) -> None:
    """Prints the table of the model for the programs of one config: each batch per core on as many cores as keep its meaning."""
    whole = max(figures, key=lambda row: row['batch'])  # a whole batch on a core: 1 core, and weak scaling
    chip = CHIPS[whole['chip']]
    rows = [('1 core', whole, 1), *(('fixed per core', whole, cores) for cores in chip.hops)]
    whole_batch = [row for row in figures if row['batch'] * row['cores'] == whole['batch'] and row['cores'] in chip.hops]
    rows += [('fixed in all', row, row['cores']) for row in whole_batch]
    for name, row, cores in rows:
        apart = communication(row['collectives'], chip, cores)
        ideal = whole['compute'] / (cores if name == 'fixed in all' else 1)
        print(
            f'{row["chip"]:6}{name:16}{cores:6}{row["batch"]:7}{1000 * row["compute"]:12.3f}{1000 * apart:12.3f}'
            f'{ideal / (row["compute"] + apart):12.0%}{1 / (row["compute"] + apart):10.0f}'
        )


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--configs', default='celeba_wgan,celeba_wgan_gp')
    parser.add_argument('--dtypes', default='float32,bfloat16')
    parser.add_argument('--topologies', default='v5e:2x4,v5e:4x8,v4:2x4x4')
    parser.add_argument('--batch', type=int, default=64, help='global; 0: leave it out')
    parser.add_argument('--batch_per_core', type=int, default=64, help='0: leave it out')
    parser.add_argument('--num_features', type=int, help="of both networks; the config's own unless given")
    arguments = parser.parse_args()
    if any(topology.split(':')[0] not in CHIPS for topology in arguments.topologies.split(',')):
        parser.error(f'--topologies: only the rates of {" and ".join(CHIPS)} are known')
    if importlib.util.find_spec('libtpu') is None:
        raise SystemExit('There is no compiler for TPUs: pip install libtpu.')
    import jax
    from measuring import load_config

    print(f'jax {jax.__version__}, libtpu {importlib.metadata.version("libtpu")}; per core and round; nothing is measured')
    for name, dtype in itertools.product(arguments.configs.split(','), arguments.dtypes.split(',')):
        figures = []
        print(f'\n{name}, {dtype}')
        print(
            f'{"topology":12}{"cores":>6}{"batch":>6}{"args":>9}{"temp":>9}{"aliased":>9}{"GFLOP":>10}{"check":>7}{"HBM GB":>9}'
            f'{"FLOP ms":>9}{"HBM ms":>9}{"cycle ms":>9}{"gradients, MB":>23}{"stat.":>6}{"kB":>6}{"compile s":>10} collectives'
        )
        for topology, (batch, per_core) in itertools.product(
            arguments.topologies.split(','), ((arguments.batch, 0), (0, arguments.batch_per_core))
        ):
            again = any(row['chip'] == topology.split(':')[0] and row['batch'] == per_core for row in figures)
            if batch or (per_core and not again):
                config = load_config(name, batch, dtype)
                if arguments.num_features:
                    config.generator.num_features = config.critic.num_features = arguments.num_features
                figures.append(analyse(config, topology, per_core))
        print(
            f'{"model":6}{"batch":16}{"cores":>6}{"batch":>7}{"compute ms":>12}{"collect ms":>12}{"efficiency":>12}{"rounds/s":>10}'
        )
        for chip in dict.fromkeys(row['chip'] for row in figures):
            model([row for row in figures if row['chip'] == chip])


if __name__ == '__main__':
    main()
