"""The dry run: the resolved config, the layers, the parameters, and the memory and the time that a run will need."""

import json
import math
import re
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from numpy.typing import DTypeLike

from wgan_jax.algorithm.schedule import Schedule
from wgan_jax.algorithm.state import num_parameters
from wgan_jax.data import feed
from wgan_jax.data.source import is_points
from wgan_jax.devices.numerics import products
from wgan_jax.runs.experiment import Experiment, Numbers
from wgan_jax.runs.members import programs, varied
from wgan_jax.runs.memory_limits import TooLarge, num_bytes
from wgan_jax.runs.terminal import duration
from wgan_jax.training.layer_table import layers_of, table
from wgan_jax.training.member_rounds import MemberRounds, as_many_as_fit
from wgan_jax.training.programs import compile_rounds
from wgan_jax.training.rounds import Rounds, stays_on_host
from wgan_jax.training.trainer import check_grid

# The state, and two copies while a checkpoint is written: one for the disk, and the disk's own form of it.
_STATES = 3
_TIMED_CALLS = 3  # the first ones are short
_LONG = 1.0  # seconds; a round that takes longer is timed once
_PLACED = 256 * 2**20  # bytes of images that are quickly placed on the devices


class Memory(NamedTuple):
    """The memory of a run at its peak, in bytes."""

    state: int  # on each device: both players, their optimizers and averages
    images: int  # on each device: the data set, or two chunks, one in use and the next
    working: int  # on each device: temporary memory of a round
    process: int  # host memory, without mapped files; on CPU it includes the memory of the devices
    on_host: bool  # whether the data set stays in host memory

    def __str__(self) -> str:
        parts = {'state': self.state, 'images': self.images, 'working memory of a round': self.working}
        return ', '.join(f'{name} {size / 2**20:,.1f} MiB' for name, size in parts.items())


