"""What a run is: its game, its data, how long it took, and the keys of its config."""

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from wgan_jax.data.toys import TOYS
from wgan_jax.report import words
from wgan_jax.report.records import Record
from wgan_jax.runs.config import flatten


class Keys(NamedTuple):
    """A table of config keys."""

    columns: list[str]
    rows: list[tuple[str, list[str]]]


def facts(record: Record) -> dict[str, str]:
    """The heading of a run; what is not known is left out."""
    config, speed = record.config, record.curves.get('images_per_second')
    steps = f'{record.step:,}'
    if isinstance(config.get('num_steps'), int) and config['num_steps'] != record.step:
        steps += f' of {config["num_steps"]:,}'
    images = record.data_set.get('num_images')
    kind = 'points' if str(config.get('data.name')) in TOYS else 'images'
    number = f'{images:,} {kind}' if isinstance(images, int) else ''
    known = {
        'Game': words.game(config),
        'Data': ', '.join(filter(None, [str(config.get('data.name', '')), number])),
        'Networks': ' and '.join(
            dict.fromkeys(str(config[key]) for key in ('generator.network', 'critic.network') if key in config)
        ),
        'Steps': steps,
        'Training': '' if record.seconds is None else _duration(record.seconds),
        'Speed': f'{statistics.median(speed.values):,.0f} images/s (median)' if speed is not None and len(speed.values) else '',
        'Device': str(record.device or ''),
        'Versions': ', '.join(f'{name} {version}' for name, version in record.versions.items()),
        'Directory': str(record.path),
    }
    return {name: value for name, value in known.items() if value}


def differing(records: Sequence[Record]) -> Keys:
    """The keys that tell the runs apart; of one run, those that are not as in configs/default.py."""
    every = keys(records)
    first = len(every.columns) - len(records) if len(records) > 1 else 0  # of those that are compared
    return every._replace(rows=[(name, values) for name, values in every.rows if len(set(values[first:])) > 1])


def keys(records: Sequence[Record]) -> Keys:
    """All keys of all runs, beside the defaults where these are at hand."""
    defaults = _defaults()
    columns = [*([('default', defaults)] if defaults else []), *((record.name, record.config) for record in records)]
    names = sorted(dict.fromkeys(name for record in records for name in record.config))
    return Keys([name for name, _ in columns], [(name, [_shown(config, name) for _, config in columns]) for name in names])


def _defaults() -> dict[str, Any]:
    """The default config; {} where the program is installed without its configs."""
    try:
        from configs.default import get_config
    except ImportError:
        return {}
    return flatten(get_config())


def _shown(config: dict[str, Any], name: str) -> str:
    return str(config[name]) if name in config else '-'


def _duration(seconds: float) -> str:
    """1 h 2 min."""
    if not seconds < 1e10:
        return ''
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f'{seconds:.3g} s'
    return f'{minutes // 60} h {minutes % 60} min' if minutes >= 60 else f'{minutes} min {rest} s'
