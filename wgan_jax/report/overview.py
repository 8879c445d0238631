"""The facts about each run (objective, data, time, code, device) and the tables of config keys."""

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from wgan_jax.report import captions
from wgan_jax.report.read_runs import Record
from wgan_jax.runs.terminal import duration

TYPED = ('Command', 'Directory')  # facts that a reader may want to copy


class Keys(NamedTuple):
    """A table of config keys or of facts: a row is a name and its value in each column."""

    columns: list[str]
    rows: list[tuple[str, list[str]]]


class Facts(NamedTuple):
    """What is known of the runs."""

    common: dict[str, str]  # the same for all runs
    own: Keys  # the others


def facts(records: Sequence[Record]) -> Facts:
    """The facts at the top of the page; unknown ones are left out."""
    of_runs = [_facts(record) for record in records]
    rows = [(name, [one[name] for one in of_runs]) for name in of_runs[0]]
    common = {name: values[0] for name, values in rows if len(set(values)) == 1 and values[0]}
    own = [(name, values) for name, values in rows if len(set(values)) > 1]
    return Facts(common, Keys([record.name for record in records], own))


def steps(record: Record, noun: str = '') -> str:
    """How many steps a run has done, and of how many if there are more to do; `noun` comes after these numbers."""
    text, length = f'{record.step:,}', record.config.get('num_steps')
    if not isinstance(length, int):
        return text + noun
    if record.config.get('interval_unit') == 'epochs':
        return f'{text}{noun} ({length:,} epochs in all)'
    return text + (f' of {length:,}' if length != record.step else '') + noun


def differing(records: Sequence[Record]) -> Keys:
    """The keys whose values differ between the runs; none for one run."""
    every = keys(records)
    return every._replace(rows=[(name, values) for name, values in every.rows if len(set(values)) > 1])


def keys(records: Sequence[Record]) -> Keys:
    """All keys of all runs."""
    names = sorted({name for record in records for name in record.config})
    rows = [(name, [str(record.config.get(name, '-')) for record in records]) for name in names]
    return Keys([record.name for record in records], rows)


def _facts(record: Record) -> dict[str, str]:
    """The facts of a run; '' for one that is not known."""
    config, speed = record.config, record.curves.get('images_per_second')
    kind = captions.of_data('images', config)
    images = record.data_set.get('num_images')
    number = f'{images:,} {kind}' if isinstance(images, int) else ''
    return {
        'Date': _date(record.starts),
        'Seed': str(config.get('seed', '')),
        'Steps': steps(record),
        'Objective': captions.objective(config),
        'Data': ', '.join(filter(None, [str(config.get('data.name', '')), number])),
        'Networks': ' and '.join(
            dict.fromkeys(str(config[key]) for key in ('generator.network', 'critic.network') if key in config)
        ),
        'Parameters': ', '.join(f'{player} {count:,}' for player, count in sorted(record.parameters.items(), reverse=True)),
        'Training': '' if record.seconds is None else duration(record.seconds),
        'Speed': f'{statistics.median(speed.values):,.0f} {kind}/s (median)' if speed is not None and len(speed.values) else '',
        'Device': _device(record),
        'Versions': ', '.join(f'{name} {version}' for name, version in _versions(record).items()),
        'Commit': _each(record.starts, _commit),
        'Command': _each(record.starts, lambda start: str(start.get('command', ''))),
        'Directory': str(record.path),
    }


def _each(starts: Sequence[dict[str, Any]], text: Any) -> str:
    """What the starts of a run say, each text once, on lines of its own."""
    return '\n'.join(dict.fromkeys(filter(None, map(text, starts))))


def _date(starts: Sequence[dict[str, Any]]) -> str:
    """When a run started, and when it was continued."""
    dates = [str(start.get('date', ''))[:16].replace('T', ' ') for start in starts]
    if not any(dates):
        return ''
    if len(dates) == 1:
        return dates[0]
    often = f'{len(dates) - 1} times, last ' if len(dates) > 2 else ''
    return f'{dates[0]}, continued {often}{dates[-1]} at step {starts[-1]["step"]:,}'


def _commit(start: dict[str, Any]) -> str:
    commit = str(start.get('commit', ''))[:12]
    return f'{commit}, with changes that are not committed' if commit and start.get('changed') else commit


def _device(record: Record) -> str:
    """The devices of all starts; those of the latest scores for a run from before starts were recorded."""
    if not record.starts:
        return str((record.evaluation or {'protocol': {}})['protocol'].get('device') or '')

    def of_start(start: dict[str, Any]) -> str:
        several = f'{start["processes"]} processes' if start.get('processes', 1) != 1 else ''
        return '; '.join(filter(None, [str(start.get('devices', '')), several, str(start.get('system', ''))]))

    return _each(record.starts, of_start)


def _versions(record: Record) -> dict[str, Any]:
    versions = record.starts[-1].get('versions') if record.starts else None
    return versions if isinstance(versions, dict) else record.versions
