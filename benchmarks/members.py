"""Seconds per round of a group of runs against those of one run alone, in each way that a group can be laid out.

    python benchmarks/members.py [--configs digits_wgan_gp,toy_wgan_gp] [--members 8] [--seconds 5]

"one by one": the members of a device follow one another; "batched": they are one program (jax.vmap). On a CPU each is tried with
one device and with a device for each core. The program chooses the first way, with a device per core, on a CPU, and the second
elsewhere. Random images replace the data set. Each row is a process of its own; the run alone comes first and last.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

import numpy as np
from measuring import load_config, random_images


def main() -> None:
    """Prints the table, or one row of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--configs', default='digits_wgan_gp,toy_wgan_gp')
    parser.add_argument('--members', type=int, default=8)
    parser.add_argument('--seconds', type=float, default=5.0, help='to time, for each row')
    parser.add_argument('--row', nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        devices, way = arguments.row
        print(_seconds_per_round(arguments.configs, int(devices), arguments.members, way, arguments.seconds))
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    print(f'{"config":20}{"members":>8}{"devices":>8}  {"way":12}{"s per round":>12}{"times one run":>14}{"per member":>12}')
    for name in arguments.configs.split(','):
        layouts = [(devices, way) for devices in dict.fromkeys((1, cores)) for way in ('one by one', 'batched')]
        rows = {('alone', place): _row(name, 1, 'alone', 1, arguments.seconds) for place in ('before',)}
        rows |= {layout: _row(name, layout[0], layout[1], arguments.members, arguments.seconds) for layout in layouts}
        rows['alone', 'after'] = _row(name, 1, 'alone', 1, arguments.seconds)
        alone = statistics.mean([rows['alone', 'before'], rows['alone', 'after']])
        for key, seconds in rows.items():
            count, devices, way = (1, 1, f'alone, {key[1]}') if key[0] == 'alone' else (arguments.members, *key)
            print(
                f'{name:20}{count:8}{devices:8}  {way:12}{seconds:12.4f}{seconds / alone:14.2f}{seconds / alone / count:12.2f}',
                flush=True,
            )


def _row(name: str, devices: int, way: str, members: int, seconds: float) -> float:
    command = [
        sys.executable,
        __file__,
        f'--configs={name}',
        f'--members={members}',
        f'--seconds={seconds}',
        '--row',
        str(devices),
        way,
    ]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1])


def _seconds_per_round(name: str, devices: int, members: int, way: str, seconds: float) -> float:
    """Median over calls of half a second, after a warm-up."""
    import jax

    if devices > 1 or jax.config.jax_platforms == 'cpu':
        jax.config.update('jax_num_cpu_devices', devices)
    from measuring import OurRounds, seconds_per_round

    from wgan_jax.algorithm import steps
    from wgan_jax.devices import parallel
    from wgan_jax.runs.build import build
    from wgan_jax.runs.members import combine
    from wgan_jax.training.member_rounds import MemberRounds

    config = load_config(name, None)
    if way == 'alone':
        return seconds_per_round(OurRounds(config).run, 1, seconds)
    original = parallel.map_members
    parallel.map_members = lambda *args, **settings: original(*args, **settings, one_by_one=way == 'one by one')
    config.num_steps = 10**9
    experiments = [build(one) for one in combine(config, {'': {}}, members).values()]
    rounds = MemberRounds(experiments, {}, random_images(config), [0] * members)
    start = [(one.create_state(), steps.zero_sums(config.gp_weight)) for one in experiments]
    carry, times, began = rounds.place(start), [], None
    while began is None or time.perf_counter() - began < seconds:
        before = time.perf_counter()
        count, *carry = rounds.advance(*carry)
        if count > 1 and began is None:  # the first calls are short
            began = time.perf_counter()
        elif began is not None:
            times.append((time.perf_counter() - before) / count)
    return float(np.median(times))


if __name__ == '__main__':
    main()