def memory_of(experiment: Experiment, shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> Memory:
    """Compiles the programs of a run and adds up their memory.

    Args:
      experiment: the run.
      shape: [N, H, W, C] of the data set.
      dtype: of the data set.
    """
    on_host = stays_on_host(experiment, math.prod(shape) * np.dtype(dtype).itemsize)
    kinds = experiment.schedule.kinds(0, experiment.num_steps)
    programs = [compile_rounds(experiment, shape, n_critic, on_host=on_host, dtype=dtype) for n_critic in kinds]
    state = num_bytes(jax.eval_shape(experiment.create_state))
    images = max(program.image_bytes for program in programs)
    working = max(program.working_bytes for program in programs)
    process = of_process() + (_STATES - 1) * state
    if jax.default_backend() == 'cpu':
        process += jax.local_device_count() * (state + images + working)
    elif on_host:
        process += images
    return Memory(state, images, working, process, on_host)


def dry_run(experiment: Experiment) -> None:
    """Prints the resolved config, the layers and parameters of both players, and the memory and the time of a run.

    It times some rounds on black images, and reads no data.

    Raises:
      UserError: the grid of samples would be too large.
    """
    check_grid(experiment)
    source = experiment.data.source
    print(json.dumps(experiment.config, indent=2))
    state = jax.eval_shape(experiment.create_state)
    for name, inputs, input_shape in (
        ('generator', 'latents', (experiment.latent_dim,)),
        ('critic', 'points' if is_points(source.image_shape) else 'images', source.image_shape),
    ):
        player = getattr(state, name)
        print(f'\n{table(name, inputs, input_shape, layers_of(player, input_shape))}')
        print(f'{name}: {num_parameters(player.params):,} parameters', flush=True)  # compiling may take minutes
    if source.num_images:
        experiment = experiment.in_rounds(source.num_images)
    shape = source.num_images or experiment.batch_size, *source.image_shape
    memory = memory_of(experiment, shape, source.dtype)
    mebibytes = math.prod(source.image_shape) * np.dtype(source.dtype).itemsize / 2**20  # of one image
    print()
    where = 'in host memory, two chunks of them on each device' if memory.on_host else 'on each device'
    if source.num_images:
        epochs = experiment.epochs_before(experiment.num_steps, source.num_images)
        print(f'length: {experiment.num_steps:,} rounds, {epochs:,.1f} epochs')
        print(f'images: {source.num_images:,}, {source.num_images * mebibytes:,.2f} MiB {where}')
    else:
        print(f'images: an unknown number, {mebibytes:,.3f} MiB each; what follows includes one batch')
    print(f'memory per device: {memory}')
    print(f'memory of the process: about {memory.process / 2**20:,.0f} MiB, without mapped files')
    print(f'products: {products(experiment.config["dtype"])}', flush=True)
    try:
        with closing(Rounds(_usual(experiment), _black_images(experiment, shape[0]), 0)) as rounds:
            seconds = _seconds_per_round(rounds, [experiment])
    except TooLarge as error:
        print(f'time: not measured, since this machine cannot train it. {error}')
        return
    whole = f', {duration(seconds * experiment.num_steps)} for {experiment.num_steps:,} rounds, without pictures and scores'
    print(f'time: {seconds:.3g} s per round{"" if experiment.in_epochs else whole}')


def dry_run_of_group(experiments: Mapping[str, Experiment]) -> None:
    """Prints the members of a group, the programs that train them, their memory and how long they will take.

    It times some rounds on black images, and reads no data.

    Raises:
      UserError: the grid of samples would be too large, or a program needs too much memory.
    """
    configs = {name: experiment.config for name, experiment in experiments.items()}
    total = 0.0
    for number, names in enumerate(programs(configs)):
        group = [experiments[name] for name in names]
        check_grid(group[0])
        numbers = varied([configs[name] for name in names])
        differing = f', which differ in {" and ".join(numbers)}' if numbers else ''
        print(f'program {number + 1}: {len(names)} runs{differing}')
        print('\n'.join(f'  {name}' for name in names), flush=True)
        source = group[0].data.source
        shape = source.num_images or 1, *source.image_shape
        known = source.num_images or not group[0].in_epochs
        length = group[0].in_rounds(source.num_images or 1).num_steps if known else None
        images = math.prod(shape) * np.dtype(source.dtype).itemsize
        on_host = stays_on_host(group[0], images)

        def measure(part: slice, group: list[Experiment] = group, numbers: Numbers = numbers) -> tuple[int, float, int, int]:
            members = [_usual(one) for one in group[part]]
            own = {key: values[part] for key, values in numbers.items()}
            black = _black_images(group[0], group[0].batch_size)
            with closing(MemberRounds(members, own, black, [0] * len(members))) as rounds:
                return len(members), _seconds_per_round(rounds, members), rounds.state_bytes, rounds.working_bytes

        count, seconds, state, working = next(as_many_as_fit(len(group), measure))  # the others at a time are like the first
        turns = -(-len(group) // count)
        memory = Memory(state, min(images, 2 * feed.CHUNK_BYTES) if on_host else images, working, 0, on_host)
        print(f'  memory per device: {memory}{"" if source.num_images else ", with one image of an unknown number"}')
        print(f'  products: {products(group[0].config["dtype"])}')
        each = f'{seconds:.3g} s per round of {"all" if turns == 1 else count}'
        whole = '' if length is None else f', {duration(turns * seconds * length)} for {length:,} rounds'
        print(f'  time: {each}{whole}', flush=True)
        total += math.nan if length is None else turns * seconds * length
    time_of_all = '' if math.isnan(total) else f', {duration(total)}, without pictures, scores and reports'
    print(f'in all: {len(experiments)} runs{time_of_all}')


def _usual(experiment: Experiment) -> Experiment:
    """The run without end and without boosted rounds, whose calls grow to their full length."""
    return experiment._replace(schedule=Schedule(experiment.schedule.n_critic), num_steps=10**6, in_epochs=False)


def _black_images(experiment: Experiment, count: int) -> np.ndarray:
    """As many as a run has, so that its programs are not compiled twice; if these would take long to place, a batch."""
    source = experiment.data.source
    one = np.zeros(source.image_shape, source.dtype)
    return np.zeros((count if count * one.nbytes <= _PLACED else experiment.batch_size, *one.shape), one.dtype)


def _seconds_per_round(rounds: Rounds | MemberRounds, group: Sequence[Experiment]) -> float:
    """How long a round takes, of all members."""
    states, sums = rounds.place([group[0].create_carry()] * len(group))
    for _ in range(_TIMED_CALLS):
        start = time.perf_counter()
        count, states, sums = rounds.advance(states, sums)
        seconds = (time.perf_counter() - start) / count
        if seconds > _LONG:
            break
    return seconds


def of_process() -> int:
    """Bytes of this process, without mapped files; on systems without /proc, its peak so far."""
    status = Path('/proc/self/status')
    if status.exists() and (found := re.search(r'RssAnon:\s+(\d+) kB', status.read_text())):
        return 1024 * int(found[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)
