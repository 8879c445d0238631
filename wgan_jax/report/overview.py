"""The overview of each run (objective, data, time) and the tables of config keys."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from wgan_jax.data.toys import TOYS
from wgan_jax.report import captions
from wgan_jax.report.read_runs import Record
from wgan_jax.runs.terminal import duration


class Keys(NamedTuple):
    """A table of config keys: a row is a key and its value in each column."""

    columns: list[str]
    rows: list[tuple[str, list[str]]]


def facts(record: Record) -> dict[str, str]:
    """The facts at the top of the page; unknown ones are left out."""
    config, speed = record.config, record.curves.get('images_per_second')
    steps = f'{record.step:,}'
    unit = ' epochs' if config.get('interval_unit') == 'epochs' else ''
    if isinstance(config.get('num_steps'), int) and (unit or config['num_steps'] != record.step):
        steps += f' of {config["num_steps"]:,}{unit}'
    images = record.data_set.get('num_images')
    kind = 'points' if str(config.get('data.name')) in TOYS else 'images'
    number = f'{images:,} {kind}' if isinstance(images, int) else ''
    known = {
        'Objective': captions.objective(config),
        'Data': ', '.join(filter(None, [str(config.get('data.name', '')), number])),
        'Networks': ' and '.join(
            dict.fromkeys(str(config[key]) for key in ('generator.network', 'critic.network') if key in config)
        ),
        'Steps': steps,
        'Training': '' if record.seconds is None else duration(record.seconds),
        'Speed': f'{statistics.median(speed.values):,.0f} images/s (median)' if speed is not None and len(speed.values) else '',
        'Device': str(record.device or ''),
        'Versions': ', '.join(f'{name} {version}' for name, version in record.versions.items()),
        'Directory': str(record.path),
    }
    return {name: value for name, value in known.items() if value}


def differing(records: Sequence[Record]) -> Keys:
    """The keys whose values differ between the runs; none for one run."""
    every = keys(records)
    return every._replace(rows=[(name, values) for name, values in every.rows if len(set(values)) > 1])


def keys(records: Sequence[Record]) -> Keys:
    """All keys of all runs."""
    names = sorted({name for record in records for name in record.config})
    rows = [(name, [str(record.config.get(name, '-')) for record in records]) for name in names]
    return Keys([record.name for record in records], rows)
